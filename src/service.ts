/** One instance on an open store: its core, what answers in front of it, and how both end. */
import type { RequestListener } from 'node:http';
import type { Express } from 'express';
import { createApp } from './app.js';
import { type Core, type CoreOptions, createCore } from './core.js';
import { type Readiness, readinessOf } from './http/readiness.js';

export interface Service extends Omit<Core, 'stop'> {
  /** Answers every request. */
  readonly handler: RequestListener;
  /** What answers behind it; its routes can be listed. */
  readonly app: Express;
  /** From now on `/readyz` says no, so that load balancers send nothing new. */
  announceStop(): void;
  /** Writes what is still to be written. The store stays open. */
  stop(): Promise<void>;
}

interface ServiceOptions extends CoreOptions {
  /** What `/readyz` says of the disk, where the database is on ours; from memory. */
  readonly diskSpace?: () => NonNullable<Readiness['disk']>;
}

/**
 * Nothing works by itself yet: `sync.load()` fills the revocation index, before which every check is
 * refused with 503; `sync`, `probe`, `outages` and `clockJumps` are started, and `marker` is woken, after that.
 */
export function createService(options: ServiceOptions): Service {
  const core = createCore(options);
  const { index, probe, clockJumps } = core;
  let stopping = false;
  const stopFirst: (() => void)[] = [];
  const { handler, app, flushLog } = createApp(core, {
    onStop: (stop) => void stopFirst.push(stop),
    readiness: () =>
      readinessOf(
        { running: !stopping, revocationIndex: index.isFresh, store: probe.answers },
        {
          disk: options.diskSpace?.(),
          clockJumps: clockJumps.count,
          staleAllowedSeconds: options.config.staleAfterSeconds,
        },
      ),
  });

  function announceStop(): void {
    stopping = true;
    for (const each of stopFirst) each();
  }

  return {
    ...core,
    handler,
    app,
    announceStop,
    async stop() {
      announceStop();
      flushLog();
      await core.stop();
    },
  };
}
