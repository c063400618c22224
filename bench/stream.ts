/** Part `stream`: what a thousand viewers of the live stream cost those who ask `/auth/verify` meanwhile. */
import { connect } from 'node:net';
import { constants, setPriority } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { ADMIN, type SharedEngine, signIn, withSharedEngine } from './built-service.js';
import { asChild, endChild, endWithParent, messageOf, send, startChild } from './children.js';
import { atRate, CONNECTIONS, findLoadGenerator, type LoadGenerator } from './clients.js';
import { atMost, createSamples, type Effort, type PartResult, progress } from './results.js';
import { connectDirectly, type Inserted, insertTokens } from './token-documents.js';

const VIEWERS = 1000;
/** Each may have a hundred streams. */
const ADMINISTRATORS = 20;
const REVOKES_PER_SECOND = 20;
const WARM_UP_SECONDS = 1;
/** A p99 varies much more from one measurement to the next than what others measure, and messages may be two seconds apart. */
const MORE_ROUNDS = 2;
const LONGER = 3;
/** After the last revoke. */
const SHOWN_WITHIN_MS = 5000;
const ASK_EVERY_MS = 100;

interface Sample {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
  /** What each viewer got in a second. */
  readonly bytesPerViewer: number;
}

interface Given extends SharedEngine {
  /** Those of the administrators whose browsers watch. */
  readonly watchers: readonly string[];
  readonly generator: LoadGenerator;
  readonly seconds: number;
}

export async function measureStream(effort: Effort): Promise<PartResult> {
  const rounds = effort.rounds * MORE_ROUNDS;
  const seconds = effort.seconds * LONGER;
  const generator = await findLoadGenerator();
  const viewers = Math.max(10, VIEWERS / effort.divisor);
  const [without, withThem] = ['no viewers', `${viewers.toLocaleString('en')} viewers`] as const;
  const samples = createSamples<keyof Sample>([without, withThem]);
  await withSharedEngine({}, async (shared) => {
    const given = { ...shared, watchers: await signInWatchers(shared), generator, seconds };
    const { authorization, service } = shared;
    const url = `${service.address}/auth/verify`;
    await generator.run({ url, authorization, seconds: WARM_UP_SECONDS });
    const connection = await connectDirectly(shared.engine.uri);
    const revokes = Math.ceil(REVOKES_PER_SECOND * (seconds + 3));
    try {
      for (let round = 1; round <= rounds; round += 1) {
        // In turn, each first every other time: a machine's pace drifts.
        const order = [without, withThem];
        for (const condition of round % 2 === 0 ? order : order.toReversed()) {
          const targets = await insertTokens(connection, revokes, { revoked: false, keep: true });
          const sample = await measure(condition === without ? 0 : viewers, targets, given);
          samples.add(condition, sample);
          const p99 = sample.p99Ms.toFixed(2);
          progress(`stream, round ${round} of ${rounds}: ${condition}: p99 ${p99} ms`);
        }
      }
    } finally {
      await connection.close();
    }
  });
  const { median, range, ratio } = samples;
  const title = `GET /auth/verify, ${CONNECTIONS} connections, ${generator.name}, ${REVOKES_PER_SECOND} revokes/s`;
  return {
    tables: [
      samples.table(title, {
        'p50 ms': median('p50Ms'),
        'p99 ms': median('p99Ms'),
        'all rounds': range('p99Ms'),
        'requests/s': median('perSecond'),
        'kB/s per viewer': (name) => median('bytesPerViewer')(name) / 1000,
      }),
    ],
    figures: { generator: generator.name, count: viewers, samples: samples.all },
    // Of neighbours, which had the same machine.
    targets: [atMost(`p99 with ${withThem} ÷ without`, ratio('p99Ms', without)(withThem), 1.2)],
  };
}

async function signInWatchers({ service, authorization }: SharedEngine): Promise<string[]> {
  const watchers: string[] = [];
  for (let i = 0; i < ADMINISTRATORS; i += 1) {
    const account = { email: `watcher-${i}@bench.example`, password: ADMIN.password };
    const body = { ...account, role: 'admin' };
    const { status, text } = await service.call('POST', '/admin/users', { authorization, body });
    if (status !== 201) throw new Error(`a new administrator was answered ${status}: ${text}`);
    watchers.push(await signIn(service, account.email, account.password));
  }
  return watchers;
}

async function measure(
  count: number,
  targets: readonly Inserted[],
  { service, authorization, watchers, generator, seconds }: Given,
): Promise<Sample> {
  const port = Number(new URL(service.address).port);
  const task: ViewersTask = { port, authorizations: watchers, count };
  const child = startChild(import.meta.url, task);
  let enough = false;
  const revoke = async (number: number) => {
    const path = `/v3/jwt/history/${targets[number]?.jti}`;
    const { status, text } = await service.call('DELETE', path, { authorization });
    if (status !== 200) throw new Error(`a revoke was answered ${status}: ${text}`);
  };
  try {
    await messageOf<Viewed>(child);
    const isEnough = (number: number) => enough || number === targets.length;
    const revokes = atRate(REVOKES_PER_SECOND, revoke, isEnough);
    // What the opening cost is not what watching costs.
    await delay(500);
    const ask = () => {
      child.send('viewed');
      return messageOf<Viewed>(child);
    };
    await ask();
    const url = `${service.address}/auth/verify`;
    const answered = await generator.run({ url, authorization, seconds });
    const { open, bytes } = await ask();
    enough = true;
    const revoked = (await revokes).length;
    if (open !== count) throw new Error(`Of ${count} viewers ${open} were left.`);
    if (count > 0) await untilShown(revoked, ask);
    return { ...answered, bytesPerViewer: count === 0 ? 0 : bytes / count / seconds };
  } finally {
    enough = true;
    await endChild(child);
  }
}

/** @throws when not everything that was revoked is shown. */
async function untilShown(revoked: number, ask: () => Promise<Viewed>): Promise<void> {
  const endAt = performance.now() + SHOWN_WITHIN_MS;
  for (;;) {
    const { shown } = await ask();
    if (shown >= revoked) return;
    if (performance.now() > endAt)
      throw new Error(`${revoked} were revoked, and a viewer was shown ${shown}.`);
    await delay(ASK_EVERY_MS);
  }
}

interface ViewersTask {
  readonly port: number;
  /** Of several administrators, who watch in turn. */
  readonly authorizations: readonly string[];
  readonly count: number;
}

interface Viewed {
  /** Streams that are open. */
  readonly open: number;
  /** Bytes that all of them got since they were asked last. */
  readonly bytes: number;
  /** Revoked tokens that the first of them was shown in all. */
  readonly shown: number;
}

interface Change {
  readonly type: string;
  readonly token?: { readonly jti: string };
}

const OPENING_AT_ONCE = 50;
const READ_EVERY_MS = 100;
const SLEEP_MS = 90;

/** In the child: viewers on raw sockets, that read what they get and throw it away. */
async function view({ port, authorizations, count }: ViewersTask): Promise<void> {
  // Viewers have machines of their own. Here they get what the service and those who ask it leave over,
  // and read now and then only: each write to one who waits for it would wake another process.
  setPriority(constants.priority.PRIORITY_LOW);
  let open = 0;
  let bytes = 0;
  /** One may be shown twice: as a change here, and by what the database says. */
  const shown = new Set<string>();
  /** What the first one got of a message that isn't complete. */
  let unread = '';

  function read(text: string): void {
    const messages = (unread + text).split('\n\n');
    unread = messages.pop() ?? '';
    for (const message of messages) {
      const data = /^data:(.*)$/m.exec(message)?.[1];
      if (data === undefined || !/^event:changes$/m.test(message)) continue;
      for (const { type, token } of JSON.parse(data) as Change[])
        if (type === 'revoked' && token !== undefined) shown.add(token.jti);
    }
  }

  function openOne(index: number): Promise<void> {
    const authorization = authorizations[index % authorizations.length];
    const request = `GET /admin/events/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${authorization}\r\n\r\n`;
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(request));
      socket.once('data', (chunk) => {
        const head = chunk.toString('latin1');
        if (!head.startsWith('HTTP/1.1 200')) {
          reject(new Error(`a viewer was answered ${head.slice(0, 200)}`));
          return;
        }
        open += 1;
        resolve();
        socket.once('close', () => (open -= 1));
        socket.on('data', (more) => {
          bytes += more.length;
          if (index === 0) read(more.toString('latin1'));
        });
      });
      socket.once('error', reject);
    });
  }

  for (let opened = 0; opened < count; opened += OPENING_AT_ONCE) {
    const howMany = Math.min(OPENING_AT_ONCE, count - opened);
    await Promise.all(Array.from({ length: howMany }, (_, i) => openOne(opened + i)));
  }
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  setInterval(() => Atomics.wait(sleeper, 0, 0, SLEEP_MS), READ_EVERY_MS);
  const tell = () => send({ open, bytes, shown: shown.size } satisfies Viewed);
  process.on('message', () => {
    tell();
    bytes = 0;
  });
  endWithParent();
  tell();
}

await asChild(import.meta.url, view);
