/** What the store is connected to, in words for the log: never with credentials. */
import type { Connection } from 'mongoose';
import { ServiceError } from '../../errors.js';
import type { Run } from './operations.js';
import { type Hello, isStandalone, type WriteConcern, writeConcernFor } from './write-concern.js';

export interface ServerInfo {
  /** Its hosts, or the name whose SRV records list them. */
  readonly hosts: readonly string[];
  readonly database: string;
  readonly topology: string;
  readonly isStandalone: boolean;
  /** Of everything that is written, whatever the address asks for. */
  readonly writeConcern: WriteConcern;
  /** Null where it doesn't tell. */
  readonly version: string | null;
}

/** Of an open connection. @throws ServiceError 503 when the server doesn't answer. */
export async function describeServer(
  connection: Connection,
  hello: Hello,
  run: Run,
): Promise<ServerInfo> {
  // The driver's own reading of the address: the parts, not the text, which may hold a password.
  const { hosts, srvHost } = connection.getClient().options;
  return {
    hosts: typeof srvHost === 'string' ? [srvHost] : hosts.map(String),
    database: connection.name,
    topology: topologyOf(hello),
    isStandalone: isStandalone(hello),
    writeConcern: writeConcernFor(hello),
    version: await versionOf(connection, run),
  };
}

function topologyOf(hello: Hello): string {
  const { setName } = hello;
  if (typeof setName === 'string') return `replica set ${setName}`;
  return isStandalone(hello) ? 'standalone server' : 'sharded cluster';
}

async function versionOf(connection: Connection, run: Run): Promise<string | null> {
  try {
    const answer = await run(async () => connection.db?.command({ buildInfo: 1 }));
    return typeof answer?.['version'] === 'string' ? answer['version'] : null;
  } catch (error) {
    // Not everybody may ask.
    if (!(error instanceof ServiceError)) throw error;
    return null;
  }
}
