/** Why a database can't be used at all: what doesn't pass by waiting, each with its mend. */
import mongoose from 'mongoose';
import { ServiceError } from '../../errors.js';

/** The database answers, and refuses: waiting doesn't help. The message names the mend. */
export class StoreRefusedError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'StoreRefusedError';
  }
}

const ROLE = 'Give the MongoDB user the role readWrite on this database.';
const ANOTHER_DATABASE =
  'Look at that collection, or use a database of its own (MONGODB_URI=mongodb://…/jwt-history).';

/** By the server's error code: what to do. Every other code is taken for an outage, and waited for. */
const MENDS: Readonly<Record<number, string>> = {
  2: 'Check MONGODB_URI.',
  9: 'Check MONGODB_URI.',
  13: ROLE,
  18: 'Check the user, the password and authSource in MONGODB_URI.',
  20: ANOTHER_DATABASE,
  31: ROLE,
  48: ANOTHER_DATABASE,
  59: 'Use MongoDB 6.0 or newer.',
  67: ANOTHER_DATABASE,
  72: ANOTHER_DATABASE,
  73: 'Check the name of the database in MONGODB_URI.',
  85: ANOTHER_DATABASE,
  86: ANOTHER_DATABASE,
  115: 'Use MongoDB 6.0 or newer, with WiredTiger.',
  121: ANOTHER_DATABASE,
  166: ANOTHER_DATABASE,
  167: ANOTHER_DATABASE,
  197: ANOTHER_DATABASE,
  // Of MongoDB Atlas: wrong credentials, or a user without rights.
  8000: 'Check the user and the password in MONGODB_URI.',
  11_000: ANOTHER_DATABASE,
  14_031: 'Make room on the disk that holds the database: an index needs 500 MB free.',
  13_297: 'Write the name of the database in MONGODB_URI in the case that it has.',
  40_324: 'Use MongoDB 6.0 or newer.',
};

/** A certificate that is refused now is refused in a second too. */
const CERTIFICATE =
  /^(ERR_TLS_|CERT_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_)/;

/** The error that says so when this failure won't pass by itself; null = it may, wait for it. */
export function toRefusal(error: unknown): StoreRefusedError | null {
  if (error instanceof StoreRefusedError) return error;
  for (const each of withCauses(error)) {
    const mend = mendFor(each);
    if (mend !== null) {
      return new StoreRefusedError(
        `The database refuses: ${sentence(each.message)} ${mend}`,
        error,
      );
    }
  }
  // Neither an outage nor the database's: a mistake of ours, or one that no code describes.
  if (error instanceof ServiceError) return null;
  const message = error instanceof Error ? error.message : String(error);
  return new StoreRefusedError(`The database can't be used: ${sentence(message)}`, error);
}

/** Whether this is the server's refusal with that code, at whatever depth. */
export function hasCode(error: unknown, code: number): boolean {
  return withCauses(error).some((each) => (each as { code?: unknown }).code === code);
}

function mendFor(error: Error): string | null {
  const { code } = error as { code?: unknown };
  if (typeof code === 'string' && CERTIFICATE.test(code)) {
    return "Check the server's certificate, and tlsCAFile in MONGODB_URI.";
  }
  if (error instanceof mongoose.mongo.MongoServerError && typeof code === 'number') {
    return MENDS[code] ?? null;
  }
  if (
    error instanceof mongoose.mongo.MongoCompatibilityError ||
    /wire version/.test(error.message)
  ) {
    return 'Use MongoDB 6.0 or newer.';
  }
  if (
    error instanceof mongoose.mongo.MongoParseError ||
    error instanceof mongoose.mongo.MongoInvalidArgumentError ||
    error instanceof mongoose.mongo.MongoMissingCredentialsError
  ) {
    return 'Check MONGODB_URI.';
  }
  return null;
}

/** The error, its causes, and what the driver noted of each server when it found none. */
function withCauses(error: unknown, depth = 0): Error[] {
  if (!(error instanceof Error) || depth > 5) return [];
  const { reason } = error as { reason?: { servers?: unknown } };
  const servers: unknown[] = reason?.servers instanceof Map ? [...reason.servers.values()] : [];
  return [
    error,
    ...withCauses(error.cause, depth + 1),
    ...servers.flatMap((server) => withCauses((server as { error?: unknown }).error, depth + 1)),
  ];
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
