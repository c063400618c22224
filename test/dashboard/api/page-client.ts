/** The service as the dashboard's page sees it: signed in with a cookie, sending what a browser sends. */
import { expect } from '@jest/globals';
import type { WireSession, WireTokenPage } from '../../../src/dashboard/wire.js';
import { PASSWORD, startTestService, type TestService } from '../../support/harness.js';

export interface Browser {
  readonly session: WireSession;
  readonly cookie: string;
  get(path: string): ReturnType<ReturnType<TestService['http']>['get']>;
  post(path: string, body: object): ReturnType<ReturnType<TestService['http']>['post']>;
  delete(path: string): ReturnType<ReturnType<TestService['http']>['delete']>;
}

export const CHROME =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36';

/** With an administrator, who is signed in, and two users. */
export async function startWithPage() {
  const t = await startTestService();
  await t.createUser('admin@example.com', 'admin');
  await t.createUser('ann@example.com');
  await t.createUser('bob@example.com');
  const admin = await openBrowser(t, 'admin@example.com');
  return { t, admin, close: () => t.close() };
}

/** Signs in as the page does. */
export async function openBrowser(at: TestService, email: string): Promise<Browser> {
  const response = await at
    .http()
    .post('/admin/session')
    .set('Sec-Fetch-Site', 'same-origin')
    .set('User-Agent', CHROME)
    .send({ email, password: PASSWORD });
  expect(response.status).toBe(201);
  const session = response.body as WireSession;
  const cookie = cookieOf(response.headers['set-cookie']);
  return {
    session,
    cookie,
    get: (path) => at.http().get(path).set('Cookie', cookie),
    post: (path, body) =>
      at
        .http()
        .post(path)
        .set('Cookie', cookie)
        .set('Sec-Fetch-Site', 'same-origin')
        .set('X-CSRF-Token', session.csrfToken)
        .send(body),
    delete: (path) =>
      at
        .http()
        .delete(path)
        .set('Cookie', cookie)
        .set('Sec-Fetch-Site', 'same-origin')
        .set('X-CSRF-Token', session.csrfToken),
  };
}

export function cookieOf(header: unknown): string {
  const [first = ''] = header as string[];
  return first.split(';')[0] ?? '';
}

export async function listOf(browser: Browser, query = ''): Promise<WireTokenPage> {
  const response = await browser.get(`/admin/tokens?${query}`);
  expect(response.status).toBe(200);
  return response.body as WireTokenPage;
}
