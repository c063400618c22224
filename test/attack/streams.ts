/** Attack `streams`: one administrator opens streams of events by the thousand; the others are not shut out. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Attack, Target } from './attack.js';
import { type Client, createClient, inLanes, signIn, signInAsAdministrator } from './client.js';
import { type LongAnswer, openAnswer } from './long-answer.js';

const PASSWORD = 'streams, by the thousand';
const STREAM = '/admin/events/stream';
const STREAMS = { short: 400, full: 2000 } as const;
const LANES = 50;
/** Of one administrator; what is allowed is what a browser with many tabs needs. */
const AT_MOST = 200;
const HOLD_MS = { short: 1000, full: 10_000 } as const;
const TOLD_MS = 10_000;
/** Looked at twice a second; on a busy machine. */
const ENDED_MS = 3000;

export const streams: Attack = {
  about: `${STREAMS.full} streams of one administrator: 429, others are told, ended with their token`,
  async prepare(target) {
    const client = createClient(target);
    const root = await signInAsAdministrator(client, target);
    const email = `streams-${target.seed}@attack.example`;
    const userId = await root.createUser(email, PASSWORD, 'admin');
    const headers = { Authorization: await signIn(client, { email, password: PASSWORD }) };
    return async () => {
      const count = target.short ? STREAMS.short : STREAMS.full;
      const open = await openAll(client, target, { count, headers });
      const told = await anotherIsTold(client, target, root.headers);
      await delay(target.short ? HOLD_MS.short : HOLD_MS.full);
      for (const each of open) each.read();
      await client.expect('POST', `/admin/users/${userId}/disable`, {
        headers: root.headers,
        body: { reason: 'left' },
      });
      const revokedAt = performance.now();
      const ended = await Promise.all(open.map((each) => each.ends(ENDED_MS)));
      const endedMs = performance.now() - revokedAt;
      for (const each of open) each.close();
      const goOn = ended.filter((hasEnded) => !hasEnded).length;
      if (goOn > 0) client.faults.add(`${goOn} streams go on after the revoke`);
      client.close();
      return {
        numbers: `${count} opened: ${open.length} × 200, ${count - open.length} refused; another administrator was told of a revoke after ${told.toFixed(0)} ms; all ended ${endedMs.toFixed(0)} ms after the revoke`,
        faults: client.faults.list(),
      };
    };
  },
};

interface Opening {
  readonly count: number;
  readonly headers: Readonly<Record<string, string>>;
}

async function openAll(
  client: Client,
  { address }: Target,
  { count, headers }: Opening,
): Promise<LongAnswer[]> {
  const open: LongAnswer[] = [];
  await inLanes(Array.from({ length: count }), LANES, async () => {
    const answer = await openAnswer(address, STREAM, headers);
    client.note(answer.status, answer.hasRetryAfter, 'a stream');
    if (answer.status === 200) open.push(answer);
    else answer.close();
    if (answer.status === 429 && !answer.hasRetryAfter)
      client.faults.add('429 without Retry-After');
    if (![200, 429].includes(answer.status))
      client.faults.add(`a stream was answered ${answer.status}`);
  });
  if (open.length > AT_MOST)
    client.faults.add(`${open.length} streams of one administrator are open at once`);
  if (open.length === 0) client.faults.add('not one stream was let in');
  return open;
}

/** @returns after how many milliseconds. */
async function anotherIsTold(
  client: Client,
  { address, seed }: Target,
  headers: Readonly<Record<string, string>>,
): Promise<number> {
  const stream = await openAnswer(address, STREAM, headers);
  stream.read();
  if (stream.status !== 200)
    client.faults.add(`another administrator's stream was answered ${stream.status}`);
  // With its first message it says from where on it tells: what was before has to be looked up.
  const openedAt = performance.now();
  while (!/^id:/m.test(stream.text()) && performance.now() - openedAt < TOLD_MS) await delay(5);
  const jti = `told-${seed}`;
  await client.expect('DELETE', `/v3/jwt/history/${jti}`, { headers });
  const revokedAt = performance.now();
  const before = stream.text().length;
  // Where much else happens, all that is told is to load anew.
  const isTold = () =>
    stream.text().includes(jti) || /^event: ?resync/m.test(stream.text().slice(before));
  while (!isTold() && performance.now() - revokedAt < TOLD_MS) await delay(5);
  const tookMs = performance.now() - revokedAt;
  if (!isTold()) client.faults.add('another administrator was not told', stream.text().slice(-300));
  stream.close();
  return tookMs;
}
