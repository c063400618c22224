/** Attack `late-bodies`: every route that changes something, with a body that comes after its caller was revoked; nothing is done. */
import { setTimeout as delay } from 'node:timers/promises';
import { actsOf, type ActTarget } from '../support/late-acts.js';
import { asksWho, CHANGING, type Route } from '../support/routes.js';
import type { Attack } from './attack.js';
import { createClient, inLanes, signInAsAdministrator } from './client.js';
import { type HeldBody, holdBody } from './held-body.js';
import {
  type Caller,
  CALLERS,
  type Change,
  CHANGES,
  type Kind,
  PASSWORD,
  type Scene,
} from './late-callers.js';
import { learnRoutes } from './routes.js';
import { allTokens, allUsers, eventsSince } from './snapshot.js';

/** Bodies are waited for 5 s: the first ones come in time, so that it is the caller that is refused. */
const LATE_MS = [2000, 5000] as const;
const LANES = 6;
const ROWS_AT_ONCE = 4;

export const lateBodies: Attack = {
  about: 'each changing route, its body 2 and 5 s after the revoke of its caller: 0 acts',
  async prepare(target) {
    const learnt = await learnRoutes(target);
    const routes = learnt.filter((route) => CHANGING.has(route.method) && asksWho(route));
    const client = createClient(target);
    const root = await signInAsAdministrator(client, target);
    let serial = 0;
    const newName = () => `late-${target.seed}-${(serial += 1)}`;
    const newEmail = () => `${newName()}@attack.example`;
    const acts = actsOf({ newName, newEmail, now: Date.now, password: PASSWORD });
    const unknown = routes.filter((route) => acts[nameOf(route)] === undefined).map(nameOf);
    if (unknown.length > 0)
      throw new Error(`say in late-acts.ts what is done by ${unknown.join()}`);
    const scene = { client, root, target, acts, newEmail };
    const rows = await Promise.all(
      rowsOf(target.short).map(async ([kind, change]) => ({
        kind,
        change,
        caller: await CALLERS[kind](scene),
        what: await makeWhat(scene),
      })),
    );
    const good = { caller: await CALLERS.token(scene), session: await CALLERS.session(scene) };
    return async () => {
      const control = await actInTime(scene, routes, good);
      const answers: Answered[] = [];
      // So few at once that the first ones' time isn't over before the last ones' caller is revoked.
      for (let at = 0; at < rows.length; at += ROWS_AT_ONCE)
        answers.push(...(await endLate(scene, routes, rows.slice(at, at + ROWS_AT_ONCE))));
      for (const [name, status] of answers) {
        client.note(status, true, name);
        if (status >= 200 && status < 300) client.faults.add(`answered ${status}`, name);
      }
      client.close();
      return {
        numbers: `${routes.length} routes, ${rows.length} kinds of callers and ends, ${answers.length} bodies 2 and 5 s late (and ${control} in time, that acted): ${statusesOf(answers)}`,
        faults: client.faults.list(),
      };
    };
  },
};

type Answered = readonly [name: string, status: number];

interface Row {
  readonly kind: Kind;
  readonly change: Change;
  readonly caller: Caller;
  readonly what: ActTarget;
}

/** Holds the bodies of all routes, revokes the callers, sends the rest, and looks for what it did. */
async function endLate(
  scene: Scene,
  routes: readonly Route[],
  rows: readonly Row[],
): Promise<Answered[]> {
  const held: { readonly late: number; readonly body: HeldBody }[] = [];
  const requests = rows.flatMap((row) =>
    LATE_MS.flatMap((late) => routesFor(routes, row.kind).map((route) => ({ row, late, route }))),
  );
  await inLanes(requests, 5 * LANES, async ({ row, late, route }) => {
    held.push({ late, body: await hold(scene, route, row.what, row.caller.headers) });
  });
  await Promise.all(rows.map(({ caller, change }) => CHANGES[change](scene, caller)));
  const before = await everything(scene);
  const answers = await Promise.all(
    held.map(async ({ late, body }): Promise<Answered> => {
      await delay(late);
      return [body.name, await body.end()];
    }),
  );
  const after = await everything(scene);
  for (const part of ['tokens', 'users', 'events'] as const) {
    for (const each of after[part])
      if (!before[part].has(each)) scene.client.faults.add(`an act, seen in the ${part}`, each);
  }
  return answers;
}

const nameOf = ({ method, path }: Route) => `${method} ${path}`;

function statusesOf(answers: readonly (readonly [string, number])[]): string {
  const counts = new Map<number, number>();
  for (const [, status] of answers) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, n]) => `${n} × ${status === 0 ? 'closed' : status}`).join(', ');
}

function routesFor(routes: readonly Route[], kind: Kind): Route[] {
  return routes.filter(({ steps }) =>
    kind === 'session'
      ? steps.some((step) => /^authenticate(Dashboard|Cookie)$/.test(step))
      : !steps.includes('authenticateCookie'),
  );
}

function hold(
  { acts, target }: Scene,
  route: Route,
  what: ActTarget,
  headers: Readonly<Record<string, string>>,
): Promise<HeldBody> {
  const act = acts[nameOf(route)];
  if (act === undefined) throw new Error(nameOf(route));
  const { path = route.path, body } = act(what);
  const name = nameOf(route);
  return holdBody(target.address, {
    name,
    method: route.method,
    path,
    headers,
    body: JSON.stringify(body),
  });
}

/** The same requests act as long as their caller is good: or else refusing them says nothing. @returns how many. */
async function actInTime(
  scene: Scene,
  routes: readonly Route[],
  { caller, session }: { caller: Caller; session: Caller },
): Promise<number> {
  let acted = 0;
  // From outside nobody can set a cut-off that could be lowered.
  const possible = routes.filter(({ path }) => path !== '/admin/cutoffs/lower');
  await inLanes(possible, LANES, async (route) => {
    const { headers } = route.steps.includes('authenticateCookie') ? session : caller;
    const body = await hold(scene, route, await makeWhat(scene), headers);
    await delay(20);
    const status = await body.end();
    if (status >= 200 && status < 300) acted += 1;
    else scene.client.faults.add('a good caller could not act', `${body.name}: ${status}`);
  });
  return acted;
}

async function makeWhat({ client, root, newEmail }: Scene): Promise<ActTarget> {
  const email = newEmail();
  const userId = await root.createUser(email, PASSWORD);
  const login = await client.expect<{
    token: string;
    refreshToken: string;
    refreshTokenId: string;
  }>('POST', '/api/login', { body: { loginId: email, password: PASSWORD } });
  const jti = `what-${userId}`;
  const record = await client.expect<{ _id: string }>('POST', '/v3/jwt/history', {
    headers: root.headers,
    body: { jti, userId },
  });
  const { token } = await client.expect<{ token: string }>('GET', '/v1/token', {
    headers: { Authorization: `JWT ${login.token}` },
  });
  const { refreshToken, refreshTokenId } = login;
  return {
    userId,
    aheadId: 'none',
    refreshToken,
    refreshTokenId,
    jti,
    recordId: record._id,
    token,
  };
}

function rowsOf(short: boolean): [Kind, Change][] {
  if (short)
    return [
      ['token', 'revoked'],
      ['password', 'password changed'],
      ['key', 'revoked'],
      ['session', 'disabled'],
    ];
  const kinds = Object.keys(CALLERS) as Kind[];
  const changes = Object.keys(CHANGES) as Change[];
  return kinds
    .flatMap((kind) => changes.map((change): [Kind, Change] => [kind, change]))
    .filter(([kind, change]) => !(kind === 'password' && change === 'revoked'));
}

/** As far as anybody can see it from outside. Exports are told in the trail, ours too. */
async function everything({ client, root, target }: Scene) {
  const [tokens, users, events] = [
    await allTokens(client, root.headers, target),
    await allUsers(client, root.headers),
    await eventsSince(client, root.headers, new Set(), target),
  ];
  const acts = events.filter(({ type }) => type !== 'export.made');
  return {
    tokens: new Set(tokens),
    users: new Set(users),
    events: new Set(acts.map((event) => JSON.stringify(event))),
  };
}
