/** Who holds a body back, and what happens to them before it comes. */
import type { actsOf } from '../support/late-acts.js';
import type { Target } from './attack.js';
import { type Client, signIn, type signInAsAdministrator } from './client.js';

export const PASSWORD = 'revoked before the body came';

type Administrator = Awaited<ReturnType<typeof signInAsAdministrator>>;

export interface Scene {
  readonly client: Client;
  readonly root: Administrator;
  readonly target: Target;
  readonly acts: ReturnType<typeof actsOf>;
  readonly newEmail: () => string;
}

export interface Caller {
  readonly userId: string;
  readonly jti: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

async function newAdministrator({ root, newEmail }: Scene) {
  const email = newEmail();
  return { email, userId: await root.createUser(email, PASSWORD, 'admin') };
}
const basicOf = (email: string) =>
  `Basic ${Buffer.from(`${email}:${PASSWORD}`).toString('base64')}`;
const jtiOf = (token: string) =>
  (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { jti: string })
    .jti;

export const CALLERS = {
  async token(scene: Scene): Promise<Caller> {
    const { email, userId } = await newAdministrator(scene);
    const token = await signIn(scene.client, { email, password: PASSWORD });
    return { userId, jti: jtiOf(token), headers: { Authorization: token } };
  },
  async password(scene: Scene): Promise<Caller> {
    const { email, userId } = await newAdministrator(scene);
    return { userId, jti: null, headers: { Authorization: basicOf(email) } };
  },
  async key(scene: Scene): Promise<Caller> {
    const { email, userId } = await newAdministrator(scene);
    const { key, jti } = await scene.client.expect<{ key: string; jti: string }>(
      'POST',
      '/admin/api-keys',
      { headers: { Authorization: basicOf(email) }, body: { name: 'key' } },
    );
    return { userId, jti, headers: { Authorization: key } };
  },
  async session(scene: Scene): Promise<Caller> {
    const { email, userId } = await newAdministrator(scene);
    const made = await scene.client.call('POST', '/admin/session', {
      body: { email, password: PASSWORD },
    });
    const { csrfToken } = JSON.parse(made.text) as { csrfToken: string };
    const cookie = String(made.headers['set-cookie']).split(';')[0] ?? '';
    const jti = jtiOf(cookie.split('=')[1] ?? '');
    return { userId, jti, headers: { Cookie: cookie, 'X-CSRF-Token': csrfToken } };
  },
};
export type Kind = keyof typeof CALLERS;

export const CHANGES = {
  revoked: ({ client, root }: Scene, { jti }: Caller) =>
    client.expect('DELETE', `/v3/jwt/history/${jti ?? 'none'}`, { headers: root.headers }),
  disabled: ({ client, root }: Scene, { userId }: Caller) =>
    client.expect('POST', `/admin/users/${userId}/disable`, {
      headers: root.headers,
      body: { reason: 'left' },
    }),
  'password changed': ({ client, root }: Scene, { userId }: Caller) =>
    client.expect('POST', `/admin/users/${userId}/password`, {
      headers: root.headers,
      body: { password: `${PASSWORD}?` },
    }),
  deleted: ({ client, root }: Scene, { userId }: Caller) =>
    client.expect('DELETE', `/admin/users/${userId}`, {
      headers: root.headers,
      body: { reason: 'left' },
    }),
};
export type Change = keyof typeof CHANGES;
