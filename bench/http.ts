/** Part `http`: requests per second of the check, and of what is used instead of it, side by side. */
import type { ChildProcess } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import jwt from 'jsonwebtoken';
import mongoose from 'mongoose';
import { createJti } from '../src/tokens/jti.js';
import { withEngine, withTemporaryFolder } from './built-service.js';
import { endChild, messageOf, startChild } from './children.js';
import { CONNECTIONS, findLoadGenerator, type LoadGenerator } from './clients.js';
import { type PeerName, PEERS_DATABASE, type PeerTask, type Spent } from './peers.js';
import { atLeast, createSamples, type Effort, type PartResult, progress } from './results.js';
import { connectDirectly, ISSUER, makeRevokedDatabase } from './token-documents.js';

interface Entrant extends Pick<PeerTask, 'peer' | 'algorithm' | 'revoked'> {
  readonly name: string;
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

/** What the servers are given. */
interface Material extends Pick<PeerTask, 'secret' | 'privateKey' | 'uri'> {
  readonly tokens: Readonly<Record<PeerTask['algorithm'], string>>;
}

interface RunningServer {
  readonly name: string;
  readonly child: ChildProcess;
  readonly url: string;
  readonly authorization: string;
}

const WARM_UP_SECONDS = 2;
/** A group's servers in turn, again and again: what the machine does meanwhile then hits all alike. */
const TURN_SECONDS = 1;
/** As many turns in each round as seconds are wanted, times this: single turns differ by a tenth and more. */
const TIMES = 2;
/** Of the service's two doors. */
const REVOKED = [0, 100_000, 1_000_000] as const;
const MILLION = 1_000_000;
const BARE_SET = 'node:http + jsonwebtoken + Set';
const PASSPORT_SET = 'Express + passport-jwt + Set';
const TWO_LOOK_UPS = 'passport-jwt, string secret, 2 Mongoose look-ups';
const OTHERS: readonly PeerName[] = [
  'node:http',
  BARE_SET,
  'Express',
  'Express + jsonwebtoken',
  PASSPORT_SET,
  TWO_LOOK_UPS,
  'express-jwt, isRevoked asks MongoDB',
];
const VERIFY = 'GET /auth/verify';
const MIDDLEWARE = 'Express + our passport middleware';

export async function measureHttp({ rounds, seconds, divisor }: Effort): Promise<PartResult> {
  const generator = await findLoadGenerator();
  const groups = groupsOf(divisor);
  const samples = createSamples<keyof Sample>(groups.flat().map(({ name }) => name));
  const { median, range, ratio } = samples;
  const takeTurns = async (servers: readonly RunningServer[], round: number) => {
    for (const { url, authorization } of servers)
      await generator.run({ url, authorization, seconds: WARM_UP_SECONDS });
    for (let turn = 1; turn <= seconds * TIMES; turn += 1) {
      // To and fro: the pace of a machine drifts.
      for (const server of turn % 2 === 0 ? servers.toReversed() : servers) {
        const sample = await measure(server, generator);
        samples.add(server.name, sample);
        const perSecond = Math.round(sample.perSecond);
        progress(`http, round ${round} of ${rounds}: ${server.name}: ${perSecond}/s`);
      }
    }
  };
  await withTemporaryFolder((folder) =>
    withEngine(folder, async ({ uri }) => {
      for (const entries of REVOKED)
        await makeRevokedDatabase(uri, databaseOf(entries / divisor), entries / divisor);
      const material = await prepare(uri);
      for (let round = 1; round <= rounds; round += 1) {
        for (const group of groups)
          await withServers(group, material, (servers) => takeTurns(servers, round));
      }
    }),
  );
  const verify = nameOf(VERIFY, 'HS256', MILLION / divisor);
  const middleware = nameOf(MIDDLEWARE, 'HS256', MILLION / divisor);
  const middlewareBefore = nameOf(MIDDLEWARE, 'HS256', 0);
  const target = (name: string, other: string, least: number) =>
    atLeast(`${name} ÷ ${other}`, ratio('perSecond', other)(name), least);
  return {
    tables: [
      samples.table(`${CONNECTIONS} connections, ${generator.name}`, {
        'requests/s': median('perSecond'),
        'all rounds': range('perSecond'),
        'p99 ms': median('p99Ms'),
        'event loop busy': (name) => `${Math.round(median('busy')(name) * 100)} %`,
        'CPU µs/request': median('cpuMicros'),
        'requests/s if busy': median('perBusySecond'),
      }),
    ],
    figures: { generator: generator.name, connections: CONNECTIONS, servers: samples.all },
    targets: [
      target(verify, BARE_SET, 0.75),
      target(verify, TWO_LOOK_UPS, 40),
      target(middlewareBefore, PASSPORT_SET, 1),
      target(middleware, middlewareBefore, 0.95),
    ],
  };
}

/** Measured in turn: the other servers, and each door and algorithm with more and more revoked ids. */
function groupsOf(divisor: number): Entrant[][] {
  const ours = (peer: PeerName, algorithm: PeerTask['algorithm']) =>
    REVOKED.map((entries) => entries / divisor).map((revoked) => ({
      name: nameOf(peer, algorithm, revoked),
      peer,
      algorithm,
      revoked,
    }));
  return [
    OTHERS.map((peer) => ({ name: peer, peer, algorithm: 'HS256', revoked: 0 })),
    ours(VERIFY, 'HS256'),
    ours(VERIFY, 'RS256'),
    ours(MIDDLEWARE, 'HS256'),
    ours(MIDDLEWARE, 'RS256'),
  ];
}

function nameOf(peer: PeerName, algorithm: string, revoked: number): string {
  return `${peer}, ${algorithm}, ${revoked.toLocaleString('en')} revoked`;
}

/** The one whose revocation list has so many ids. */
function databaseOf(revoked: number): string {
  return `bench-revoked-${revoked}`;
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
  const person = { email: 'andrea.rossi@bench.example', firstname: 'Andrea', lastname: 'Rossi' };
  const claims = {
    _id: userId.toHexString(),
    ...person,
    iss: ISSUER,
    aud: ISSUER,
    sub: 'user',
    jti,
    iat,
    exp: iat + 30 * 86_400,
  };
  const connection = await connectDirectly(uri, PEERS_DATABASE);
  const history = connection.collection('jwthistories');
  await connection.collection('users').insertOne({ _id: userId, ...person, status: 100 });
  const others = Array.from({ length: 10_000 }, () => createJti(Date.now()));
  await history.insertMany([...others, jti].map((each) => ({ jti: each, state: 1 })));
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

/** All of a group at once, so that each is measured next to the others. */
async function withServers(
  entrants: readonly Entrant[],
  { tokens, ...material }: Material,
  use: (servers: readonly RunningServer[]) => Promise<void>,
): Promise<void> {
  const children: ChildProcess[] = [];
  const start = async ({ name, ...entrant }: Entrant): Promise<RunningServer> => {
    const { peer, algorithm, revoked } = entrant;
    const task: PeerTask = { ...entrant, ...material, database: databaseOf(revoked) };
    const child = startChild('./peers.ts', task);
    children.push(child);
    const { port } = await messageOf<{ port: number }>(child);
    const url = `http://127.0.0.1:${port}${peer === VERIFY ? '/auth/verify' : '/'}`;
    return { name, child, url, authorization: `JWT ${tokens[algorithm]}` };
  };
  try {
    await use(await Promise.all(entrants.map(start)));
  } finally {
    await Promise.all(children.map(endChild));
  }
}

async function measure(
  { child, url, authorization }: RunningServer,
  generator: LoadGenerator,
): Promise<Sample> {
  const spent = () => {
    child.send('spent');
    return messageOf<Spent>(child);
  };
  const before = await spent();
  const { perSecond, p99Ms } = await generator.run({ url, authorization, seconds: TURN_SECONDS });
  const after = await spent();
  const requests = perSecond * TURN_SECONDS;
  const activeMs = after.activeMs - before.activeMs;
  return {
    perSecond,
    p99Ms,
    busy: Math.min(1, activeMs / (TURN_SECONDS * 1000)),
    cpuMicros: ((after.cpuMs - before.cpuMs) * 1000) / requests,
    perBusySecond: requests / (activeMs / 1000),
  };
}
