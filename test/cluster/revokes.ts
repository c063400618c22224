/** Every way to take something back, each as what it takes back and how it is asked for. */
import { exchange } from './minting.js';
import type { Session, Token } from './pool.js';
import type { Planned, RevokeKind } from './revoking.js';
import { ask, type World } from './world.js';

const scopeOf = (token: Token) => `token ${token.name}`;
const REASON = { reason: 'requested' } as const;

/** Of one token, that isn't needed for minting. @param isOwn it is its own right that it uses. */
function single(
  weight: number,
  toAsked: (token: Token, world: World) => Planned['asked'],
  isOwn = false,
): RevokeKind {
  return {
    weight,
    isSingle: true,
    plan(world) {
      const token = world.pool.pick('woleet', 'access');
      if (token === null) return null;
      const by = isOwn ? { by: token } : {};
      return { scopes: [scopeOf(token)], asked: toAsked(token, world), ...by };
    },
  };
}

/** Of one session, with all that came from it. */
function ofSession(
  weight: number,
  toAsked: (session: Session, world: World) => Planned['asked'] | null,
): RevokeKind {
  return {
    weight,
    isSingle: true,
    plan(world) {
      const session = world.pool.pick('refresh')?.session ?? null;
      const asked = session && toAsked(session, world);
      return asked && session && { scopes: [`session ${session.id}`], asked };
    },
  };
}

/** Of everything that somebody holds. */
function ofUser(
  weight: number,
  toAsked: (id: string) => Omit<Planned['asked'], 'authorization'>,
): RevokeKind {
  return {
    weight,
    isSingle: false,
    plan({ pool, random, admin }) {
      if (pool.members.length === 0) return null;
      const { id } = random.pick(pool.members);
      return {
        scopes: [`user ${id}`],
        asked: { authorization: admin, ...toAsked(id) },
        leaves: { userId: id },
      };
    },
  };
}

/** Of sessions by criteria, as FusionAuth has it. */
function ofSessions(
  weight: number,
  toScope: (session: Session) => {
    readonly scope: string;
    readonly query: string;
    readonly applicationId?: string;
  },
): RevokeKind {
  return {
    weight,
    isSingle: false,
    plan({ pool, admin }) {
      const session = pool.pick('refresh')?.session;
      if (!session) return null;
      const { scope, query, applicationId } = toScope(session);
      return {
        scopes: [scope],
        asked: { method: 'DELETE', path: `/api/jwt/refresh?${query}`, authorization: admin },
        ...(applicationId === undefined ? {} : { leaves: { applicationId } }),
      };
    },
  };
}

export const REVOKES: Readonly<Record<string, RevokeKind>> = {
  'id, by an administrator': single(10, ({ name }, { admin }) => ({
    method: 'DELETE',
    path: `/v3/jwt/history/${name}`,
    authorization: admin,
  })),
  'id, by itself': single(
    6,
    ({ name, text }) => ({
      method: 'DELETE',
      path: `/v2/jwt/history/${name}`,
      authorization: `JWT ${text}`,
    }),
    true,
  ),
  'value, as Woleet': single(10, ({ text }, { admin }) => ({
    method: 'DELETE',
    path: '/v1/token',
    authorization: admin,
    body: { token: text },
  })),
  'record id': {
    weight: 6,
    isSingle: true,
    async plan(world, instance) {
      const token = world.pool.pick('woleet', 'access');
      if (token === null) return null;
      const { admin } = world;
      const known = await ask(world, instance, 'look-up', {
        method: 'POST',
        path: '/v3/jwt/history',
        authorization: admin,
        body: { token: token.text },
      });
      if (known.status !== 200) return null;
      const { _id: id } = JSON.parse(known.text) as { _id: string };
      const path = `/v3/jwt/history/id/${id}`;
      return { scopes: [scopeOf(token)], asked: { method: 'DELETE', path, authorization: admin } };
    },
  },
  'refresh token': ofSession(6, ({ refreshToken }, { admin }) =>
    refreshToken === null
      ? null
      : {
          method: 'DELETE',
          path: `/api/jwt/refresh?token=${encodeURIComponent(refreshToken)}`,
          authorization: admin,
        },
  ),
  session: ofSession(6, ({ id }, { admin }) => ({
    method: 'DELETE',
    path: `/api/jwt/refresh/${id}`,
    authorization: admin,
  })),
  logout: ofSession(4, ({ refreshToken }) =>
    refreshToken === null ? null : { method: 'POST', path: '/api/logout', body: { refreshToken } },
  ),
  'refresh token used twice': {
    weight: 5,
    isSingle: true,
    async plan(world) {
      const token = world.pool.pick('refresh');
      const used = token && (await exchange(world, token));
      if (token === null || used === null || token.session === null) return null;
      return {
        scopes: [`session ${token.session.id}`],
        asked: { method: 'POST', path: '/api/jwt/refresh', body: { refreshToken: used } },
        // That it is refused says only that it had been used; that its session was revoked, this.
        isDone: ({ status, propagation }) => status === 400 && propagation !== '',
      };
    },
  },
  'a sign-in with what it minted': {
    weight: 2,
    isSingle: false,
    plan({ pool, random, admin }) {
      if (pool.members.length === 0) return null;
      const { id, base } = random.pick(pool.members);
      const path = `/v3/jwt/history/${base.name}`;
      const asked = { method: 'DELETE', path, authorization: admin } as const;
      return { scopes: [scopeOf(base)], asked, leaves: { userId: id } };
    },
  },
  'several at once': {
    weight: 2,
    isSingle: false,
    async plan(world, instance) {
      const { admin } = world;
      const token = world.pool.pick('woleet');
      if (token === null) return null;
      const filter = { userId: token.userId, kind: 'access' };
      const seen = await ask(world, instance, 'preview', {
        method: 'POST',
        path: '/admin/revocations/preview',
        authorization: admin,
        body: { filter },
      });
      if (seen.status !== 200) return null;
      const { count, asOf } = JSON.parse(seen.text) as { count: number; asOf: string };
      const body = { selection: { filter }, expectedCount: count, asOf, ...REASON };
      return {
        scopes: [`access tokens of user ${token.userId}`],
        asked: { method: 'POST', path: '/admin/revocations', authorization: admin, body },
        isDone: isBulkDone,
        leaves: { userId: token.userId },
      };
    },
  },
  'sessions of a user': ofSessions(2, ({ userId }) => ({
    scope: `sessions of user ${userId}`,
    query: `userId=${userId}&applicationId=undefined`,
  })),
  'sessions of an application': ofSessions(1, ({ applicationId }) => ({
    scope: `sessions of application ${applicationId}`,
    query: `applicationId=${applicationId}`,
    applicationId,
  })),
  'sessions of a user in an application': ofSessions(2, ({ userId, applicationId }) => ({
    scope: `sessions of user ${userId} in ${applicationId}`,
    query: `userId=${userId}&applicationId=${applicationId}`,
  })),
  'cut-off of a user': ofUser(2, (userId) => ({
    method: 'POST',
    path: '/admin/cutoffs',
    body: { userId, ...REASON },
  })),
  'cut-off of an application': {
    weight: 1,
    isSingle: false,
    plan({ pool, random, admin: authorization }) {
      const applicationId = random.pick(pool.applications);
      const body = { applicationId, ...REASON };
      return {
        scopes: [`application ${applicationId}`],
        asked: { method: 'POST', path: '/admin/cutoffs', authorization, body },
        leaves: { applicationId },
      };
    },
  },
  'password changed': ofUser(1, (id) => ({
    method: 'POST',
    path: `/admin/users/${id}/password`,
    body: { password: 'another one, after the change' },
  })),
  'user disabled': ofUser(2, (id) => ({
    method: 'POST',
    path: `/admin/users/${id}/disable`,
    body: REASON,
  })),
};

/** Its last line says what failed. */
function isBulkDone({ status, text }: { readonly status: number; readonly text: string }): boolean {
  if (status !== 200) return false;
  const last = text.trimEnd().split('\n').at(-1) ?? '{}';
  const { result } = JSON.parse(last) as { result?: { failed: readonly unknown[] } };
  return result?.failed.length === 0;
}
