/** What each collection of the store is made from. */
import type { Connection } from 'mongoose';
import type { Clock } from '../../clock.js';
import type { Report } from './indexes.js';
import type { Run } from './operations.js';
import type { WriteConcern } from './write-concern.js';

export interface StoreContext {
  readonly connection: Connection;
  readonly writeConcern: WriteConcern;
  readonly clock: Clock;
  readonly run: Run;
  readonly report: Report;
}

/** What forgets revocations is made from. */
export interface SealContext {
  /** Ids of tokens issued here before (ms) are never forgotten. */
  readonly sealedSince: () => number;
}
