/** Part `http`: requests per second of the check, and of what is used instead of it, side by side. */
import type { ChildProcess } from 'node:child_process';
import { startEngine } from '../src/store/embedded/engine.js';
import { withTemporaryFolder } from './built-service.js';
import { endChild, messageOf, startChild } from './children.js';
import { databaseOf, type Material, prepare } from './http-material.js';
import { CONNECTIONS, findLoadGenerator, type Load, type LoadGenerator } from './load-generator.js';
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

interface RunningServer {
  readonly entrant: Entrant;
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

export async function measureHttp({ rounds, seconds, divisor }: Effort): Promise<PartResult> {
  const generator = await findLoadGenerator();
  const groups = groupsOf(divisor);
  const entrants = groups.flat();
  const samples = new Map<string, Sample[]>(entrants.map(({ name }) => [name, []]));
  await withTemporaryFolder(async (folder) => {
    const engine = await startEngine({ dataDir: folder });
    try {
      const material = await prepare(
        engine.uri,
        REVOKED.map((entries) => entries / divisor),
      );
      for (let round = 1; round <= rounds; round += 1) {
        for (const group of groups) {
          await withServers(group, material, async (servers) => {
            for (const server of servers) await generator.run(loadOf(server, WARM_UP_SECONDS));
            for (let turn = 1; turn <= seconds * TIMES; turn += 1) {
              // To and fro: the pace of a machine drifts.
              for (const server of turn % 2 === 0 ? servers.toReversed() : servers) {
                const sample = await measure(server, generator);
                const { name } = server.entrant;
                samples.get(name)?.push(sample);
                progress(
                  `http, round ${round} of ${rounds}: ${name}: ${figure(sample.perSecond)}/s`,
                );
              }
            }
          });
        }
      }
    } finally {
      await engine.stop();
    }
  });
  return report(entrants, samples, generator.name, MILLION / divisor);
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

/** All of a group at once, so that each is measured next to the others. */
async function withServers(
  entrants: readonly Entrant[],
  material: Material,
  use: (servers: readonly RunningServer[]) => Promise<void>,
): Promise<void> {
  const { secret, privateKey, uri, tokens } = material;
  const children: ChildProcess[] = [];
  const start = async (entrant: Entrant): Promise<RunningServer> => {
    const { peer, algorithm, revoked } = entrant;
    const database = databaseOf(revoked);
    const task: PeerTask = { peer, algorithm, revoked, secret, privateKey, uri, database };
    const child = startChild('./peers.ts', task);
    children.push(child);
    const { port } = await messageOf<{ port: number }>(child);
    const url = `http://127.0.0.1:${port}${peer === VERIFY ? '/auth/verify' : '/'}`;
    return { entrant, child, url, authorization: `JWT ${tokens[algorithm]}` };
  };
  try {
    await use(await Promise.all(entrants.map(start)));
  } finally {
    await Promise.all(children.map(endChild));
  }
}

function loadOf({ url, authorization }: RunningServer, seconds: number): Load {
  return { url, authorization, seconds };
}

async function measure(server: RunningServer, generator: LoadGenerator): Promise<Sample> {
  const spent = () => {
    server.child.send('spent');
    return messageOf<Spent>(server.child);
  };
  const before = await spent();
  const { perSecond, p99Ms } = await generator.run(loadOf(server, TURN_SECONDS));
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

function report(
  entrants: readonly Entrant[],
  samples: ReadonlyMap<string, readonly Sample[]>,
  generator: string,
  mostRevoked: number,
): PartResult {
  const medianOf = (name: string, key: keyof Sample) =>
    median((samples.get(name) ?? []).map((sample) => sample[key]));
  const perSecond = (name: string) => (samples.get(name) ?? []).map((sample) => sample.perSecond);
  /** Of the quotients of each turn: what the machine did meanwhile hits both, within a group at least. */
  const ratio = (ours: string, other: string) => {
    const theirs = perSecond(other);
    return median(perSecond(ours).map((each, turn) => each / (theirs[turn] ?? NaN)));
  };
  const rows = entrants.map(({ name }) => {
    const all = perSecond(name);
    return [
      name,
      figure(medianOf(name, 'perSecond')),
      `${figure(Math.min(...all))} to ${figure(Math.max(...all))}`,
      figure(medianOf(name, 'p99Ms')),
      `${Math.round(medianOf(name, 'busy') * 100)} %`,
      figure(medianOf(name, 'cpuMicros')),
    ];
  });
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
