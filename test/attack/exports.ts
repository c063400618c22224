/** Attack `exports`: many exports of one user that nobody reads; then the token that they were opened with is revoked. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connectDirectly, insertTokens } from '../../bench/token-documents.js';
import type { Attack, Target } from './attack.js';
import { type Client, createClient, inLanes, signIn, signInAsAdministrator } from './client.js';
import { type LongAnswer, openAnswer } from './long-answer.js';

const PASSWORD = 'exports, and reads none of them';
const EXPORT = '/admin/tokens/export?format=ndjson';
const UNREAD = 150;
const LANES = 30;
/** More than the buffers of the operating system take. */
const RECORDS = 20_000;
/** Of one user; what is allowed is a few. */
const AT_MOST = 10;
const HOLD_MS = { short: 2000, full: 10_000 } as const;
/** After the revoke is answered; on a busy machine. */
const ENDED_MS = 3000;
/** Before they are looked at: by then they have ended, and what comes is what was on its way. */
const GIVEN_MS = 1000;
const LAST_CHUNK = '\r\n0\r\n\r\n';

export const exports: Attack = {
  about: `${UNREAD} unread exports of one user: 429, memory flat, ended with their token`,
  async prepare(target) {
    const client = createClient(target);
    const root = await signInAsAdministrator(client, target);
    const [email, otherEmail] = [
      `exports-${target.seed}@attack.example`,
      `reads-${target.seed}@attack.example`,
    ];
    const userId = await root.createUser(email, PASSWORD);
    await root.createUser(otherEmail, PASSWORD);
    await fill(target, userId);
    const headers = { Authorization: await signIn(client, { email, password: PASSWORD }) };
    const other = {
      Authorization: await signIn(client, { email: otherEmail, password: PASSWORD }),
    };
    // One that is read is nothing unusual: what it takes belongs to the memory at rest.
    await client.call('GET', EXPORT, { headers: root.headers });
    return async () => {
      const open = await openAll(client, target, headers);
      await delay(target.short ? HOLD_MS.short : HOLD_MS.full);
      // Others go on: each with their own, the administrator with everyone's.
      const [own, all] = await Promise.all([
        client.call('GET', EXPORT, { headers: other }),
        client.call('GET', EXPORT, { headers: root.headers }),
      ]);
      const lines = all.text.split('\n').length - 1;
      if (own.status !== 200) client.faults.add(`another user's export was answered ${own.status}`);
      if (all.status !== 200 || lines < RECORDS)
        client.faults.add(`an administrator's export: ${all.status}, ${lines} lines`);

      await client.expect('POST', `/admin/users/${userId}/password`, {
        headers: root.headers,
        body: { password: `${PASSWORD}?` },
      });
      const revokedAt = performance.now();
      await delay(GIVEN_MS);
      await Promise.all(open.map((each) => endOf(client, each)));
      const endedMs = performance.now() - revokedAt;
      client.close();
      return {
        numbers: `${UNREAD} opened: ${open.length} × 200, ${UNREAD - open.length} refused; another's and an administrator's ${lines.toLocaleString('en')} lines read meanwhile; ended within ${(endedMs / 1000).toFixed(2)} s of the revoke, of which ${GIVEN_MS / 1000} s passed before anybody looked`,
        faults: client.faults.list(),
      };
    };
  },
};

/** Straight into the database: it is not the attack. */
async function fill({ dataDir }: Target, userId: string): Promise<void> {
  const socket = encodeURIComponent(join(dataDir, 'engine.sock'));
  const connection = await connectDirectly(`mongodb://${socket}`);
  try {
    await insertTokens(connection, RECORDS, { revoked: false, keep: false, userId });
  } finally {
    await connection.close();
  }
}

/** @returns those that were answered 200, unread. */
async function openAll(
  client: Client,
  { address }: Target,
  headers: Readonly<Record<string, string>>,
): Promise<LongAnswer[]> {
  const open: LongAnswer[] = [];
  await inLanes(Array.from({ length: UNREAD }), LANES, async () => {
    const answer = await openAnswer(address, EXPORT, headers);
    client.note(answer.status, answer.hasRetryAfter, 'an export');
    if (answer.status === 200) open.push(answer);
    else answer.close();
    if (answer.status === 429 && !answer.hasRetryAfter)
      client.faults.add('429 without Retry-After');
    if (![200, 429].includes(answer.status))
      client.faults.add(`an export was answered ${answer.status}`);
  });
  if (open.length > AT_MOST)
    client.faults.add(`${open.length} exports of one user are open at once`);
  if (open.length === 0) client.faults.add('not one export was let in');
  return open;
}

/** What was under way in the buffers comes; then it must be over, and seen to be cut off. */
async function endOf(client: Client, answer: LongAnswer): Promise<void> {
  answer.read();
  if (!(await answer.ends(ENDED_MS))) client.faults.add('an export goes on after the revoke');
  else if (answer.text().endsWith(LAST_CHUNK))
    client.faults.add('an export went on to its end after the revoke');
  answer.close();
}
