/** Asks the database, before anything else, whether it is new enough and lets us write. */
import mongoose, { type Connection } from 'mongoose';
import type { Run } from './operations.js';
import { StoreRefusedError, toRefusal } from './refusals.js';
import { type Hello, isStandalone } from './write-concern.js';

/** That of MongoDB 5.1: the first that tells the time as we ask for it. */
const WIRE_VERSION = 14;
const COLLECTIONS = ['tokens', 'users', 'cutoffs', 'audit', 'activity'];

/** @returns what the server says of itself. @throws StoreRefusedError naming what is missing; ServiceError 503 in an outage. */
export async function assertUsable(connection: Connection, run: Run): Promise<Hello> {
  const hello = (await run(async () => connection.db?.command({ hello: 1 }))) ?? {};
  const version: unknown = hello['maxWireVersion'];
  if (typeof version === 'number' && version < WIRE_VERSION) {
    throw new StoreRefusedError(
      'The MongoDB server is too old. Use 6.0 or newer, or no MONGODB_URI: the embedded engine then.',
    );
  }
  await Promise.all(COLLECTIONS.map((name) => assertWritable(connection, name, run)));
  return hello;
}

/** @throws StoreRefusedError */
export function assertNotStandalone(hello: Hello): void {
  if (!isStandalone(hello)) return;
  throw new StoreRefusedError(
    'The MongoDB server of MONGODB_URI is a standalone server. Nobody else has what is written there, and nobody can join it: when its disk is lost, so is every revoke that was acknowledged. With NODE_ENV=production it is refused. Convert it to a replica set, of one member at first (see "A standalone MongoDB server" in docs/deployment.md), or set ALLOW_STANDALONE=true to start all the same.',
  );
}

/** Updates nothing, and is refused all the same where updates aren't allowed. */
async function assertWritable(connection: Connection, name: string, run: Run): Promise<void> {
  const nobody = { _id: new mongoose.Types.ObjectId() };
  try {
    await run(async () =>
      connection.db?.collection(name).updateOne(nobody, { $set: { updatedAt: new Date() } }),
    );
  } catch (error) {
    const refusal = toRefusal(error);
    if (refusal === null) throw error;
    throw new StoreRefusedError(`collection ${name}: can't be written. ${refusal.message}`, error);
  }
}
