/** Clients that sign in, mint and exchange; whatever they are given is noted. */
import { type Answer, isOk } from './http.js';
import type { Instance } from './instance.js';
import type { Member, Session, Token } from './pool.js';
import { ask, noteCheck, pickInstance, type World } from './world.js';

const MEMBERS = 60;
/** More are of no use. */
const ENOUGH = 900;
const FIRST_TOKENS = 2;

/** One step of a client. */
export async function mintSomething(world: World, instance: Instance): Promise<void> {
  const { pool, random } = world;
  if (pool.members.length < MEMBERS) {
    await join(world, instance);
    return;
  }
  if (pool.size > ENOUGH) return;
  const choice = random.below(10);
  if (choice < 5) await mintWoleet(world, instance, random.pick(pool.members));
  else if (choice < 8) await logIn(world, instance, random.pick(pool.members));
  else await exchangeSome(world, instance);
}

/** Somebody signs in for the first time, and mints a few. */
async function join(world: World, instance: Instance): Promise<void> {
  const { pool, random, password } = world;
  const account = world.nextAccount();
  const { id, email } = account;
  const body = { email, password };
  const answer = await ask(world, instance, 'sign-in', {
    method: 'POST',
    path: '/auth/signin',
    body,
  });
  // While the database is away, nobody can join: the accounts must outlast that.
  if (!isOk(answer)) {
    world.giveBack(account);
    return;
  }
  const { token: text } = JSON.parse(answer.text) as { token: string };
  const base = toToken(text.replace('JWT ', ''), 'sign-in', id, { since: answer.start });
  note(world, instance, base, answer);
  const member = { id, email, base };
  for (let at = 0; at < FIRST_TOKENS; at += 1) await mintWoleet(world, instance, member);
  await logIn(world, instance, member);
  // Two clients may have filled the places meanwhile; one more does no harm.
  if (random.below(2) === 0) await logIn(world, instance, member);
  pool.members.push(member);
}

async function mintWoleet(world: World, instance: Instance, { id, base }: Member): Promise<void> {
  const authorization = `Bearer ${base.text}`;
  const answer = await ask(world, instance, 'mint', { path: '/v1/token', authorization });
  noteCheck(world, instance, { token: base.name, how: 'mint' }, answer, 401);
  if (!isOk(answer)) return;
  const { token: text } = JSON.parse(answer.text) as { token: string };
  note(world, instance, toToken(text, 'woleet', id, base), answer);
}

async function logIn(world: World, instance: Instance, { id, email }: Member): Promise<void> {
  const applicationId = world.random.pick(world.pool.applications);
  const answer = await ask(world, instance, 'login', {
    method: 'POST',
    path: '/api/login',
    body: { loginId: email, password: world.password, applicationId },
  });
  if (!isOk(answer)) return;
  const given = JSON.parse(answer.text) as ExchangeAnswer;
  const session: Session = {
    id: given.refreshTokenId,
    userId: id,
    applicationId,
    since: answer.start,
    refreshToken: given.refreshToken,
    isBusy: false,
  };
  const refresh: Token = {
    name: `refresh of ${session.id}`,
    text: '',
    kind: 'refresh',
    userId: id,
    session,
    scopes: sessionScopes(session),
    since: session.since,
  };
  note(world, instance, refresh, answer, session.id);
  note(
    world,
    instance,
    toToken(given.token, 'access', id, { session, since: session.since }),
    answer,
  );
}

interface ExchangeAnswer {
  readonly token: string;
  readonly refreshToken: string;
  readonly refreshTokenId: string;
}

async function exchangeSome(world: World, instance: Instance): Promise<void> {
  const token = world.pool.pick('refresh');
  if (token !== null) await exchange(world, token, instance);
}

/**
 * Exchanges the session's refresh token for new ones: also a check of it.
 * @returns the one that was used; null when it wasn't exchanged.
 */
export async function exchange(
  world: World,
  token: Token,
  instance = pickInstance(world),
): Promise<string | null> {
  const { session } = token;
  const refreshToken = session?.refreshToken ?? null;
  if (session === null || session.isBusy || refreshToken === null) return null;
  session.isBusy = true;
  const answer = await ask(world, instance, 'exchange', {
    method: 'POST',
    path: '/api/jwt/refresh',
    body: { refreshToken },
  });
  session.isBusy = false;
  noteCheck(world, instance, { token: token.name, how: 'exchange' }, answer, 400);
  if (!isOk(answer)) {
    session.refreshToken = null;
    return null;
  }
  const given = JSON.parse(answer.text) as ExchangeAnswer;
  session.refreshToken = given.refreshToken;
  note(
    world,
    instance,
    toToken(given.token, 'access', session.userId, { session, since: session.since }),
    answer,
  );
  return refreshToken;
}

function note(
  { history, pool }: World,
  { index }: Instance,
  token: Token,
  { start, end }: Answer,
  recordedAs = token.name,
): void {
  const { name, scopes, since } = token;
  history.mints.push({ token: name, recordedAs, scopes, since, instance: index, start, end });
  pool.add(token);
}

/** The session or the token that one came from. */
interface Origin {
  readonly session?: Session | null;
  readonly scopes?: readonly string[];
  readonly since: number;
}

function toToken(
  text: string,
  kind: Token['kind'],
  userId: string,
  { session = null, scopes: parents = [], since }: Origin,
): Token {
  const payload = Buffer.from(text.split('.')[1] ?? '', 'base64url').toString();
  const { jti } = JSON.parse(payload) as { jti: string };
  const holder = session === null ? [`user ${userId}`] : sessionScopes(session);
  const scopes = [
    ...new Set([`token ${jti}`, `access tokens of user ${userId}`, ...holder, ...parents]),
  ];
  return { name: jti, text, kind, userId, session, scopes, since };
}

/** Whatever takes all of a session back. */
function sessionScopes({ id, userId, applicationId }: Session): string[] {
  return [
    `session ${id}`,
    `user ${userId}`,
    `application ${applicationId}`,
    `sessions of user ${userId}`,
    `sessions of application ${applicationId}`,
    `sessions of user ${userId} in ${applicationId}`,
  ];
}
