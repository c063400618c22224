/** Where driver errors die: above this folder there are only domain errors. */
import mongoose from 'mongoose';
import { ServiceError, unavailable } from '../../errors.js';

const DUPLICATE_KEY = 11000;

/** A record with this key exists already. */
export class DuplicateKeyError extends Error {
  constructor(cause: unknown) {
    super('a record with this key exists already', { cause });
    this.name = 'DuplicateKeyError';
  }
}

/** Which documents of a batch, by their place in it, were the duplicates. */
export function duplicatesIn({ cause }: DuplicateKeyError): ReadonlySet<number> {
  return new Set(
    cause instanceof mongoose.mongo.MongoBulkWriteError
      ? [cause.writeErrors].flat().map(({ index }) => index)
      : [0],
  );
}

/** What the store throws instead: DuplicateKeyError, or a ServiceError 503 for every failure of the database. */
export function translate(error: unknown): unknown {
  if (error instanceof ServiceError) return error;
  if (isDuplicateKey(error)) return new DuplicateKeyError(error);
  if (isProgrammingError(error)) return error;
  return unavailable(
    'The token store does not answer. Nothing is confirmed; repeat the request.',
    error,
  );
}

/** Refusals of what was asked for: mistakes of ours, or in the address, and no outages. */
function isProgrammingError(error: unknown): boolean {
  return (
    error instanceof mongoose.Error.CastError ||
    error instanceof mongoose.Error.ValidationError ||
    error instanceof mongoose.Error.StrictModeError ||
    error instanceof mongoose.mongo.MongoParseError ||
    error instanceof mongoose.mongo.MongoInvalidArgumentError
  );
}

/** Nothing else went wrong: in a batch every failure was a duplicate, and the rest is durable. */
function isDuplicateKey(error: unknown): boolean {
  if ((error as { code?: unknown }).code !== DUPLICATE_KEY) return false;
  if (!(error instanceof mongoose.mongo.MongoBulkWriteError)) return true;
  const writeErrors = [error.writeErrors].flat();
  return (
    writeErrors.every(({ code }) => code === DUPLICATE_KEY) &&
    error.result.getWriteConcernError() === undefined
  );
}
