/** A folder with a large embedded database: made once, used again by later runs. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import mongoose from 'mongoose';
import { createPasswordHasher } from '../src/auth/password-hash.js';
import { systemClock } from '../src/clock.js';
import { openStore } from '../src/store/database/connect.js';
import { startEngine } from '../src/store/embedded/engine.js';
import {
  type Device,
  newTokenRecord,
  type Revocation,
  type TokenKind,
  type TokenOrigin,
} from '../src/store/records.js';
import type { TokenDocument } from '../src/store/tokens/model.js';
import { createJti } from '../src/tokens/jti.js';
import { purgeTime } from '../src/tokens/record-of-claims.js';
import { progress } from './results.js';

export const ADMIN = { email: 'admin@bench.example', password: 'administrator of the bench' };
export const HOLDER = { email: 'holder@bench.example', password: 'holder of many tokens' };

export interface Seed {
  readonly records: number;
  /** How many of them belong to the holder. */
  readonly ofHolder: number;
  readonly holderId: string;
  readonly otherUsers: number;
  /** Of what the records look like: a folder of another version is made anew. */
  readonly version: typeof VERSION;
  /** The folder is used again for some days after it. */
  readonly seededAt: number;
}

const SEED_FILE = 'bench-seed.json';
const VERSION = 2;
const DAY_MS = 86_400_000;
/** Short enough that no record is due to be purged while the folder is used again. */
const SPAN_MS = 110 * DAY_MS;
const USABLE_FOR_MS = 5 * DAY_MS;
const RETENTION_SECONDS = (90 * DAY_MS) / 1000;
const ISSUER = 'https://tiledesk.com';
const BATCH = 5000;
const AT_ONCE = 2;

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

/** The folder holds such a database when it resolves; what else was in it is removed. */
export async function seedFolder(
  folder: string,
  given: Pick<Seed, 'records' | 'ofHolder' | 'otherUsers'>,
): Promise<Seed> {
  const wanted = { ...given, version: VERSION } as const;
  const found = readSeed(folder);
  if (
    found?.version === VERSION &&
    found.records === wanted.records &&
    found.ofHolder === wanted.ofHolder &&
    found.otherUsers === wanted.otherUsers &&
    Date.now() - found.seededAt < USABLE_FOR_MS
  ) {
    progress(`${folder} holds ${found.records} records already.`);
    return found;
  }
  if (found === null && existsSync(folder) && readdirSync(folder).length > 0)
    throw new Error(`${folder} is not empty and not made by this bench. Give another --dir.`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // First, so that a folder left half done is known as ours; the date says that it isn't complete.
  writeSeed(folder, { ...wanted, holderId: '', seededAt: 0 });
  const engine = await startEngine({ dataDir: folder });
  try {
    const seed = { ...wanted, holderId: await makeUsers(engine.uri), seededAt: Date.now() };
    await insertTokens(engine.uri, seed);
    writeSeed(folder, seed);
    return seed;
  } finally {
    await engine.stop();
  }
}

function readSeed(folder: string): Seed | null {
  const path = join(folder, SEED_FILE);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Seed) : null;
}

function writeSeed(folder: string, seed: Seed): void {
  writeFileSync(join(folder, SEED_FILE), `${JSON.stringify(seed)}\n`);
}

/** Makes the indexes too, as every start of the service does. @returns the holder's id. */
async function makeUsers(uri: string): Promise<string> {
  const store = await openStore({ uri, clock: systemClock });
  try {
    const { hash } = createPasswordHasher();
    const rest = { firstname: null, lastname: null };
    const adminHash = await hash(ADMIN.password);
    await store.users.insert({
      email: ADMIN.email,
      passwordHash: adminHash,
      role: 'admin',
      ...rest,
    });
    const holderHash = await hash(HOLDER.password);
    const holder = await store.users.insert({
      email: HOLDER.email,
      passwordHash: holderHash,
      role: null,
      ...rest,
    });
    return holder.id;
  } finally {
    await store.close();
  }
}

async function insertTokens(uri: string, seed: Seed): Promise<void> {
  const connection = await mongoose
    .createConnection(uri, { dbName: 'jwt-history', maxPoolSize: AT_ONCE })
    .asPromise();
  try {
    const tokens = connection.collection('tokens');
    const startedAt = performance.now();
    let next = 0;
    let done = 0;
    let printed = 0;
    const insertBatches = async () => {
      while (next < seed.records) {
        const from = next;
        next = Math.min(seed.records, from + BATCH);
        const batch = Array.from({ length: next - from }, (_, i) => tokenDocument(from + i, seed));
        await tokens.insertMany(batch, { ordered: false, writeConcern: { w: 1 } });
        done += batch.length;
        if (done - printed >= seed.records / 20 || done === seed.records) {
          printed = done;
          const seconds = (performance.now() - startedAt) / 1000;
          progress(`seeded ${done} of ${seed.records} records, ${seconds.toFixed(0)} s`);
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, insertBatches));
  } finally {
    await connection.close();
  }
}

/** The `number`th record in the order of time, with every field that the store writes. */
function tokenDocument(number: number, seed: Seed): Omit<TokenDocument, '_id'> {
  const createdAt = seed.seededAt - Math.floor(SPAN_MS * (1 - number / seed.records)) - 1000;
  const isHolders = number % Math.floor(seed.records / seed.ofHolder) === 0;
  const userId =
    isHolders && number < Math.floor(seed.records / seed.ofHolder) * seed.ofHolder
      ? seed.holderId
      : userIdOf(Math.floor(Math.random() * seed.otherUsers));
  const kind = kindOf();
  const lifetimeMs = LIFETIMES_MS[kind];
  const expiresAt = lifetimeMs === null ? null : new Date(createdAt + lifetimeMs);
  const usableUntil = Math.min(seed.seededAt, expiresAt?.getTime() ?? Infinity);
  const duringUse = () =>
    new Date(createdAt + Math.floor(Math.random() * (usableUntil - createdAt)));
  const lastUsedAt = Math.random() < SHARES.unused ? null : duringUse();
  const revocation = Math.random() < SHARES.revoked ? revocationBy(userId, duringUse()) : null;
  const refused = revocation !== null && Math.random() < SHARES.refused;
  return {
    ...newTokenRecord({
      jti: createJti(createdAt),
      kind,
      origin: kind === 'access' ? originOf() : 'fusionauth',
      issuer: ISSUER,
      subject: 'user',
      audience: ISSUER,
      userId,
      applicationId: applicationOf(),
      sessionId:
        kind === 'access' && Math.random() < SHARES.inSession
          ? sessionIdOf(Math.floor(number / PER_SESSION))
          : null,
      device: deviceOf(number),
      issuedAt: new Date(createdAt),
      expiresAt,
      lastUsedAt,
      revocation,
      purgeAt: purgeTime(expiresAt, RETENTION_SECONDS),
    }),
    ...(lastUsedAt === null ? {} : { firstUsedAt: new Date(createdAt + 1000) }),
    ...(refused ? { lastRefusedAt: refusedAt(revocation.at, seed), refusedCount: 3 } : {}),
    createdAt: new Date(createdAt),
    updatedAt: revocation?.at ?? new Date(createdAt),
  };
}

/** The id of a user who exists in records only. */
export function userIdOf(number: number): string {
  return number.toString(16).padStart(24, '0');
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
function refusedAt(revokedAt: Date, { seededAt }: Seed): Date {
  const from = Math.random() < 0.5 ? revokedAt.getTime() : seededAt - 3_600_000;
  return new Date(from + Math.floor(Math.random() * (seededAt - from)));
}

function applicationOf(): string | null {
  const share = Math.random();
  if (share < SHARES.noApplication) return null;
  if (share < SHARES.noApplication + SHARES.largestApplication) return applicationId(0);
  return applicationId(1 + Math.floor(Math.random() * (APPLICATIONS - 1)));
}

function revocationBy(by: string, at: Date): Revocation {
  return { at, by, reason: null, via: 'tiledesk' };
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
