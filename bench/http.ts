/** Part `http`: requests per second of the check, and of what is used instead of it, side by side. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import jwt from 'jsonwebtoken';
import mongoose from 'mongoose';
import { startEngine } from '../src/store/embedded/engine.js';
import { createJti } from '../src/tokens/jti.js';
import { withTemporaryFolder } from './built-service.js';
import { endChild, messageOf, startChild } from './children.js';
import { CONNECTIONS, findLoadGenerator, type LoadGenerator } from './load-generator.js';
import type { PeerName, PeerTask, Spent } from './peers.js';
import { atLeast, type Effort, figure, median, type PartResult, progress } from './results.js';

interface Entrant {
  readonly name: string;
  readonly peer: PeerName;
  readonly algorithm: PeerTask['algorithm'];
  readonly revoked: number;
}

interface Sample {
  readonly perSecond: number;
  readonly p99Ms: number;
  /** Share of the time in which the server's event loop was busy: below 1 the load generator is the limit. */
  readonly busy: number;
  /** Of all threads of the server, for one request. */
  readonly cpuMicros: number;
  /** What the event loop would answer in a second, were it busy all the time. */
  readonly perBusySecond: number;
}

interface Material {
  readonly secret: string;
  readonly privateKey: string;
  readonly uri: string;
  readonly tokens: Readonly<Record<PeerTask['algorithm'], string>>;
}

const WARM_UP_SECONDS = 1;
/** Of the service's two doors. */
const REVOKED = [0, 100_000, 1_000_000] as const;
const MILLION = 1_000_000;
const OTHERS: readonly PeerName[] = [
  'node:http',
  'node:http + jsonwebtoken + Set',
  'Express',
  'Express + jsonwebtoken',
  'Express + passport-jwt + Set',
  'passport-jwt, string secret, 2 Mongoose look-ups',
  'express-jwt, isRevoked asks MongoDB',
];
const VERIFY = 'GET /auth/verify';
const MIDDLEWARE = 'Express + our passport middleware';
const PEERS_DATABASE = 'bench-peers';
const ISSUER = 'https://tiledesk.com';

export async function measureHttp({ rounds, seconds, divisor }: Effort): Promise<PartResult> {
  const generator = await findLoadGenerator();
  const entrants = entrantsOf(divisor);
  const samples = new Map<string, Sample[]>(entrants.map(({ name }) => [name, []]));
  await withTemporaryFolder(async (folder) => {
    const engine = await startEngine({ dataDir: folder });
    try {
      const material = await prepare(engine.uri);
      for (let round = 1; round <= rounds; round += 1) {
        for (const entrant of entrants) {
          const sample = await measure(entrant, material, generator, seconds);
          samples.get(entrant.name)?.push(sample);
          progress(
            `http, round ${round} of ${rounds}: ${entrant.name}: ${figure(sample.perSecond)}/s`,
          );
        }
      }
    } finally {
      await engine.stop();
    }
  });
  return report(entrants, samples, generator.name, MILLION / divisor);
}

function entrantsOf(divisor: number): Entrant[] {
  const ours = (peer: PeerName) =>
    (['HS256', 'RS256'] as const).flatMap((algorithm) =>
      REVOKED.map((entries) => entries / divisor).map((revoked) => ({
        name: nameOf(peer, algorithm, revoked),
        peer,
        algorithm,
        revoked,
      })),
    );
  return [
    ...OTHERS.map((peer) => ({ name: peer, peer, algorithm: 'HS256' as const, revoked: 0 })),
    ...ours(VERIFY),
    ...ours(MIDDLEWARE),
  ];
}

function nameOf(peer: PeerName, algorithm: string, revoked: number): string {
  return `${peer}, ${algorithm}, ${revoked.toLocaleString('en')} revoked`;
}

/** The keys, one token that everyone gets (another with RS256), and the documents that look-ups find. */
async function prepare(uri: string): Promise<Material> {
  const secret = randomBytes(48).toString('base64');
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const userId = new mongoose.Types.ObjectId();
  const jti = createJti(Date.now());
  const iat = Math.floor(Date.now() / 1000);
  const claims = {
    _id: userId.toHexString(),
    email: 'andrea.rossi@bench.example',
    firstname: 'Andrea',
    lastname: 'Rossi',
    iss: ISSUER,
    aud: ISSUER,
    sub: 'user',
    jti,
    iat,
    exp: iat + 30 * 86_400,
  };
  const connection = await mongoose.createConnection(uri, { dbName: PEERS_DATABASE }).asPromise();
  const { email, firstname, lastname } = claims;
  const user = { _id: userId, email, firstname, lastname, status: 100 };
  const users = connection.collection('users');
  const history = connection.collection('jwthistories');
  await users.insertOne(user);
  await history.insertMany([
    ...Array.from({ length: 10_000 }, () => ({ jti: createJti(Date.now()), state: 1 })),
    { jti, state: 1 },
  ]);
  await history.createIndex({ jti: 1 });
  await connection.close();
  return {
    secret,
    privateKey,
    uri,
    tokens: {
      HS256: jwt.sign(claims, secret, { algorithm: 'HS256' }),
      RS256: jwt.sign(claims, privateKey, { algorithm: 'RS256' }),
    },
  };
}

async function measure(
  { peer, algorithm, revoked }: Entrant,
  { secret, privateKey, uri, tokens }: Material,
  generator: LoadGenerator,
  seconds: number,
): Promise<Sample> {
  const task: PeerTask = { peer, algorithm, revoked, secret, privateKey, uri };
  const server = startChild('./peers.ts', task);
  try {
    const { port } = await messageOf<{ port: number }>(server);
    const url = `http://127.0.0.1:${port}${peer === VERIFY ? '/auth/verify' : '/'}`;
    const authorization = `JWT ${tokens[algorithm]}`;
    await generator.run({ url, authorization, seconds: WARM_UP_SECONDS });
    const spent = () => {
      server.send('spent');
      return messageOf<Spent>(server);
    };
    const before = await spent();
    const { perSecond, p99Ms } = await generator.run({ url, authorization, seconds });
    const after = await spent();
    const requests = perSecond * seconds;
    const activeMs = after.activeMs - before.activeMs;
    return {
      perSecond,
      p99Ms,
      busy: Math.min(1, activeMs / (seconds * 1000)),
      cpuMicros: ((after.cpuMs - before.cpuMs) * 1000) / requests,
      perBusySecond: requests / (activeMs / 1000),
    };
  } finally {
    await endChild(server);
  }
}

function report(
  entrants: readonly Entrant[],
  samples: ReadonlyMap<string, readonly Sample[]>,
  generator: string,
  mostRevoked: number,
): PartResult {
  const medianOf = (name: string, key: keyof Sample) =>
    median((samples.get(name) ?? []).map((sample) => sample[key]));
  const rows = entrants.map(({ name }) => {
    const all = (samples.get(name) ?? []).map(({ perSecond }) => perSecond);
    return [
      name,
      figure(medianOf(name, 'perSecond')),
      `${figure(Math.min(...all))} to ${figure(Math.max(...all))}`,
      figure(medianOf(name, 'p99Ms')),
      `${Math.round(medianOf(name, 'busy') * 100)} %`,
      figure(medianOf(name, 'cpuMicros')),
    ];
  });
  const ratio = (ours: string, other: string) =>
    medianOf(ours, 'perSecond') / medianOf(other, 'perSecond');
  const verify = nameOf(VERIFY, 'HS256', mostRevoked);
  const middleware = nameOf(MIDDLEWARE, 'HS256', mostRevoked);
  const middlewareBefore = nameOf(MIDDLEWARE, 'HS256', 0);
  return {
    title: `${CONNECTIONS} connections, ${generator}`,
    header: ['requests/s', 'all rounds', 'p99 ms', 'event loop busy', 'CPU µs/request'],
    rows,
    figures: {
      generator,
      connections: CONNECTIONS,
      servers: Object.fromEntries(
        entrants.map(({ name }) => [
          name,
          {
            perSecond: medianOf(name, 'perSecond'),
            p99Ms: medianOf(name, 'p99Ms'),
            busy: medianOf(name, 'busy'),
            cpuMicros: medianOf(name, 'cpuMicros'),
            perBusySecond: medianOf(name, 'perBusySecond'),
            rounds: samples.get(name),
          },
        ]),
      ),
    },
    targets: [
      atLeast(
        `${verify} ÷ node:http + jsonwebtoken + Set`,
        ratio(verify, 'node:http + jsonwebtoken + Set'),
        0.75,
      ),
      atLeast(
        `${verify} ÷ passport-jwt, string secret, 2 Mongoose look-ups`,
        ratio(verify, 'passport-jwt, string secret, 2 Mongoose look-ups'),
        40,
      ),
      atLeast(
        `${middlewareBefore} ÷ Express + passport-jwt + Set`,
        ratio(middlewareBefore, 'Express + passport-jwt + Set'),
        1,
      ),
      atLeast(`${middleware} ÷ with none revoked`, ratio(middleware, middlewareBefore), 0.95),
    ],
  };
}
