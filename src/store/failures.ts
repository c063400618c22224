/** Where driver errors die: above this folder there are only domain errors. */
import mongoose from 'mongoose';
import { ServiceError, unavailable } from '../errors.js';

const DUPLICATE_KEY = 11000;

/** A record with this key exists already. */
export class DuplicateKeyError extends Error {
  constructor(cause: unknown) {
    super('a record with this key exists already', { cause });
    this.name = 'DuplicateKeyError';
  }
}

/**
 * Runs one operation of the store.
 * @throws DuplicateKeyError when a unique index refused it.
 * @throws ServiceError 503 for every failure of the database: the outcome of a write is then
 *   unknown, never "done".
 */
export async function run<T>(operation: () => PromiseLike<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw translate(error);
  }
}

function translate(error: unknown): unknown {
  if (error instanceof ServiceError) return error;
  const code = (error as { code?: unknown }).code;
  if (code === DUPLICATE_KEY && !hasWriteConcernError(error)) return new DuplicateKeyError(error);
  if (isProgrammingError(error)) return error;
  return unavailable(
    'The token store does not answer. Nothing is confirmed; repeat the request.',
    error,
  );
}

/** Mongoose's own refusals (cast, strict, validation) are bugs of ours, not outages. */
function isProgrammingError(error: unknown): boolean {
  if (error instanceof mongoose.mongo.MongoError)
    return error instanceof mongoose.mongo.MongoInvalidArgumentError;
  return !(error instanceof mongoose.Error.MongooseServerSelectionError) && !isDisconnection(error);
}

function isDisconnection(error: unknown): boolean {
  return (
    error instanceof mongoose.Error &&
    /before initial connection|not connected|disconnect|buffering/i.test(error.message)
  );
}

function hasWriteConcernError(error: unknown): boolean {
  const result = (error as { result?: { writeConcernErrors?: unknown[] } }).result;
  return (result?.writeConcernErrors?.length ?? 0) > 0;
}
