/** Where attacks take place: a service with its users, measured at rest, then while it is attacked. */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { type BuiltService, signIn, startBuiltService } from '../../bench/built-service.js';
import { endChild, messageOf, startChild } from '../../bench/children.js';
import type { AttackerMessage, AttackerTask } from './attacker-child.js';
import type { BystanderFigures, BystanderTask } from './bystander-child.js';
import { judge, type Measured } from './judge.js';
import { engineOf, watchMemory } from './watch.js';

export interface Options {
  readonly short: boolean;
  readonly seed: number;
  progress(text: string): void;
}

export interface Result {
  readonly line: string;
  readonly faults: readonly string[];
}

const ADMINISTRATOR = {
  email: 'root@attack.example',
  password: 'the administrator of the attacks',
};
const PASSWORD = 'one who has nothing to do with it';
/** One of them signs in every second, and a right password is remembered for 30 s. */
const EFFORT = {
  full: { bystanders: 32, rounds: 150, restMs: 5000 },
  short: { bystanders: 12, rounds: 80, restMs: 1200 },
} as const;
const SETTLE_MS = 300;
const ATTACK_WITHIN_MS = 900_000;

/** A service with its users, for one attack after the other. */
export interface Arena {
  run(name: string): Promise<Result>;
  /** @throws when the service doesn't stop as it should. */
  close(): Promise<void>;
}

/** Opens one on the folder, which must be empty. */
export async function openArena(
  dataDir: string,
  settings: Readonly<Record<string, string>>,
  options: Options,
): Promise<Arena> {
  const service = await startBuiltService(dataDir, {
    ADMIN_EMAIL: ADMINISTRATOR.email,
    ADMIN_PASSWORD: ADMINISTRATOR.password,
    // Everybody comes from this machine: who is who, the proxy says.
    TRUST_PROXY: '1',
    ...settings,
  });
  const children: ChildProcess[] = [];
  const endAll = () => Promise.all(children.map((child) => endChild(child)));
  const startOne = (file: string, task: unknown) => {
    const child = startChild(new URL(file, import.meta.url).href, task);
    children.push(child);
    return child;
  };
  try {
    const authorization = await signIn(service, ADMINISTRATOR.email, ADMINISTRATOR.password);
    const { bystanders, rounds } = options.short ? EFFORT.short : EFFORT.full;
    const users = await makeBystanders(service, authorization, bystanders);
    await warmUp(service, authorization, rounds);
    const task: BystanderTask = {
      address: service.address,
      bareAddress: await messageOf<string>(startOne('./bare-server-child.ts', null)),
      tokens: users.map(({ token }) => token),
      emails: users.map(({ email }) => email),
      password: PASSWORD,
    };
    const bystander = startOne('./bystander-child.ts', task);
    await askedHow(bystander);
    const ids = users.map(({ id }) => id);
    return {
      run: (name) => attacked({ service, bystander, bystanderIds: ids, dataDir }, name, options),
      async close() {
        await endAll();
        await service.stop();
      },
    };
  } catch (error) {
    await endAll();
    await service.kill();
    throw error;
  }
}

interface Scene {
  readonly service: BuiltService;
  readonly bystander: ChildProcess;
  readonly bystanderIds: readonly string[];
  readonly dataDir: string;
}

async function attacked(
  { service, bystander, bystanderIds, dataDir }: Scene,
  name: string,
  { short, seed, progress }: Options,
): Promise<Result> {
  const { address, pid } = service;
  if (pid === null) throw new Error('the service has no process id');
  const engine = engineOf(pid);
  const logged = service.log().length;
  const target = { address, pid, dataDir, administrator: ADMINISTRATOR, bystanderIds, short, seed };
  const task: AttackerTask = { name, target };
  const attacker = startChild(new URL('./attacker-child.ts', import.meta.url).href, task);
  try {
    await messageOfType(attacker, 'ready', progress);
    await delay(SETTLE_MS);
    await askedHow(bystander);
    const resting = watchMemory(pid);
    await delay(short ? EFFORT.short.restMs : EFFORT.full.restMs);
    const rest = await askedHow(bystander);
    resting.stop();

    const watch = watchMemory(pid);
    const startedAt = performance.now();
    attacker.send('attack');
    const { outcome } = await messageOfType(attacker, 'outcome', progress);
    const seconds = (performance.now() - startedAt) / 1000;
    const during = await askedHow(bystander);
    watch.stop();
    const measured: Measured = {
      seconds,
      rest: { ...rest, memory: resting.peak },
      during: { ...during, memory: watch.peak },
      engineChanged: engineOf(pid) !== engine,
      log: service.log().slice(logged),
    };
    return judge(outcome, measured, short);
  } finally {
    await endChild(attacker);
  }
}

function askedHow(bystander: ChildProcess): Promise<BystanderFigures> {
  bystander.send('how was it?');
  return messageOf<BystanderFigures>(bystander);
}

async function makeBystanders(service: BuiltService, authorization: string, count: number) {
  const made = [];
  for (let at = 0; at < count; at += 1) {
    const email = `bystander-${at}-${randomBytes(4).toString('hex')}@attack.example`;
    const { status, text } = await service.call('POST', '/admin/users', {
      authorization,
      body: { email, password: PASSWORD },
    });
    if (status !== 201) throw new Error(`POST /admin/users was answered ${status}: ${text}`);
    const { _id: id } = JSON.parse(text) as { _id: string };
    const token = (await signIn(service, email, PASSWORD)).replace('JWT ', '');
    made.push({ id, email, token });
  }
  return made;
}

/** What any service has done by the time that somebody attacks it. */
async function warmUp(service: BuiltService, authorization: string, rounds: number): Promise<void> {
  const PATHS = [
    '/auth/verify',
    '/v3/jwt/history',
    '/admin/tokens?limit=100',
    '/admin/summary',
    '/admin/tokens/export?format=ndjson',
  ];
  for (let round = 0; round < rounds; round += 1) {
    await Promise.all(PATHS.map((path) => service.call('GET', path, { authorization })));
    await Promise.all(
      Array.from({ length: 50 }, () => service.call('GET', '/auth/verify', { authorization })),
    );
  }
}

/** Hands on what it says of its progress. @throws when it ends before. */
async function messageOfType<T extends AttackerMessage['type']>(
  child: ChildProcess,
  type: T,
  progress: (text: string) => void,
): Promise<Extract<AttackerMessage, { type: T }>> {
  const over = new AbortController();
  const { signal } = over;
  const message = new Promise<AttackerMessage>((resolve) => {
    const listen = (given: AttackerMessage) => {
      if (given.type === 'progress') progress(given.text);
      if (given.type !== type) return;
      child.off('message', listen);
      resolve(given);
    };
    child.on('message', listen);
  });
  try {
    return (await Promise.race([
      message,
      once(child, 'exit', { signal }).then(([code]) => {
        throw new Error(`the attacker ended with ${String(code)}`);
      }),
      delay(ATTACK_WITHIN_MS, undefined, { signal }).then(() => {
        throw new Error(`the attack was not over within ${ATTACK_WITHIN_MS / 1000} s`);
      }),
    ])) as Extract<AttackerMessage, { type: T }>;
  } finally {
    over.abort();
  }
}
