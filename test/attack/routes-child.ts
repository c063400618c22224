/** The process that learns from the sources which routes there are, and which fields their schemas have: nothing is named by hand, so that what is added is attacked. */
import { subscribe } from 'node:diagnostics_channel';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { send } from '../../bench/children.js';
import { startEngine } from '../../src/store/embedded/engine.js';
import { PASSWORD, startTestService } from '../support/harness.js';
import { fieldsOf, GOOD, pathOf } from '../support/hostile-values.js';
import { type Route, routesOf } from '../support/routes.js';

export interface LearntRoute extends Route {
  /** From the outermost to the innermost name. */
  readonly fields: readonly (readonly string[])[];
}

const folder = mkdtempSync(join(tmpdir(), 'jwt-history-attack-'));
const engine = await startEngine({ dataDir: folder });
process.env['TEST_MONGODB_URI'] = engine.uri;
const t = await startTestService({ SIGN_IN_ATTEMPTS: '100000' });
const learnt: LearntRoute[] = [];
try {
  await t.createUser('root@example.com', 'admin');
  const root = await t.signIn('root@example.com');
  const session = await t
    .http()
    .post('/admin/session')
    .send({ email: 'root@example.com', password: PASSWORD });
  const cookie = {
    Cookie: String(session.headers['set-cookie']).split(';')[0] ?? '',
    'X-CSRF-Token': String(session.body.csrfToken),
  };
  const asked = new Map<string, string[]>();
  subscribe('jwt-history:schema', (schema) => {
    for (const path of fieldsOf(schema)) asked.set(path.join('\n'), path);
  });
  for (const route of routesOf(t.service.app)) {
    asked.clear();
    const headers = route.steps.includes('authenticateCookie') ? cookie : { Authorization: root };
    const isStream = route.path.endsWith('/stream');
    const endsSession = route.method === 'DELETE' && route.path === '/admin/session';
    if (!isStream && !endsSession) {
      const method = route.method.toLowerCase() as 'get' | 'head' | 'post' | 'delete';
      if (method === 'get' || method === 'head') await t.http()[method](pathOf(route)).set(headers);
      // `token` chooses between two schemas, and a schema may be asked for only after another.
      else
        for (const body of [{}, { token: 'x' }, GOOD])
          await t.http()[method](pathOf(route)).set(headers).send(body);
    }
    learnt.push({ ...route, fields: [...asked.values()] });
  }
} finally {
  await t.close().catch(() => undefined);
  await engine.stop();
  rmSync(folder, { recursive: true, force: true });
}
send(learnt);
