/** What kind of server is at the other end, and how durable a write is there before it counts as done. */

/** What a server says of itself when it is asked `hello`. */
export type Hello = Readonly<Record<string, unknown>>;

export interface WriteConcern {
  readonly w: 1 | 'majority';
  readonly j: true;
}

/** Neither a member of a replica set nor a mongos, whose shards are replica sets. */
export function isStandalone({ setName, msg }: Hello): boolean {
  return typeof setName !== 'string' && msg !== 'isdbgrid';
}

/**
 * A replica set's member: majority and journaled. Anything else: `w:1`, journaled; there,
 * `majority` may be answered before the journal is written.
 */
export function writeConcernFor(hello: Hello): WriteConcern {
  return { w: isStandalone(hello) ? 1 : 'majority', j: true };
}
