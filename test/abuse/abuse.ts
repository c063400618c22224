/**
 * The abuse: random tokens, doors, revokes, password changes, disablings, races, restarts on several
 * instances of the real service, each answer compared with the model. A seed tells the whole run.
 */
import type { Response } from 'supertest';
import {
  freshDatabase,
  jtiOf,
  mint,
  SECRET,
  startTestService,
  type TestService,
} from '../support/harness.js';
import { createModel, type Held, type Holder, type Model } from './model.js';

export interface AbuseResult {
  readonly steps: number;
  readonly checks: number;
  readonly held: number;
}

interface Options {
  readonly seed: number;
  /** Whether to go on, asked before each step. */
  readonly goesOn: (step: number) => boolean;
  readonly onProgress?: (result: AbuseResult) => void;
}

const USERS = 5;
const INSTANCES = 2;
const MAX_HELD = 150;
const APPLICATIONS = ['app-a', 'app-b'];
const DAY_MS = 86_400_000;

export class Finding extends Error {}

/** @throws Finding with the seed and the last steps when an answer isn't the model's. */
export async function abuse({ seed, goesOn, onProgress }: Options): Promise<AbuseResult> {
  const random = createRandom(seed);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const chance = (p: number) => random() < p;
  const trace: string[] = [];
  const model: Model = createModel();
  const { held, holders } = model;
  const database = freshDatabase();
  const env = {
    SIGN_IN_ATTEMPTS: '100000',
    REFRESH_TOKEN_GRACE: '10',
    MINT_RATE: '0',
    MAX_ENDLESS_TOKENS: '0',
  };
  const first = await startTestService(env, database);
  const { clock } = first;
  const instances: TestService[] = [first];
  for (let i = 1; i < INSTANCES; i += 1) instances.push(await first.sibling());
  /** Instances that may not have heard of everything yet. */
  const deaf = new Set<TestService>();
  let checks = 0;
  let serial = 0;
  const usedUp: Held[] = [];

  const fail = (what: string): never => {
    throw new Finding(
      `${what}\nseed ${seed}, step ${trace.length}; the last steps:\n${trace.slice(-25).join('\n')}`,
    );
  };
  const note = (what: string) => void trace.push(`${clock.now} ${what}`);
  const expectStatus = (response: Response, allowed: readonly number[], what: string) => {
    checks += 1;
    if (response.status >= 500) fail(`${what}: ${response.status} ${response.text}`);
    if (!allowed.includes(response.status))
      fail(`${what}: ${response.status}, expected ${allowed.join(' or ')}: ${response.text}`);
  };
  const basic = (holder: Holder) =>
    `Basic ${Buffer.from(`${holder.email}:${holder.password}`).toString('base64')}`;
  const good = () => held.filter((one) => one.kind !== 'session' && model.isGood(one, clock.now));
  const bad = () => held.filter((one) => one.kind !== 'session' && !model.isGood(one, clock.now));
  const sessions = () =>
    held.filter((one) => one.kind === 'session' && model.isGood(one, clock.now));
  const users = () => holders.filter((one) => one.isUser && one.status === 'active');
  const administrators = () => users().filter((one) => one.isAdministrator);
  /** Heard of by whoever took it; the others have to look. */
  const wrote = (at: TestService) => {
    for (const instance of instances) if (instance !== at) deaf.add(instance);
  };
  async function hear(at: TestService): Promise<void> {
    if (deaf.delete(at)) await at.service.sync.refresh();
  }

  function hold(
    one: Pick<Held, 'kind' | 'text' | 'holder'> & Partial<Held> & { readonly jti: string },
  ): Held {
    const all: Held = {
      applicationId: null,
      issuedAt: clock.now,
      expiresAt: null,
      session: null,
      parent: null,
      isRecorded: true,
      isRevoked: false,
      used: [],
      ...one,
    };
    held.push(all);
    return all;
  }

  const claimsOf = (token: string) =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as {
      exp?: number;
    };
  const expiryOf = (token: string) => {
    const { exp } = claimsOf(token);
    return exp === undefined ? null : exp * 1000;
  };

  async function addUser(isAdministrator: boolean): Promise<void> {
    const email = `user-${(serial += 1)}@example.com`;
    const user = await first.createUser(email, isAdministrator ? 'admin' : undefined);
    holders.push({
      name: email,
      id: user.id,
      email,
      password: 'correct horse: battery staple',
      isUser: true,
      isAdministrator,
      status: 'active',
    });
  }

  async function signIn(at: TestService, holder: Holder): Promise<void> {
    const { email, password } = holder;
    const response = await at.http().post('/auth/signin').send({ email, password });
    expectStatus(response, [200], `signing in ${holder.name}`);
    const text = (response.body.token as string).replace('JWT ', '');
    hold({ kind: 'token', jti: jtiOf(text), text, holder, expiresAt: expiryOf(text) });
  }

  async function login(at: TestService, holder: Holder): Promise<void> {
    const applicationId = chance(0.7) ? pick(APPLICATIONS) : null;
    const body = { loginId: holder.email, password: holder.password, applicationId };
    const response = await at.http().post('/api/login').send(body);
    expectStatus(response, [200], `login of ${holder.name}`);
    const { token, refreshToken, refreshTokenId } = response.body as Record<string, string>;
    const session = hold({
      kind: 'session',
      jti: refreshTokenId ?? '',
      text: refreshToken ?? '',
      holder,
      applicationId,
      expiresAt: clock.now + 30 * DAY_MS,
    });
    holdAccess(session, token ?? '');
  }

  function holdAccess(session: Held, text: string): Held {
    const { holder, applicationId } = session;
    const expiresAt = expiryOf(text);
    return hold({
      kind: 'token',
      jti: jtiOf(text),
      text,
      holder,
      applicationId,
      expiresAt,
      session,
    });
  }

  async function mintWith(at: TestService, parent: Held): Promise<void> {
    await hear(at);
    const wantsKey = parent.holder.isAdministrator && chance(0.4);
    const response = wantsKey
      ? await at
          .http()
          .post('/admin/api-keys')
          .set('Authorization', parent.text)
          .send({ name: 'key' })
      : await at.http().get('/v1/token').set('Authorization', parent.text);
    const allowed = parent.holder.isUser ? [200, 201] : [403];
    expectStatus(response, allowed, `minting with ${describe(parent)}`);
    if (!parent.holder.isUser) return;
    holdMinted(parent, wantsKey ? response.body.key : response.body.token);
  }

  function holdMinted(parent: Held, text: string): Held {
    const { holder, applicationId } = parent;
    const isKey = text.split('.').length === 2;
    const jti = isKey ? (text.split('.')[0] ?? '') : jtiOf(text);
    const kind = isKey ? 'key' : 'token';
    parent.isRecorded = true;
    return hold({ kind, jti, text, holder, applicationId, parent });
  }

  /** Signed by another service that shares the key: of a user, or of a kind whose ids anyone may choose. */
  async function foreign(at: TestService): Promise<void> {
    const victim = pick(users());
    const kind = pick(['user', undefined, 'guest', 'bot', 'userexternal']);
    const isUsers = kind === 'user' || kind === undefined;
    const id = isUsers || chance(0.7) ? victim.id : `chosen-${(serial += 1)}`;
    const holder = isUsers ? victim : holderOf(`${kind}:${id}`);
    const second = Math.floor(clock.now / 1000);
    const hasIat = chance(0.8);
    const iat = second - pick([0, 0, 60, 86_400]);
    const exp = chance(0.5) ? second + pick([60, 3600, 86_400]) : undefined;
    const upper = chance(0.3);
    const jti = crypto.randomUUID();
    const text = mint({
      _id: upper && id === victim.id ? id.toUpperCase() : id,
      ...(kind === undefined ? {} : { sub: kind }),
      jti: upper ? jti.toUpperCase() : jti,
      iss: pick(['https://tiledesk.com', 'https://other.example']),
      ...(hasIat ? { iat } : {}),
      ...(exp === undefined ? {} : { exp }),
    });
    const one = hold({
      kind: 'token',
      jti,
      text,
      holder,
      issuedAt: hasIat ? iat * 1000 : null,
      expiresAt: exp === undefined ? null : exp * 1000,
      isRecorded: false,
    });
    await hear(at);
    // What was cut off before it was first seen: only the service knows that.
    one.isRevoked = cutOffs.some((hits) => hits(one));
    await check(at, one);
  }
  /** Every cut-off so far, for tokens that are seen later. */
  const cutOffs: ((one: Held) => boolean)[] = [];

  function holderOf(id: string): Holder {
    const found = holders.find((each) => each.id === id);
    if (found !== undefined) return found;
    const holder: Holder = {
      name: id,
      id,
      email: '',
      password: '',
      isUser: false,
      isAdministrator: false,
      status: 'active',
    };
    holders.push(holder);
    return holder;
  }

  const describe = (one: Held) =>
    `${one.kind} ${one.jti} of ${one.holder.name}${one.parent ? ' (minted)' : ''}${one.session ? ' (of a session)' : ''}${one.isRevoked ? ' revoked' : ''}`;

  async function check(at: TestService, one: Held): Promise<void> {
    await hear(at);
    const isGood = model.isGood(one, clock.now);
    const door = pick(['verify', 'verify', 'history', 'validate'] as const);
    const path = {
      verify: '/auth/verify',
      history: '/v3/jwt/history?limit=1',
      validate: '/api/jwt/validate',
    }[door];
    const scheme = one.kind === 'key' ? '' : pick(['', 'Bearer ', 'JWT ']);
    const response = await at.http().get(path).set('Authorization', `${scheme}${one.text}`);
    const expected = isGood && !(door === 'validate' && one.kind === 'key') ? [200, 204] : [401];
    expectStatus(response, expected, `${door} with ${describe(one)}`);
    if (isGood) {
      one.isRecorded = true;
      if (
        door === 'verify' &&
        decodeURIComponent(String(response.headers['x-user-id'])) !== one.holder.id
      )
        fail(`${describe(one)} speaks for ${response.headers['x-user-id']}`);
    }
    if (door === 'history' && isGood) {
      const others = (response.body.jwts as { userId: string }[]).filter(
        ({ userId }) => userId !== one.holder.id,
      );
      if (others.length > 0) fail(`${describe(one)} sees what others hold`);
    }
  }

  async function exchange(at: TestService, session: Held): Promise<void> {
    const count = pick([1, 1, 2, 4]);
    const from = session.text;
    await hear(at);
    const responses = await Promise.all(
      Array.from({ length: count }, () =>
        pick([at, at]).http().post('/api/jwt/refresh').send({ refreshToken: from }),
      ),
    );
    const successors = new Set<string>();
    for (const response of responses) {
      expectStatus(response, [200], `one of ${count} exchanges of ${describe(session)}`);
      successors.add(response.body.refreshToken);
      holdAccess(session, response.body.token);
    }
    if (successors.size !== 1) fail(`${count} exchanges gave ${successors.size} successors`);
    session.used.push({ text: from, at: clock.now });
    session.text = [...successors][0] ?? '';
    session.expiresAt = clock.now + 30 * DAY_MS;
  }

  /** A used refresh token comes back when its grace is over. */
  async function reuse(at: TestService, session: Held): Promise<void> {
    const old = session.used.find((one) => one.at + 11_000 < clock.now);
    if (old === undefined) return;
    await hear(at);
    const door = pick(['exchange', 'logout', 'delete'] as const);
    note(`a used token of ${describe(session)} by ${door}`);
    if (door === 'exchange') {
      const response = await at.http().post('/api/jwt/refresh').send({ refreshToken: old.text });
      expectStatus(response, [400], 'reuse');
    } else if (door === 'logout') {
      const response = await at.http().post('/api/logout').send({ refreshToken: old.text });
      expectStatus(response, [200], 'logout with a used token');
    } else {
      const response = await at
        .http()
        .delete('/api/jwt/refresh')
        .query({ token: old.text })
        .set('Authorization', basic(session.holder));
      expectStatus(response, [200], 'revoking by a used token');
    }
    model.revoke(session);
    wrote(at);
  }

  async function logout(at: TestService, session: Held): Promise<void> {
    const global = chance(0.3);
    await hear(at);
    const response = await at
      .http()
      .post('/api/logout')
      .send({ refreshToken: session.text, global });
    expectStatus(response, [200], `logout of ${describe(session)}`);
    model.revoke(session, true);
    if (global) cutOff({ holder: session.holder, applicationId: null, sessionsOnly: true });
    wrote(at);
  }

  function cutOff(scope: Parameters<Model['cutOff']>[0], at = clock.now): void {
    model.cutOff(scope, at);
    cutOffs.push(
      (one) =>
        (scope.holder === null || scope.holder === one.holder) &&
        (scope.applicationId === null || scope.applicationId === one.applicationId) &&
        !scope.sessionsOnly &&
        (one.issuedAt === null || one.issuedAt <= at),
    );
  }

  /** Wherever a token was seen for the first time, it has its record; wherever a cut-off was set, it is marked. */
  async function settle(): Promise<void> {
    for (const { service } of instances) {
      await service.usage.flush();
      await service.marker.idle();
    }
  }

  async function revokeOne(at: TestService): Promise<void> {
    await settle();
    const known = held.filter((one) => one.isRecorded);
    if (known.length === 0) return;
    const one = pick(known);
    const by = pick(good().filter((each) => each.holder.isUser));
    if (by === undefined) return;
    await hear(at);
    const may = by.holder === one.holder || by.holder.isAdministrator;
    const door = pick(['jti', 'jti in capitals', 'value', 'dashboard', 'bulk', 'session'] as const);
    note(`${describe(by)} revokes ${describe(one)} by ${door}`);
    const http = at.http();
    const { text } = by;
    const idOf = async () =>
      (await first.store.tokens.findByJti(one.jti))[0]?.id ??
      fail(`${describe(one)} has no record`);
    let response: Response;
    let allowed = may ? [200] : [404];
    switch (door) {
      case 'jti':
      case 'jti in capitals': {
        const jti = door === 'jti' ? one.jti : one.jti.toUpperCase();
        const version = pick(['', '/v1', '/v2', '/v3']);
        response = await http
          .delete(`${version}/jwt/history/${jti}`)
          .set('Authorization', text)
          .set('Content-Type', 'application/json');
        break;
      }
      case 'value':
        if (one.kind !== 'token') return;
        response = await http
          .delete('/v1/token')
          .send({ token: one.text })
          .set('Authorization', text);
        allowed = may ? [200] : [400];
        break;
      case 'dashboard':
        response = await http
          .post(`/admin/tokens/${await idOf()}/revoke`)
          .set('Authorization', text)
          .send({ reason: 'compromised' });
        break;
      case 'bulk':
        response = await http
          .post('/admin/revocations')
          .set('Authorization', text)
          .send({
            selection: { ids: [await idOf()] },
            expectedCount: 1,
            asOf: new Date(clock.now).toISOString(),
            reason: 'compromised',
          });
        allowed = [200];
        break;
      case 'session':
        if (one.kind !== 'session') return;
        response = await http.delete(`/api/jwt/refresh/${one.jti}`).set('Authorization', text);
        if (!model.isGood(one, clock.now)) allowed = [404];
        break;
    }
    expectStatus(response, allowed, `revoking ${describe(one)} by ${door} as ${describe(by)}`);
    // One that was revoked when its maker signed out isn't chosen by a bulk revoke any more.
    const isSkipped = door === 'bulk' && one.isRevoked;
    if (may && response.status === 200 && !isSkipped) model.revoke(one);
    wrote(at);
  }

  async function revokeScope(at: TestService): Promise<void> {
    const by = pick(administrators());
    const holder = chance(0.6) ? pick(users().filter((each) => each !== by)) : null;
    const applicationId = holder === null || chance(0.3) ? pick(APPLICATIONS) : null;
    await hear(at);
    const isFusionAuth = chance(0.5);
    note(`${by.name} revokes all of ${holder?.name ?? '*'} in ${applicationId ?? '*'}`);
    if (isFusionAuth) {
      const response = await at
        .http()
        .delete('/api/jwt/refresh')
        .query({
          ...(holder ? { userId: holder.id } : {}),
          ...(applicationId ? { applicationId } : {}),
        })
        .set('Authorization', basic(by));
      // By a password FusionAuth's route takes administrators too.
      expectStatus(response, [200, 404], 'revoking sessions');
      if (response.status === 200) cutOff({ holder, applicationId, sessionsOnly: true });
    } else {
      const before = chance(0.3) ? clock.now - pick([1000, 60_000]) : null;
      const response = await at
        .http()
        .post('/admin/cutoffs')
        .set('Authorization', basic(by))
        .send({
          ...(holder ? { userId: holder.id } : {}),
          ...(applicationId ? { applicationId } : {}),
          ...(before === null ? {} : { before: new Date(before).toISOString() }),
          reason: 'compromised',
        });
      expectStatus(response, [201], 'a cut-off');
      cutOff(
        { holder, applicationId, sessionsOnly: false },
        before === null ? clock.now : before - 1,
      );
    }
    wrote(at);
  }

  async function account(at: TestService): Promise<void> {
    const by = pick(administrators());
    const one = pick(
      holders.filter((each) => each.isUser && each !== by && each.status !== 'deleted'),
    );
    if (one === undefined) return;
    await hear(at);
    const what = pick(['password', 'password', 'disable', 'enable', 'remove'] as const);
    note(`${by.name}: ${what} ${one.name}`);
    const request =
      what === 'remove'
        ? at.http().delete(`/admin/users/${one.id}`)
        : at.http().post(`/admin/users/${one.id}/${what}`);
    const password = `password number ${(serial += 1)}`;
    const response = await request
      .set('Authorization', basic(by))
      .send(what === 'password' ? { password } : { reason: 'left' });
    expectStatus(response, [200, 204], `${what} of ${one.name}`);
    const wasActive = one.status === 'active';
    if (what === 'password') one.password = password;
    if (what === 'disable') one.status = 'disabled';
    if (what === 'enable') one.status = 'active';
    if (what === 'remove') one.status = 'deleted';
    if (what !== 'enable' || !wasActive)
      cutOff({ holder: one, applicationId: null, sessionsOnly: false });
    wrote(at);
    if (users().length < USERS) await addUser(chance(0.4));
  }

  /** Who is revoked in the database mints nothing, also where that isn't known yet. */
  async function mintDeaf(): Promise<void> {
    const at = pick([...deaf]);
    const one = pick(bad());
    if (at === undefined || one === undefined) return;
    note(`minting at a deaf instance with ${describe(one)}`);
    const response = await at.http().get('/v1/token').set('Authorization', one.text);
    expectStatus(response, [401, 403], `minting at a deaf instance with ${describe(one)}`);
  }

  /** A revoke and whatever mints, at the same moment, on two instances. */
  async function race(at: TestService): Promise<void> {
    await settle();
    const parent = pick(good().filter((each) => each.holder.isUser && each.isRecorded));
    const root = pick(administrators());
    if (parent === undefined) return;
    await hear(at);
    const elsewhere = pick(instances);
    note(`a race of minting with ${describe(parent)} and its revoke`);
    const [minted, revoked] = await Promise.all([
      elsewhere.http().get('/v1/token').set('Authorization', parent.text),
      at.http().delete(`/v3/jwt/history/${parent.jti}`).set('Authorization', basic(root)),
    ]);
    expectStatus(minted, [200, 401], 'minting in a race');
    expectStatus(revoked, [200], 'revoking in a race');
    const child = minted.status === 200 ? holdMinted(parent, minted.body.token) : null;
    model.revoke(parent);
    wrote(at);
    if (child !== null) await check(at, child);
  }

  async function racePassword(at: TestService): Promise<void> {
    const root = pick(administrators());
    const one = pick(users().filter((each) => each !== root));
    if (one === undefined) return;
    await hear(at);
    note(`a race of ${one.name}'s sign-ins and a change of password`);
    const old = { email: one.email, password: one.password };
    const password = `password number ${(serial += 1)}`;
    const elsewhere = pick(instances);
    const [changed, ...signed] = await Promise.all([
      at
        .http()
        .post(`/admin/users/${one.id}/password`)
        .set('Authorization', basic(root))
        .send({ password }),
      at.http().post('/auth/signin').send(old),
      elsewhere.http().post('/auth/signin').send(old),
      elsewhere.http().get('/v1/token').set('Authorization', basic(one)),
    ]);
    expectStatus(changed, [204], 'a change of password in a race');
    one.password = password;
    for (const response of signed) {
      expectStatus(response, [200, 401], 'signing in in a race');
      if (response.status !== 200) continue;
      const text = (response.body.token as string).replace('JWT ', '');
      const expiresAt = expiryOf(text);
      hold({ kind: 'token', jti: jtiOf(text), text, holder: one, expiresAt, isRecorded: false });
    }
    cutOff({ holder: one, applicationId: null, sessionsOnly: false });
    wrote(at);
  }

  /** What is listed as active is what is good, and nothing else. */
  async function compareList(at: TestService): Promise<void> {
    const holder = pick(holders);
    await hear(at);
    await settle();
    const response = await at
      .http()
      .get('/v3/jwt/history')
      .query({ userId: holder.id, state: 'active', limit: 100 })
      .set('Authorization', basic(pick(administrators())));
    expectStatus(response, [200], 'a list');
    const listed = (response.body.jwts as { jti: string; state: string }[]).map(({ jti }) => jti);
    const expected = held
      .filter((one) => one.holder === holder && one.isRecorded && model.isGood(one, clock.now))
      .map(({ jti }) => jti);
    if (response.body.count > 100) return;
    const forgotten = new Set(usedUp.map(({ jti }) => jti));
    const extra = listed.filter((jti) => !expected.includes(jti) && !forgotten.has(jti));
    const missing = expected.filter((jti) => !listed.includes(jti));
    if (extra.length + missing.length > 0)
      fail(`the list of ${holder.name}: too many ${extra.join()}, missing ${missing.join()}`);
  }

  async function restart(): Promise<void> {
    const i = Math.floor(random() * instances.length);
    const old = instances[i];
    if (old === undefined || old === first) return;
    note('an instance starts again');
    await old.close();
    deaf.delete(old);
    instances[i] = await first.sibling();
  }

  function forget(): void {
    while (held.length > MAX_HELD) {
      const i = Math.floor(random() * held.length);
      const one = held[i];
      if (one === undefined) return;
      // A parent or session stays as long as somebody hangs on it.
      if (held.some((other) => other.parent === one || other.session === one)) {
        if (chance(0.9)) continue;
        return;
      }
      held.splice(i, 1);
      usedUp.push(one);
    }
  }

  async function step(): Promise<void> {
    clock.now += pick([1, 5, 1000, 1000, 61_000]);
    if (chance(0.01)) clock.now += pick([3_600_000, DAY_MS, 40 * DAY_MS]);
    const at = pick(instances);
    const what = random();
    if (what < 0.08) await signIn(at, pick(users()));
    else if (what < 0.16) await login(at, pick(users()));
    else if (what < 0.26) {
      const parent = pick(good());
      if (parent !== undefined) await mintWith(at, parent);
    } else if (what < 0.34) await foreign(at);
    else if (what < 0.42) {
      const session = pick(sessions());
      if (session !== undefined) await exchange(at, session);
    } else if (what < 0.45) {
      const session = pick(sessions());
      if (session !== undefined) await reuse(at, session);
    } else if (what < 0.48) {
      const session = pick(sessions());
      if (session !== undefined) await logout(at, session);
    } else if (what < 0.58) await revokeOne(at);
    else if (what < 0.62) await revokeScope(at);
    else if (what < 0.66) await account(at);
    else if (what < 0.7) await mintDeaf();
    else if (what < 0.75) await race(at);
    else if (what < 0.78) await racePassword(at);
    else if (what < 0.79) await restart();
    else if (what < 0.86) await compareList(at);
    for (let i = 0; i < 3 && held.length > 0; i += 1) {
      const one = pick(held.filter((each) => each.kind !== 'session'));
      if (one !== undefined) await check(pick(instances), one);
    }
    forget();
  }

  for (let i = 0; i < USERS; i += 1) await addUser(i < 2);
  let steps = 0;
  try {
    for (; goesOn(steps); steps += 1) {
      await step();
      onProgress?.({ steps, checks, held: held.length });
      if (trace.join('').includes(SECRET)) fail('the trace holds the secret');
    }
  } finally {
    for (const instance of instances.toReversed()) await instance.close();
  }
  return { steps, checks, held: held.length };
}

/** mulberry32: small, and the same everywhere. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
