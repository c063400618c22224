/** The process of those who use the service while it is attacked: checks at a steady pace, and a sign-in every second. */
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { connectRaw } from '../../bench/clients.js';
import { endWithParent, send, taskOf } from '../../bench/children.js';

export interface BystanderTask {
  readonly address: string;
  /** Of a server that does nothing, asked at the same pace. */
  readonly bareAddress: string;
  readonly tokens: readonly string[];
  /** Who sign in, in turn: enough of them that no password is still remembered. */
  readonly emails: readonly string[];
  readonly password: string;
}

/** Since they were asked last. */
export interface BystanderFigures {
  readonly checks: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly worstMs: number;
  /** Of the server that does nothing. */
  readonly bareP99Ms: number;
  readonly signIns: number;
  readonly slowestSignInMs: number;
  /** Answers 503, which are honest, but no help. */
  readonly unavailable: number;
  /** Anything else than what was to be expected, counted by what it was. */
  readonly wrong: Readonly<Record<string, number>>;
}

const CONNECTIONS = 8;
/** On each connection. */
const CHECK_EVERY_MS = 40;
const SIGN_IN_EVERY_MS = 1000;
const ANSWER_WITHIN_MS = 20_000;

const { address, bareAddress, tokens, emails, password } = taskOf() as BystanderTask;
let times: number[] = [];
let bareTimes: number[] = [];
let signInTimes: number[] = [];
let unavailable = 0;
let wrong: Record<string, number> = {};
/** How often figures were asked for: what a pause of before has delayed belongs to before. */
let asked = 0;
const isWrong = (what: string) => (wrong[what] = (wrong[what] ?? 0) + 1);

/**
 * Each is due at a fixed time, whether or not the last was answered, and its time counts from there:
 * what a pause of the service costs is not hidden by asking less often meanwhile.
 */
async function check(server: string, lane: number, took: (ms: number) => void): Promise<void> {
  let connection = await connectRaw(server);
  let due = performance.now() + (lane * CHECK_EVERY_MS) / CONNECTIONS;
  let next = lane;
  let dueSince = asked;
  for (;;) {
    if (dueSince !== asked) due = Math.max(due, performance.now());
    dueSince = asked;
    const wait = due - performance.now();
    if (wait > 0) await delay(wait);
    // Our own timer being late is not the service's doing.
    const from = wait > 0 ? performance.now() : due;
    const token = tokens[next % tokens.length] ?? '';
    next += 1;
    try {
      const { status } = await connection.send({
        method: 'GET',
        path: '/auth/verify',
        authorization: `Bearer ${token}`,
      });
      took(performance.now() - from);
      if (status === 503) unavailable += 1;
      else if (status !== 204) isWrong(`a check was answered ${status}`);
    } catch (error) {
      isWrong(`a check failed: ${error instanceof Error ? error.message : String(error)}`);
      connection.close();
      await delay(100);
      connection = await connectRaw(server);
      due = performance.now();
    }
    due += CHECK_EVERY_MS;
  }
}

/** Over a new connection, from an address of its own. */
function signIn(at: number): Promise<number> {
  const { hostname, port } = new URL(address);
  const body = JSON.stringify({ email: emails[at % emails.length], password });
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: hostname,
        port,
        agent: false,
        method: 'POST',
        path: '/auth/signin',
        headers: {
          'Content-Type': 'application/json',
          'Content-Length': Buffer.byteLength(body),
          'X-Forwarded-For': `192.0.2.${(at % 250) + 1}`,
        },
      },
      (res) => {
        res.on('error', reject).resume();
        res.on('end', () => resolve(res.statusCode ?? 0));
      },
    );
    sent.setTimeout(ANSWER_WITHIN_MS, () => sent.destroy(new Error('no answer')));
    sent.on('error', reject);
    sent.end(body);
  });
}

async function signInNowAndThen(): Promise<void> {
  for (let at = 0; ; at += 1) {
    const from = performance.now();
    try {
      const status = await signIn(at);
      signInTimes.push(performance.now() - from);
      if (status === 503) unavailable += 1;
      else if (status !== 200) isWrong(`a sign-in was answered ${status}`);
    } catch (error) {
      signInTimes.push(performance.now() - from);
      isWrong(`a sign-in failed: ${error instanceof Error ? error.message : String(error)}`);
    }
    await delay(Math.max(0, from + SIGN_IN_EVERY_MS - performance.now()));
  }
}

function figures(): BystanderFigures {
  const result = {
    checks: times.length,
    p50Ms: share(times, 0.5),
    p99Ms: share(times, 0.99),
    worstMs: share(times, 1),
    bareP99Ms: share(bareTimes, 0.99),
    signIns: signInTimes.length,
    slowestSignInMs: Math.max(...signInTimes, 0),
    unavailable,
    wrong,
  };
  [times, bareTimes, signInTimes, unavailable, wrong] = [[], [], [], 0, {}];
  asked += 1;
  return result;
}

function share(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * part)] ?? NaN;
}

process.on('message', () => send(figures()));
endWithParent();
await Promise.all([
  ...Array.from({ length: CONNECTIONS }, (_, lane) => [
    check(address, lane, (ms) => times.push(ms)),
    check(bareAddress, lane, (ms) => bareTimes.push(ms)),
  ]).flat(),
  signInNowAndThen(),
]);
