/** Checks through `/auth/verify` from several connections, at a steady pace, while something else goes on. */
import { setTimeout as delay } from 'node:timers/promises';
import { connectRaw } from './raw-http.js';

export interface Probe {
  readonly sentAt: number;
  readonly answeredAt: number;
  readonly status: number;
}

export interface Probing {
  readonly probes: readonly Probe[];
  /** @throws when a connection failed. */
  stop(): Promise<void>;
}

const CONNECTIONS = 8;
const EVERY_MS = 10;

/** Each connection asks every 10 ms, or as soon as the last was answered, with one token after the other. */
export async function startProbing(address: string, tokens: readonly string[]): Promise<Probing> {
  const connections = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => connectRaw(address)),
  );
  const probes: Probe[] = [];
  let stopped = false;
  let next = 0;
  const loops = Promise.all(
    connections.map(async (connection) => {
      while (!stopped) {
        const token = tokens[next % tokens.length] ?? '';
        next += 1;
        const sentAt = performance.now();
        const { status } = await connection.send({
          method: 'GET',
          path: '/auth/verify',
          authorization: `Bearer ${token}`,
        });
        const answeredAt = performance.now();
        probes.push({ sentAt, answeredAt, status });
        await delay(Math.max(0, sentAt + EVERY_MS - answeredAt));
      }
    }),
  );
  // Whoever stops it hears of the failure; until then it is nobody's.
  loops.catch(() => undefined);
  return {
    probes,
    async stop() {
      stopped = true;
      await loops.finally(() => {
        for (const connection of connections) connection.close();
      });
    },
  };
}
