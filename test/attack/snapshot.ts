/** What an act could have changed, as an administrator sees it: without what the bystanders did. */
import type { Target } from './attack.js';
import type { Client } from './client.js';

export interface Event {
  readonly _id: string;
  readonly type: string;
  readonly by: string;
  readonly userId: string | null;
  readonly applicationId: string | null;
  readonly count: number | null;
}
interface User {
  readonly _id: string;
  readonly email: string;
  readonly role?: string;
  readonly status: number;
}

type Headers = Readonly<Record<string, string>>;

/** Everything that the audit trail says since `known`, oldest last. */
export async function eventsSince(
  client: Client,
  headers: Headers,
  known: ReadonlySet<string>,
  { bystanderIds }: Target,
): Promise<Event[]> {
  const found: Event[] = [];
  let before = '';
  for (;;) {
    const query = `limit=100${before === '' ? '' : `&before=${before}`}`;
    const page = await client.expect<{ events: Event[]; next: string | null }>(
      'GET',
      `/admin/events?${query}`,
      { headers },
    );
    const fresh = page.events.filter(({ _id }) => !known.has(_id));
    found.push(...fresh.filter(({ by }) => !bystanderIds.includes(by)));
    if (fresh.length < page.events.length || page.next === null) return found;
    before = page.next;
  }
}

/** Id, e-mail, role and status of each user. */
export async function allUsers(client: Client, headers: Headers): Promise<string[]> {
  const found: string[] = [];
  for (let page = 0; ; page += 1) {
    const { users } = await client.expect<{ users: User[] }>(
      'GET',
      `/admin/users?limit=100&page=${page}`,
      { headers },
    );
    found.push(...users.map(({ _id, email, role, status }) => `${_id} ${email} ${role} ${status}`));
    if (users.length === 0) return found.toSorted();
  }
}

/** Id, jti and state of each recorded token. */
export async function allTokens(
  client: Client,
  headers: Headers,
  { bystanderIds }: Target,
): Promise<string[]> {
  const { text } = await client.call('GET', '/admin/tokens/export?format=ndjson', { headers });
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { _id: string; jti: string; state: string; userId: string })
    .filter(({ userId }) => !bystanderIds.includes(userId))
    .map(({ _id, jti, state }) => `${_id} ${jti} ${state}`)
    .toSorted();
}
