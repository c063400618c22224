/** How durable a write is before it counts as done, for the kind of server at the other end. */
import type { Connection } from 'mongoose';

export interface WriteConcern {
  readonly w: 1 | 'majority';
  readonly j: true;
}

/**
 * A replica set's member: majority and journaled. Anything else: `w:1`, journaled; there,
 * `majority` may be answered before the journal is written.
 */
export async function writeConcernFor(connection: Connection): Promise<WriteConcern> {
  const hello = await connection.db?.command({ hello: 1 });
  const inReplicaSet = typeof hello?.['setName'] === 'string' || hello?.['msg'] === 'isdbgrid';
  return { w: inReplicaSet ? 'majority' : 1, j: true };
}
