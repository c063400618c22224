/** Attack `cookies`: requests that another site, or another port of the host, makes the browser send; and the dashboard's token elsewhere. */
import { type Attack, collectFaults, type Target } from './attack.js';
import { type Client, createClient, signIn, signInAsAdministrator } from './client.js';
import { moveClock } from './clock.js';
import { unusualSettings } from './settings.js';

const PASSWORD = 'whose cookies come along';

type Headers = Readonly<Record<string, string>>;

/** As browsers say where a request comes from. */
const FROM: Readonly<Record<string, Headers>> = {
  'another port': { Origin: 'http://127.0.0.1:1', 'Sec-Fetch-Site': 'same-site' },
  'another port, an older browser': { Origin: 'http://127.0.0.1:1' },
  'another site': { Origin: 'https://evil.example', 'Sec-Fetch-Site': 'cross-site' },
  'a sandbox': { Origin: 'null', 'Sec-Fetch-Site': 'cross-site' },
  'a form': {
    Origin: 'https://evil.example',
    'Sec-Fetch-Site': 'cross-site',
    'Content-Type': 'text/plain',
  },
};

export const cookies: Attack = {
  about: 'cookies from another origin do nothing; the dashboard’s are good for the dashboard only',
  settings: unusualSettings,
  async prepare(target) {
    const client = createClient(target);
    const root = await signInAsAdministrator(client, target);
    const email = `cookies-${target.seed}@attack.example`;
    await root.createUser(email, PASSWORD, 'admin');
    return async () => {
      const faults = collectFaults();
      const scene: Scene = { client, target, email, faults, tried: 0 };
      await fusionAuthCookies(scene);
      await dashboardCookie(scene);
      client.close();
      return {
        numbers: `${scene.tried} requests from ${Object.keys(FROM).length} places and with exchanged tokens: ${client.summary()}`,
        faults: [...faults.list(), ...client.faults.list()],
        movedClock: true,
      };
    };
  },
};

interface Scene {
  readonly client: Client;
  readonly target: Target;
  readonly email: string;
  readonly faults: ReturnType<typeof collectFaults>;
  tried: number;
}

function cookiesOf(header: unknown): Record<string, string> {
  const pairs = [header].flat().map((each) => String(each).split(';')[0] ?? '');
  return Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
}
const asHeader = (jar: Record<string, string>) =>
  Object.entries(jar)
    .map(([name, value]) => `${name}=${value}`)
    .join('; ');

async function fusionAuthCookies(scene: Scene): Promise<void> {
  const { client, email, faults } = scene;
  const credentials = { loginId: email, password: PASSWORD };
  const login = await client.call('POST', '/api/login', { body: credentials });
  const jar = cookiesOf(login.headers['set-cookie']);
  const doors: [string, object | undefined][] = [
    ['/api/logout?global=true', undefined],
    ['/api/logout', {}],
    ['/api/jwt/refresh', {}],
    ['/api/login', credentials],
  ];
  for (const [place, headers] of Object.entries(FROM))
    for (const [path, body] of doors) {
      scene.tried += 1;
      const answer = await client.call('POST', path, {
        headers: { ...headers, Cookie: asHeader(jar) },
        ...(body === undefined ? {} : { body }),
      });
      // Whoever brings a password may sign in from anywhere, but gets no cookie of ours.
      if (answer.status < 400 && path !== '/api/login')
        faults.add(`${path} from ${place} was answered ${answer.status}`);
      if (answer.headers['set-cookie'] !== undefined)
        faults.add(`${path} from ${place} sets cookies`);
    }
  const own = await client.call('POST', '/api/jwt/refresh', {
    headers: { Cookie: asHeader(jar), 'Sec-Fetch-Site': 'same-origin' },
    body: {},
  });
  if (own.status !== 200) faults.add(`the session is no longer good: ${own.status}`);
}

async function signInToDashboard({ client, email }: Scene, cookie?: string) {
  const made = await client.call('POST', '/admin/session', {
    headers: {
      'Sec-Fetch-Site': 'same-origin',
      ...(cookie === undefined ? {} : { Cookie: cookie }),
    },
    body: { email, password: PASSWORD },
  });
  const { csrfToken } = JSON.parse(made.text) as { csrfToken: string };
  const jar = cookiesOf(made.headers['set-cookie']);
  return { cookie: asHeader(jar), token: jar['jwt_history_session'] ?? '', csrfToken };
}

async function dashboardCookie(scene: Scene): Promise<void> {
  const { client, email, faults, target } = scene;
  const statusOf = async (cookie: string, more: Headers = {}) => {
    scene.tried += 1;
    return (await client.call('GET', '/admin/session', { headers: { ...more, Cookie: cookie } }))
      .status;
  };
  const session = await signInToDashboard(scene);
  const withCsrf = { Cookie: session.cookie, 'X-CSRF-Token': session.csrfToken };
  const acts: [string, string, object | undefined][] = [
    ['POST', '/admin/users', { email: `by-cookie-${email}`, password: PASSWORD, role: 'admin' }],
    ['POST', '/admin/cutoffs', { everything: true, reason: 'left' }],
    ['DELETE', '/admin/session', undefined],
    ['POST', '/admin/session', { email, password: PASSWORD }],
  ];
  for (const [place, headers] of Object.entries(FROM))
    for (const [method, path, body] of acts) {
      scene.tried += 1;
      const { status } = await client.call(method, path, {
        headers: { ...withCsrf, ...headers },
        ...(body === undefined ? {} : { body }),
      });
      if (status < 400) faults.add(`${method} ${path} from ${place} was answered ${status}`);
    }
  for (const [method, path, body] of acts.slice(0, 3)) {
    scene.tried += 1;
    const { status } = await client.call(method, path, {
      headers: { Cookie: session.cookie, 'Sec-Fetch-Site': 'same-origin' },
      ...(body === undefined ? {} : { body }),
    });
    if (status < 400) faults.add(`${method} ${path} without the CSRF token: ${status}`);
  }
  if ((await statusOf(session.cookie)) !== 200) faults.add('the session is no longer good');

  const jws = session.token.split('.').slice(0, 3).join('.');
  for (const scheme of ['Bearer ', 'JWT ', ''])
    for (const path of ['/auth/verify', '/v3/jwt/history', '/admin/tokens', '/v1/token']) {
      scene.tried += 1;
      const headers = { Authorization: scheme + jws };
      const { status } = await client.call('GET', path, { headers });
      if (status !== 401) faults.add(`the dashboard's token at ${path}: ${status}`);
    }
  const other = (await signIn(client, { email, password: PASSWORD })).replace('JWT ', '');
  const stamp = session.token.split('.').slice(3).join('.');
  for (const value of [other, `${other}.${stamp}`, jws, `${session.token}x`])
    if ((await statusOf(`jwt_history_session=${value}`)) !== 401)
      faults.add('a cookie that we did not make is taken');

  const next = await signInToDashboard(scene, session.cookie);
  if ((await statusOf(session.cookie)) !== 401)
    faults.add('signing in again does not end the session from before');
  await moveClock(target, client);
  if ((await statusOf(next.cookie)) !== 401) faults.add('the idle time does not end the session');
}
