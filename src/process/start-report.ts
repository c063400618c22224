/** What the log says when the service starts, is ready and stops: what runs where, with what, and why it ended. Never a secret. */
import { readFileSync } from 'node:fs';
import type { Config } from '../config/config.js';
import type { Logger } from '../observability/logger.js';
import type { RevocationIndex } from '../revocation/revocation-index.js';
import type { ServerInfo } from '../store/database/server.js';

interface Ready {
  readonly address: string;
  readonly server: ServerInfo;
  readonly index: Pick<RevocationIndex, 'size' | 'cutoffs'>;
}

/** Before anything is opened: a start that hangs or fails has said what it was to be. */
export function reportStarting({ mongodbUri, dataDir, settings }: Config, log: Logger): void {
  log.info(
    {
      event: 'service.starting',
      version: serviceVersion(),
      node: process.version,
      pid: process.pid,
      ...(mongodbUri === null ? { dataDir } : {}),
      settings,
    },
    mongodbUri === null ? `starting on ${dataDir}` : 'starting on the server of MONGODB_URI',
  );
}

export function reportReady(
  { mongodbUri, dataDir, staleAfterSeconds }: Config,
  log: Logger,
  { address, server, index }: Ready,
): void {
  const { hosts, database, topology, version, writeConcern } = server;
  const isEmbedded = mongodbUri === null;
  if (staleAfterSeconds !== null) {
    log.warn(
      { event: 'stale.allowed' },
      `STALE_AFTER is set: for ${staleAfterSeconds} s without a lease, tokens that other instances revoke meanwhile are accepted`,
    );
  }
  if (server.isStandalone && !isEmbedded) {
    log.warn(
      'the MongoDB server is no member of a replica set: when its disk is lost, so is every revoke that was acknowledged, and every token that was issued',
    );
  }
  log.info(
    {
      event: 'service.ready',
      version: serviceVersion(),
      address,
      topology: isEmbedded ? 'embedded engine' : topology,
      engine: version ?? undefined,
      writeConcern,
      ...(isEmbedded ? { dataDir } : { database: `${hosts.join(',')}/${database}` }),
      revoked: index.size,
      cutoffs: index.cutoffs,
      // Since the process began.
      ms: Math.round(performance.now()),
    },
    `ready at ${address}`,
  );
}

function serviceVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
