/** A request that acts, for each route that asks who is calling: for the tests and for `npm run attack`. */

/** What there is to act on. */
export interface ActTarget {
  readonly userId: string;
  /** An application with a cut-off in the future. */
  readonly aheadId: string;
  readonly refreshToken: string;
  readonly refreshTokenId: string;
  readonly jti: string;
  readonly recordId: string;
  /** One that never expires. */
  readonly token: string;
}

/** The path where it isn't the route's own. */
type Act = (target: ActTarget) => { readonly path?: string; readonly body: object };

interface Options {
  readonly newName: () => string;
  readonly newEmail: () => string;
  /** ms */
  readonly now: () => number;
  readonly password: string;
}

/** For each route that changes something, by method and path. */
export function actsOf({ newName, newEmail, now, password }: Options): Record<string, Act> {
  return {
    'POST /admin/api-keys': () => ({ body: { name: newName() } }),
    'POST /admin/inspect': ({ token }) => ({ body: { token } }),
    'POST /admin/revocations/preview': ({ recordId }) => ({ body: { ids: [recordId] } }),
    'POST /admin/revocations': ({ recordId }) => ({
      body: {
        selection: { ids: [recordId] },
        expectedCount: 1,
        asOf: new Date(now() + 10_000).toISOString(),
        reason: 'left',
      },
    }),
    'POST /admin/cutoffs': ({ userId }) => ({ body: { userId, reason: 'left' } }),
    'POST /admin/cutoffs/lower': ({ aheadId }) => ({
      body: { applicationId: aheadId, reason: 'left' },
    }),
    'DELETE /admin/session': () => ({ body: {} }),
    'POST /admin/tokens/:id/revoke': ({ recordId }) => ({
      path: `/admin/tokens/${recordId}/revoke`,
      body: { reason: 'left' },
    }),
    'POST /admin/users': () => ({ body: { email: newEmail(), password, role: 'admin' } }),
    'POST /admin/users/:id/password': ({ userId }) => ({
      path: `/admin/users/${userId}/password`,
      body: { password: `${password}!` },
    }),
    'POST /admin/users/:id/disable': ({ userId }) => ({
      path: `/admin/users/${userId}/disable`,
      body: { reason: 'left' },
    }),
    'POST /admin/users/:id/enable': ({ userId }) => ({
      path: `/admin/users/${userId}/enable`,
      body: { reason: 'requested' },
    }),
    'DELETE /admin/users/:id': ({ userId }) => ({
      path: `/admin/users/${userId}`,
      body: { reason: 'left' },
    }),
    'DELETE /api/jwt/refresh': ({ refreshToken }) => ({ body: { token: refreshToken } }),
    'DELETE /api/jwt/refresh/:id': ({ refreshTokenId }) => ({
      path: `/api/jwt/refresh/${refreshTokenId}`,
      body: {},
    }),
    'POST /v3/jwt/history': ({ userId }) => ({ body: { jti: newName(), userId } }),
    'DELETE /v1/token': ({ token }) => ({ body: { token } }),
    ...Object.fromEntries(
      ['/v1', '/v2', '/v3', ''].flatMap((version) => [
        [
          `DELETE ${version}/jwt/history/:jti`,
          ({ jti }: ActTarget) => ({ path: `${version}/jwt/history/${jti}`, body: {} }),
        ],
        [
          `DELETE ${version}/jwt/history/id/:id`,
          ({ recordId }: ActTarget) => ({
            path: `${version}/jwt/history/id/${recordId}`,
            body: {},
          }),
        ],
      ]),
    ),
  };
}
