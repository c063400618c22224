/** Attack `hostile`: deep, wide and odd values at every field of every schema of every route. */
import { bodyWith, HOSTILE, HOSTILE_TEXTS, pathOf } from '../support/hostile-values.js';
import type { Attack, Target } from './attack.js';
import { type Client, createClient, inLanes, signInAsAdministrator } from './client.js';
import { learnRoutes } from './routes.js';
import type { LearntRoute } from './routes-child.js';
import { allUsers, type Event, eventsSince } from './snapshot.js';

const LANES = 6;
/** What no answer may show of the inside. */
const INSIDE = /node_modules|BSON|Mongo|Maximum call/;

export const hostile: Attack = {
  about: 'deep, wide and odd values at every field of every body and query: refused, no effect',
  async prepare(target) {
    const client = createClient(target);
    const routes = await learnRoutes(target);
    const { headers } = await signInAsAdministrator(client, target);
    return async () => {
      const usersBefore = await allUsers(client, headers);
      const known = new Set(
        (await eventsSince(client, headers, new Set(), target)).map(({ _id }) => _id),
      );
      const fields = await throwAll(client, routes, target);
      await lookForEffects({ client, headers, target, usersBefore, known });
      client.close();
      return {
        numbers: `${fields} fields of ${routes.length} routes: ${client.summary()}`,
        faults: client.faults.list(),
      };
    };
  },
};

interface Throw {
  readonly route: LearntRoute;
  readonly path: string;
  readonly body: string | null;
}

async function throwAll(
  client: Client,
  routes: readonly LearntRoute[],
  target: Target,
): Promise<number> {
  const credentials = await credentialsFor(client, target);
  const throws = routes.flatMap((route) => throwsAt(route));
  const chosen = target.short ? throws.filter((_, at) => at % 4 === target.seed % 4) : throws;
  await inLanes(chosen, LANES, async ({ route, path, body }, at) => {
    if (at % 2000 === 1999) target.progress(`${at + 1} of ${chosen.length}`);
    const headers = route.steps.includes('authenticateCookie')
      ? credentials.cookie
      : credentials.header;
    try {
      const answer = await client.call(route.method, path, {
        headers,
        ...(body === null ? {} : { body }),
      });
      if (INSIDE.test(answer.text))
        client.faults.add('an answer shows the inside', `${route.method} ${path}`);
    } catch (error) {
      client.faults.add('no answer', `${route.method} ${path}: ${String(error)}`);
    }
  });
  return routes.reduce((sum, { fields }) => sum + fields.length, 0);
}

/** Nobody's session ends by it: the stream never ends, and without its session the rest would be 401. */
function throwsAt(route: LearntRoute): Throw[] {
  const { method, fields } = route;
  const endsSession = method === 'DELETE' && route.path === '/admin/session';
  if (route.path.endsWith('/stream') || endsSession) return [];
  const hasBody = !['GET', 'HEAD'].includes(method);
  const path = pathOf(route);
  const bodies = hasBody
    ? [
        ...fields.flatMap((field) =>
          HOSTILE.map((value) => bodyWith(fields as string[][], field, value)),
        ),
        ...HOSTILE.map((value) => `{"unknown":${value}}`),
        ...HOSTILE,
      ]
    : [];
  const queries = fields.flatMap(([name = '', ...inner]) =>
    inner.length > 0
      ? []
      : HOSTILE_TEXTS.flatMap((value) => {
          const parameter = `${encodeURIComponent(name)}=${encodeURIComponent(value)}`;
          return [parameter, `${parameter}&${parameter}`];
        }),
  );
  return [
    ...bodies.map((body) => ({ route, path, body })),
    ...queries.map((query) => ({ route, path: `${path}?${query}`, body: hasBody ? '{}' : null })),
  ];
}

async function credentialsFor(client: Client, target: Target) {
  const { headers } = await signInAsAdministrator(client, target);
  const session = await client.call('POST', '/admin/session', { body: target.administrator });
  const { csrfToken } = JSON.parse(session.text) as { csrfToken: string };
  const cookie = String(session.headers['set-cookie']).split(';')[0] ?? '';
  return { header: headers, cookie: { Cookie: cookie, 'X-CSRF-Token': csrfToken } };
}

interface Looking {
  readonly client: Client;
  readonly headers: Readonly<Record<string, string>>;
  readonly target: Target;
  readonly usersBefore: readonly string[];
  readonly known: ReadonlySet<string>;
}

/**
 * A few of the values are harmless in their field (a name may be `$where`), and a body that a route
 * doesn't look at doesn't stop it. So: no new administrator, nobody changed, and of what the trail
 * says only what such requests may do.
 */
async function lookForEffects({ client, headers, target, usersBefore, known }: Looking) {
  const users = await allUsers(client, headers);
  for (const user of usersBefore)
    if (!users.includes(user)) client.faults.add('a user was changed or is gone', user);
  for (const user of users)
    if (!usersBefore.includes(user) && / admin \d+$/.test(user))
      client.faults.add('there is a new administrator', user);
  for (const event of await eventsSince(client, headers, known, target))
    if (!mayHappen(event)) client.faults.add('an effect', JSON.stringify(event));
}

/** Whatever is named in a request may be named by an odd name; but nothing hits everybody, or a user of the service. */
function mayHappen({ type, userId, applicationId, count }: Event): boolean {
  if (type === 'bulk.revoked') return count === 0;
  if (type === 'scope.revoked') return userId !== null || applicationId !== null;
  return HARMLESS.has(type);
}

const HARMLESS = new Set([
  'export.made',
  'user.created',
  'token.revoked',
  'token.registered',
  'api-key.created',
]);
