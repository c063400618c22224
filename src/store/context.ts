/** What each collection of the store is made from. */
import type { Connection } from 'mongoose';
import type { Clock } from '../clock.js';
import type { Cutoff } from './cutoffs.js';
import type { Run } from './operations.js';
import type { WriteConcern } from './write-concern.js';

export interface StoreContext {
  readonly connection: Connection;
  readonly writeConcern: WriteConcern;
  readonly clock: Clock;
  readonly run: Run;
}

/** What lists and searches are made from. */
export interface SearchContext extends Pick<StoreContext, 'clock' | 'run'> {
  /** Cut-offs whose records don't all say yet that they are revoked; none when absent. */
  readonly unmarked?: () => readonly Cutoff[];
}
