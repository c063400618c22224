/** One instance's way to the database: a TCP address of its own, whose faults are switched while it is in use. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import {
  createSplitter,
  isWrite,
  refusalOf,
  requestIdOf,
  responseToOf,
  withWriteConcernError,
} from './frames.js';
import { createQueue, type Direction, isDark, type LinkMode, loses, PASS } from './link.js';
import type { WriteFault } from './link.js';

export interface Link {
  readonly port: number;
  setMode(mode: LinkMode): void;
  /** @param fault for so large a part of the writes; null = for none. */
  failWrites(fault: WriteFault | null, part?: () => boolean): void;
  /** How many writes were failed since this was asked last. */
  takeHits(): number;
  /** Every connection ends with RST. */
  reset(): void;
  close(): Promise<void>;
}

interface Connection {
  /** Something was lost of it, so that it can't go on. */
  isBroken(): boolean;
  wake(): void;
  end(how?: 'reset'): void;
}

interface State {
  mode: LinkMode;
  fault: WriteFault | null;
  isHit: () => boolean;
  hits: number;
}

/** @param upstream the path of the engine's socket. */
export async function openLink(upstream: string): Promise<Link> {
  const state: State = { mode: PASS, fault: null, isHit: () => true, hits: 0 };
  const connections = new Set<Connection>();
  const server = createServer((socket) => {
    if (state.mode.kind === 'drop') {
      socket.destroy();
      return;
    }
    const connection = join(socket, connect(upstream), state, () => connections.delete(connection));
    connections.add(connection);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const each = (act: (connection: Connection) => void) => [...connections].forEach(act);

  return {
    port: (server.address() as AddressInfo).port,
    setMode(mode) {
      state.mode = mode;
      if (mode.kind === 'drop') each((one) => one.end());
      else {
        each((one) => one.wake());
        if (!isDark(mode)) each((one) => one.isBroken() && one.end('reset'));
      }
    },
    failWrites(fault, part = () => true) {
      state.fault = fault;
      state.isHit = part;
    },
    takeHits() {
      const { hits } = state;
      state.hits = 0;
      return hits;
    },
    reset: () => each((one) => one.end('reset')),
    async close() {
      server.close();
      each((one) => one.end());
      await once(server, 'close');
    },
  };
}

function join(client: Socket, database: Socket, state: State, onEnd: () => void): Connection {
  /** Directions in which something was lost: what follows on the same connection is lost with it. */
  const broken = new Set<Direction>();
  let isHalfClosed = false;
  let ended = false;
  /** Requests whose answer is to be spoilt, by their ids. */
  const spoilt = new Map<number, WriteFault>();

  const up = createQueue(mode, (message) => database.write(message));
  const down = createQueue(mode, (message) => client.write(message));

  function mode(): LinkMode {
    return state.mode;
  }

  function pass(direction: Direction, message: Buffer): void {
    if (ended) return;
    if (broken.has(direction) || loses(state.mode, direction)) broken.add(direction);
    else (direction === 'to the database' ? up : down).push(message);
  }

  function onRequest(message: Buffer): void {
    const { fault } = state;
    if (fault === null || !isWrite(message) || !state.isHit()) {
      pass('to the database', message);
      return;
    }
    state.hits += 1;
    if (fault.kind === 'refused') {
      pass('from the database', refusalOf(message, fault.code, fault.codeName));
    } else {
      spoilt.set(requestIdOf(message), fault);
      pass('to the database', message);
    }
  }

  function onAnswer(message: Buffer): void {
    const fault = spoilt.get(responseToOf(message));
    spoilt.delete(responseToOf(message));
    if (fault === undefined) pass('from the database', message);
    else if (fault.kind === 'concern')
      pass('from the database', withWriteConcernError(message, fault.code, fault.codeName));
    else end();
  }

  /** In the dark the other end doesn't hear of it. */
  function onClosed(): void {
    if (isDark(state.mode)) isHalfClosed = true;
    else end();
  }

  function end(how?: 'reset'): void {
    if (ended) return;
    ended = true;
    up.clear();
    down.clear();
    // What was held, and has just been sent, still arrives.
    database.destroySoon();
    if (how === 'reset') client.resetAndDestroy();
    else client.destroy();
    onEnd();
  }

  client.setNoDelay(true);
  client.on('data', createSplitter(onRequest));
  database.on('data', createSplitter(onAnswer));
  for (const socket of [client, database]) {
    // An error is followed by `close`.
    socket.on('error', () => undefined);
    socket.on('close', onClosed);
  }
  return {
    isBroken: () => isHalfClosed || broken.size > 0,
    wake() {
      up.wake();
      down.wake();
    },
    end,
  };
}
