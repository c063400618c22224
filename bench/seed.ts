/** A folder with a large embedded database: made once, used again by later runs. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Device, TokenKind, TokenOrigin } from '../src/store/records.js';
import type { TokenDocument } from '../src/store/tokens/model.js';
import { built, openBuiltStore } from './built-parts.js';
import { ADMIN, withEngine } from './built-service.js';
import { type Effort, progress } from './results.js';
import {
  connectDirectly,
  DAY_MS,
  insertDocuments,
  tokenDocument,
  userIdOf,
} from './token-documents.js';

export const HOLDER = { email: 'holder@bench.example', password: 'holder of many tokens' };
/** How many of the records belong to the holder. */
export const OF_HOLDER = 1000;
const OTHER_USERS = 20_000;

export interface Seed {
  readonly folder: string;
  readonly records: number;
  readonly holderId: string;
  /** Of what the records look like: a folder of another version is made anew. */
  readonly version: typeof VERSION;
  /** The folder is used again for some days after it. */
  readonly seededAt: number;
}

const SEED_FILE = 'bench-seed.json';
const VERSION = 3;
/** Short enough that no record is due to be purged while the folder is used again. */
const SPAN_MS = 110 * DAY_MS;
const USABLE_FOR_MS = 5 * DAY_MS;

/** One in 100 is an API key; a third of the rest are refresh tokens. */
const LIFETIMES_MS = { access: 30 * DAY_MS, refresh: 60 * DAY_MS, 'api-key': null } as const;
const APPLICATIONS = 20;
/** The share of records without an application, and of the largest application. */
const SHARES = {
  noApplication: 0.2,
  largestApplication: 0.4,
  revoked: 0.1,
  /** Of the revoked. */
  refused: 0.02,
  unused: 0.2,
  inSession: 0.3,
  named: 0.3,
} as const;
const PER_SESSION = 4;
/** Of access tokens; the rest were signed in. */
const ORIGINS = [
  ['woleet', 0.002],
  ['registered', 0.03],
  ['adopted', 0.1],
] as const satisfies readonly (readonly [TokenOrigin, number])[];

/**
 * The database that `lists` and `searches` ask, in `dir` or in the system's temporary folder; what
 * else was in the folder of an older one is removed.
 * @throws when the folder is another's.
 */
export async function seedFolder(effort: Effort): Promise<Seed> {
  const records = Math.max(OF_HOLDER, effort.records / effort.divisor);
  const folder = effort.dir ?? join(tmpdir(), `jwt-history-bench-lists-${records}`);
  const file = join(folder, SEED_FILE);
  const found = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Seed) : null;
  if (
    found?.version === VERSION &&
    found.records === records &&
    Date.now() - found.seededAt < USABLE_FOR_MS
  ) {
    progress(`${folder} holds ${records} records already.`);
    return { ...found, folder };
  }
  if (found === null && existsSync(folder) && readdirSync(folder).length > 0)
    throw new Error(`${folder} is not empty and not made by this bench. Give another --dir.`);
  progress(`${folder} gets ${records} records.`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const write = (seed: Seed) => writeFileSync(file, `${JSON.stringify(seed)}\n`);
  const unfinished = { folder, records, version: VERSION, holderId: '', seededAt: 0 } as const;
  // First, so that a folder left half done is known as ours; the date says that it isn't complete.
  write(unfinished);
  return withEngine(folder, async ({ uri }) => {
    const holderId = await makeUsers(uri);
    const seed = { ...unfinished, holderId, seededAt: Date.now() };
    const connection = await connectDirectly(uri);
    await insertDocuments(connection, records, (number) => documentOf(number, seed));
    await connection.close();
    write(seed);
    return seed;
  });
}

/** @returns the holder's id. */
async function makeUsers(uri: string): Promise<string> {
  const { createPasswordHasher } = await built('auth/password-hash.js');
  const { hash } = createPasswordHasher();
  const store = await openBuiltStore(uri);
  const insert = async ({ email, password }: typeof HOLDER, role: 'admin' | null) => {
    const passwordHash = await hash(password);
    return store.users.insert({ email, passwordHash, role, firstname: null, lastname: null });
  };
  try {
    await insert(ADMIN, 'admin');
    return (await insert(HOLDER, null)).id;
  } finally {
    await store.close();
  }
}

/** The `number`th record in the order of time. */
function documentOf(number: number, { records, holderId, seededAt }: Seed): TokenDocument {
  const createdMs = seededAt - Math.floor(SPAN_MS * (1 - number / records)) - 1000;
  const every = Math.floor(records / OF_HOLDER);
  const isHolders = number % every === 0 && number < every * OF_HOLDER;
  const userId = isHolders ? holderId : userIdOf(Math.floor(Math.random() * OTHER_USERS));
  const kind = kindOf();
  const lifetimeMs = LIFETIMES_MS[kind];
  const createdAt = new Date(createdMs);
  const expiresAt = lifetimeMs === null ? null : new Date(createdMs + lifetimeMs);
  const usableUntil = Math.min(seededAt, expiresAt?.getTime() ?? Infinity);
  const duringUse = () => timeBetween(createdMs, usableUntil);
  const lastUsedAt = Math.random() < SHARES.unused ? null : duringUse();
  const revokedAt = Math.random() < SHARES.revoked ? duringUse() : null;
  const refused = revokedAt !== null && Math.random() < SHARES.refused;
  const inSession = kind === 'access' && Math.random() < SHARES.inSession;
  return tokenDocument({
    kind,
    origin: kind === 'access' ? originOf() : 'fusionauth',
    userId,
    applicationId: applicationOf(),
    sessionId: inSession ? sessionIdOf(Math.floor(number / PER_SESSION)) : null,
    device: deviceOf(number),
    createdAt,
    issuedAt: createdAt,
    expiresAt,
    lastUsedAt,
    ...(lastUsedAt === null ? {} : { firstUsedAt: new Date(createdMs + 1000) }),
    ...(refused ? { lastRefusedAt: refusedAt(revokedAt, seededAt), refusedCount: 3 } : {}),
    revocation:
      revokedAt === null ? null : { at: revokedAt, by: userId, reason: null, via: 'tiledesk' },
    updatedAt: revokedAt ?? createdAt,
  });
}

function timeBetween(from: number, to: number): Date {
  return new Date(from + Math.floor(Math.random() * (to - from)));
}

/** The id of a session with some access tokens. */
export function sessionIdOf(number: number): string {
  return `session-${number}`;
}

export function applicationId(number: number): string {
  return `app-${number}`;
}

function kindOf(): TokenKind {
  if (Math.random() < 0.01) return 'api-key';
  return Math.random() < 0.33 ? 'refresh' : 'access';
}

function originOf(): TokenOrigin {
  let share = Math.random();
  for (const [origin, size] of ORIGINS) {
    if (share < size) return origin;
    share -= size;
  }
  return 'signin';
}

/** Half of them within an hour before the seeding. */
function refusedAt(revokedAt: Date, seededAt: number): Date {
  return timeBetween(Math.random() < 0.5 ? revokedAt.getTime() : seededAt - 3_600_000, seededAt);
}

function applicationOf(): string | null {
  const share = Math.random();
  if (share < SHARES.noApplication) return null;
  if (share < SHARES.noApplication + SHARES.largestApplication) return applicationId(0);
  return applicationId(1 + Math.floor(Math.random() * (APPLICATIONS - 1)));
}

function deviceOf(number: number): Device {
  return {
    name: Math.random() < SHARES.named ? `Phone ${number % 1000} of the house` : null,
    description: null,
    type: null,
    userAgent: `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${100 + (number % 40)}.0.0.0 Safari/537.36`,
    ip: `10.${number % 256}.${(number >> 8) % 256}.7`,
    location: null,
  };
}
