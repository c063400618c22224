/** The dashboard in a real Chromium on the real service: what people do there, with the keyboard too, on a phone, in the dark; and what hostile data must not do. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import {
  chromiumPath,
  launchBrowser,
  listen,
  type Listening,
  openPage,
  signInOnPage,
  type WatchedPage,
} from '../../support/browser.js';
import {
  freshDatabase,
  PASSWORD,
  startTestService,
  type TestService,
} from '../../support/harness.js';
import { newRecord } from '../../support/store-conformance.js';

const describeWithChromium = chromiumPath === null ? describe.skip : describe;
if (chromiumPath === null) {
  process.stderr.write(
    'SKIPPED test/dashboard/page/page.test.ts: no Chromium here (Debian: apt-get install chromium)\n',
  );
}

// A browser on a busy machine.
jest.setTimeout(600_000);

const AXE = readFileSync(
  new URL('../../../node_modules/axe-core/axe.min.js', import.meta.url),
  'utf8',
);
const ADMIN = 'admin@example.com';

/** Every text that people or programs give us, as an attacker would. */
const HOSTILE = [
  '<img src=x onerror=alert(1)>',
  '"><script>alert(2)</script>',
  "'-alert(3)-'",
  'javascript:alert(4)',
  '{{constructor.constructor("alert(5)")()}}',
  '\u202Egnp.exe',
] as const;

/** As axe says it. */
interface Finding {
  readonly id: string;
  readonly nodes: readonly {
    readonly html: string;
    readonly failureSummary?: string;
    readonly any: readonly { readonly data: { readonly messageKey?: string } | null }[];
  }[];
}

describeWithChromium('the dashboard', () => {
  let t: TestService;
  let at: Listening;
  let browser: Browser;
  let adminToken: string;
  const open: WatchedPage[] = [];

  beforeAll(async () => {
    // The browser's clock is the real one.
    const clock = {
      get now() {
        return Date.now();
      },
    };
    t = await startTestService({}, freshDatabase(), clock);
    await t.createUser(ADMIN, 'admin');
    await t.createUser('ann@example.com');
    await t.createUser('bob@example.com');
    adminToken = await t.signIn(ADMIN);
    at = await listen(t);
    browser = await launchBrowser();
  });
  afterEach(async () => {
    for (const { context, mishaps } of open.splice(0)) {
      await context.close();
      expect(mishaps).toEqual([]);
    }
  });
  afterAll(async () => {
    await browser.close();
    await at.close();
    await t.close();
  });

  async function newPage(options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
    const watched = await openPage(browser, at.origin, options);
    open.push(watched);
    return watched.page;
  }

  async function signedIn(
    email = ADMIN,
    options: Parameters<Browser['newContext']>[0] = {},
  ): Promise<Page> {
    const page = await newPage(options);
    await signInOnPage(page, at.origin, email);
    return page;
  }

  async function register(jtis: readonly string[], userId: string): Promise<void> {
    await Promise.all(
      jtis.map((jti) =>
        t
          .http()
          .post('/v3/jwt/history')
          .set('Authorization', adminToken)
          .send({ jti, userId, issuedAt: new Date().toISOString() })
          .expect(201),
      ),
    );
  }

  /** Runs in the page, whose types aren't ours. */
  const isFocused = (node: unknown) =>
    node === (node as { ownerDocument: { activeElement: unknown } }).ownerDocument.activeElement;

  const named = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, i) => `${prefix}-${String(i).padStart(3, '0')}`);
  const rows = (page: Page) => page.locator('tr[data-id]');

  /** WCAG 2.2 A and AA, and what axe calls best practice; and text that is as white as what it's on, of which axe is not sure. */
  async function violationsOf(page: Page): Promise<string[]> {
    await page.evaluate(AXE);
    const found = (await page.evaluate(
      "axe.run(document, { runOnly: ['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa','best-practice'] })",
    )) as Record<'violations' | 'incomplete', Finding[]>;
    const unseen = found.incomplete.flatMap((finding) => {
      const nodes = finding.nodes.filter(({ any }) =>
        any.some(({ data }) => data?.messageKey === 'equalRatio'),
      );
      return nodes.length === 0 ? [] : [{ ...finding, nodes }];
    });
    return [...found.violations, ...unseen].map(
      ({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary ?? ''}`,
    );
  }

  async function expectRows(page: Page, count: number): Promise<void> {
    for (const limit = Date.now() + 5000; ;) {
      const found = await rows(page).count();
      if (found === count) return;
      if (Date.now() > limit) expect(found).toBe(count);
      await page.waitForTimeout(20);
    }
  }

  /** Where a page is, without what changes by itself. */
  const query = (page: Page) => new URL(page.url()).search;

  describe('in and out', () => {
    it('asks in its own form, is generic about what was wrong, and shows the wait', async () => {
      const strict = await startTestService({ SIGN_IN_ATTEMPTS: '2' });
      await strict.createUser(ADMIN, 'admin');
      const there = await listen(strict);
      try {
        const { page, context, mishaps } = await openPage(browser, there.origin);
        await page.goto(there.origin);
        for (const attempt of [1, 2, 3]) {
          await page.getByLabel('E-mail').fill(ADMIN);
          await page.getByLabel('Password').fill(`wrong password ${attempt}`);
          const answered = page.waitForResponse(/\/admin\/session/);
          await page.getByRole('button', { name: 'Sign in' }).click();
          await answered;
          const said = page.getByRole('alert');
          await said.waitFor();
          if (attempt < 3)
            expect(await said.innerText()).toMatch(/^e-mail or password is wrong\.$/i);
          else await page.getByRole('button', { name: /Wait \d+ s/ }).waitFor();
        }
        expect(await violationsOf(page)).toEqual([]);
        expect(mishaps).toEqual([]);
        await context.close();
      } finally {
        await there.close();
        await strict.close();
      }
    });

    it('leads to where the address pointed, and out again', async () => {
      const page = await newPage();
      await page.goto(`${at.origin}/?state=active&q=admin`);
      await page.getByLabel('E-mail').fill(ADMIN);
      await page.getByLabel('Password').fill(PASSWORD);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await rows(page).first().waitFor();
      expect(query(page)).toContain('state=active');
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByLabel('Password').waitFor();
      expect(await rows(page).count()).toBe(0);
      const cookies = await page.context().cookies();
      expect(cookies.filter(({ name }) => name === 'jwt_history_session')).toEqual([]);
    });

    it('signs the page out at once when its session is revoked elsewhere, and says why', async () => {
      const page = await signedIn();
      await page.getByText('this session').first().waitFor();
      const id = await page.locator('tr', { hasText: 'this session' }).getAttribute('data-id');
      await waitUntilLive(page);
      await t
        .http()
        .delete(`/v3/jwt/history/id/${id}`)
        .set('Authorization', adminToken)
        .expect(200);
      await page.getByLabel('Password').waitFor();
      expect(await page.locator('body').innerText()).toMatch(/session/i);
      expect(await rows(page).count()).toBe(0);
    });
  });

  async function waitUntilLive(page: Page): Promise<void> {
    await page.getByText('Live', { exact: true }).first().waitFor();
  }

  describe('the list', () => {
    it('filters, sorts and pages, all in the address, and goes back', async () => {
      await register(named('page', 120), 'u-paging');
      const page = await signedIn();
      await page.goto(`${at.origin}/?userId=u-paging`);
      await rows(page).first().waitFor();
      await expectRows(page, 50);
      await page.getByRole('button', { name: /older/i }).first().click();
      await page.waitForURL(/cursor=/);
      await expectRows(page, 50);
      await page.getByRole('button', { name: /older/i }).first().click();
      await expectRows(page, 20);
      await page.getByRole('button', { name: /newer/i }).first().click();
      await expectRows(page, 50);
      await page.goto(`${at.origin}/?userId=u-paging`);
      await rows(page).first().waitFor();
      const issued = page
        .getByRole('table', { name: 'Tokens', exact: true })
        .getByRole('columnheader', { name: /Issued/ });
      await issued.getByRole('button').click();
      await page.waitForURL(/direction=1/);
      expect(await issued.getAttribute('aria-sort')).toBe('ascending');
      await page.goBack();
      expect(query(page)).not.toContain('direction=1');
      await page.getByRole('combobox', { name: 'State' }).selectOption('revoked');
      await page.waitForURL(/state=revoked/);
      await page
        .getByText(/nothing matches|no tokens? match/i)
        .first()
        .waitFor();
      await page.getByRole('button', { name: 'Clear all' }).first().click();
      await rows(page).first().waitFor();
      expect(query(page)).not.toMatch(/state|userId/);
      expect(await violationsOf(page)).toEqual([]);
    });

    it('finds by e-mail, by the beginning of an id, and by application', async () => {
      await t.signIn('ann@example.com');
      const page = await signedIn();
      const box = page.getByRole('searchbox');
      for (const [text, count] of [
        ['ann@', 1],
        ['page-01', 10],
        ['no such thing at all', 0],
      ] as const) {
        await box.fill(text);
        await page.waitForURL((url) => url.searchParams.get('q') === text);
        if (count === 0)
          await page
            .getByText(/nothing matches|no tokens? match/i)
            .first()
            .waitFor();
        else await expectRows(page, count);
      }
    });

    it('shows what someone without tokens needs first', async () => {
      const empty = await startTestService({}, freshDatabase(), {
        get now() {
          return Date.now();
        },
      });
      await empty.createUser('new@example.com');
      const there = await listen(empty);
      try {
        const { page, context, mishaps } = await openPage(browser, there.origin);
        await signInOnPage(page, there.origin, 'new@example.com');
        expect(await page.locator('body').innerText()).toContain('My tokens');
        expect(await page.getByRole('link', { name: 'Users' }).count()).toBe(0);
        expect(await violationsOf(page)).toEqual([]);
        expect(mishaps).toEqual([]);
        await context.close();
      } finally {
        await there.close();
        await empty.close();
      }
    });
  });

  describe('revoking', () => {
    it('revokes one: the row changes when the service said so, and its holder gets 401', async () => {
      const authorization = await t.signIn('bob@example.com');
      await t.http().get('/auth/verify').set('Authorization', authorization).expect(204);
      const page = await signedIn();
      await page.goto(`${at.origin}/?q=bob@example.com&state=active`);
      const row = rows(page).first();
      await row.getByRole('button', { name: /revoke/i }).click();
      const dialog = page.getByRole('dialog');
      await dialog.waitFor();
      expect(await dialog.getByRole('button', { name: 'Cancel' }).evaluate(isFocused)).toBe(true);
      expect(await violationsOf(page)).toEqual([]);
      await t.http().get('/auth/verify').set('Authorization', authorization).expect(204);
      await dialog.getByLabel('Reason').selectOption('other');
      await dialog.getByLabel('Note').fill('left the building');
      await dialog.getByRole('button', { name: 'Revoke', exact: true }).click();
      await page
        .getByText(/refused everywhere since/i)
        .first()
        .waitFor();
      await t.http().get('/auth/verify').set('Authorization', authorization).expect(401);
      expect(await row.innerText()).toMatch(/revoked/i);
    });

    it('revokes all that match after a look, and wants the number typed', async () => {
      await register(named('bulk', 60), 'u-bulk');
      const page = await signedIn();
      await page.goto(`${at.origin}/?userId=u-bulk`);
      await rows(page).first().waitFor();
      await page.getByRole('checkbox', { name: /all/i }).first().check();
      await page.getByRole('button', { name: /all 60 matching/i }).click();
      await page.getByRole('button', { name: 'Revoke…' }).first().click();
      const dialog = page.getByRole('dialog');
      await dialog.getByText('Revoke 60 tokens?').waitFor();
      expect(await violationsOf(page)).toEqual([]);
      await dialog.getByLabel('Reason').selectOption('compromised');
      const submit = dialog.getByRole('button', { name: /revoke 60 tokens/i });
      await submit.click();
      // Without the number nothing happens.
      expect(await dialog.getByText('Revoke 60 tokens?').isVisible()).toBe(true);
      // In the meantime it grows: nothing is revoked, and the new number has to be typed.
      await register(['bulk-late'], 'u-bulk');
      await dialog.getByLabel(/type/i).fill('60');
      await submit.click();
      await dialog.getByText(/grown from 60 to 61/).waitFor();
      await dialog.getByLabel(/type/i).fill('61');
      await dialog.getByRole('button', { name: /revoke 61 tokens/i }).click();
      await dialog.getByText(/61 tokens are refused everywhere/).waitFor();
      await dialog.getByRole('button', { name: 'Close' }).last().click();
      await page.goto(`${at.origin}/?userId=u-bulk&state=active`);
      await page
        .getByText(/nothing matches|no tokens? match/i)
        .first()
        .waitFor();
    });

    it('does nothing when another page asks for it, wherever that page comes from', async () => {
      const page = await signedIn();
      const id = await page.locator('tr', { hasText: 'this session' }).getAttribute('data-id');
      const server = createServer((_req, res) => {
        res.setHeader('Content-Type', 'text/html').end('<!doctype html><title>elsewhere</title>');
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const elsewhere = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      // Another page of the same browser, with its cookies.
      const other = await page.context().newPage();
      await other.goto(elsewhere);
      const status = await other.evaluate(
        `fetch('${at.origin}/admin/tokens/${id}/revoke', {method:'POST', credentials:'include', mode:'no-cors', headers:{'Content-Type':'text/plain'}, body:'{"reason":"left"}'}).then((r) => r.type, () => 'refused')`,
      );
      expect(status).not.toBe('basic');
      await other.evaluate(
        `{ const f = document.createElement('form'); f.method = 'post'; f.action = '${at.origin}/admin/cutoffs'; f.enctype = 'text/plain'; document.body.append(f); f.submit(); }`,
      );
      await other.waitForURL(`${at.origin}/admin/cutoffs`);
      const framed = await other
        .goto(elsewhere)
        .then(() =>
          other.evaluate(
            `new Promise((done) => { const i = document.createElement('iframe'); i.src = '${at.origin}/'; i.onload = () => { try { done(i.contentDocument === null ? 'foreign' : i.contentDocument.body.innerText) } catch { done('foreign') } }; document.body.append(i); })`,
          ),
        );
      expect(framed).not.toContain('Sign in');
      await other.close();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      await page.reload();
      await page.getByText('this session').first().waitFor();
    });
  });

  describe('the drawer and the other views', () => {
    it('opens by its address, with the timeline, and closes by Esc', async () => {
      const page = await signedIn();
      const id = await rows(page).first().getAttribute('data-id');
      await page.goto(`${at.origin}/?token=${id}`);
      const drawer = page.getByRole('dialog');
      await drawer.getByText('Timeline').waitFor();
      expect(await drawer.innerText()).toMatch(/issued/i);
      expect(await violationsOf(page)).toEqual([]);
      await page.keyboard.press('Escape');
      await drawer.waitFor({ state: 'detached' });
      expect(query(page)).not.toContain('token=');
    });

    it('tells of a token whether it would be accepted, and keeps nothing of it', async () => {
      const authorization = await t.signIn('ann@example.com');
      const token = authorization.replace('JWT ', '');
      const page = await signedIn();
      await page.goto(`${at.origin}/?view=inspect`);
      await page.getByRole('textbox').first().fill(token);
      await page.getByRole('button', { name: 'Would it be accepted?' }).click();
      await page
        .getByText(/would be accepted/i)
        .first()
        .waitFor();
      expect(await violationsOf(page)).toEqual([]);
      expect(page.url()).not.toContain(token.slice(0, 20));
      const kept = await page.evaluate('JSON.stringify([{...localStorage}, {...sessionStorage}])');
      expect(kept).not.toContain(token.slice(0, 20));
    });

    it('makes a user, sets a password, makes a key that is shown once', async () => {
      const page = await signedIn();
      await page.goto(`${at.origin}/?view=users`);
      await page.getByText('ann@example.com').first().waitFor();
      expect(await violationsOf(page)).toEqual([]);
      await page
        .getByRole('button', { name: /new user|create/i })
        .first()
        .click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('E-mail').fill('dora@example.com');
      await dialog.getByLabel('Password', { exact: true }).fill('a password for dora');
      await dialog.getByRole('button', { name: /create/i }).click();
      await page.getByRole('table').getByText('dora@example.com').waitFor();
      await page.goto(`${at.origin}/?view=keys`);
      await page
        .getByRole('button', { name: /new|make|create/i })
        .first()
        .click();
      await page.getByRole('dialog').getByLabel('Name').fill('nightly script');
      await page
        .getByRole('dialog')
        .getByRole('button', { name: /make|create/i })
        .click();
      const shown = page.getByText(/[0-9a-f-]{36}\.[A-Za-z0-9_-]{43}/).first();
      await shown.waitFor();
      const key = /[0-9a-f-]{36}\.[A-Za-z0-9_-]{43}/.exec(await shown.innerText())?.[0] ?? '';
      await t.http().get('/v3/jwt/history').set('Authorization', key).expect(200);
      expect(await violationsOf(page)).toEqual([]);
      await page.reload();
      expect(await page.locator('body').innerText()).not.toContain(key);
    });

    it('says how much a cut-off hit: of an application, of one that nobody knows, of a user', async () => {
      const issuedAt = new Date(Date.now() - 1000);
      for (const userId of ['u-hit-1', 'u-hit-2', 'u-hit-1']) {
        const more = { userId, applicationId: 'hit-app', issuedAt, expiresAt: null, purgeAt: null };
        await t.store.tokens.insert(newRecord(randomUUID(), more));
      }
      await t.createUser('hit@example.com');
      await t.signIn('hit@example.com');
      const page = await signedIn();
      await page.goto(`${at.origin}/?view=danger`);
      for (const [application, said] of [
        ['hit-app', /of hit-app issued until .+ is refused everywhere: 3 tokens of 2 users\./],
        ['hit-typo', /of hit-typo issued until .+: no token on record was still good\./],
      ] as const) {
        await page.getByLabel(/Application/).fill(application);
        await page.getByLabel('Reason').selectOption('rotated');
        await page.getByLabel(/type/i).fill('REVOKE');
        await page.getByRole('button', { name: 'Revoke everything of this application' }).click();
        await page.getByRole('main').getByText(said).first().waitFor();
      }
      await page.goto(`${at.origin}/?view=users`);
      await page.getByRole('button', { name: 'Revoke everything of hit@example.com' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Reason').selectOption('left');
      await dialog.getByRole('button', { name: 'Revoke everything' }).click();
      await page
        .getByText(/hit@example\.com issued until .+ is refused everywhere: 1 token$/)
        .waitFor();
    });

    it('shows the danger zone without a violation, and does nothing by itself', async () => {
      const page = await signedIn();
      await page.goto(`${at.origin}/?view=danger`);
      await page
        .getByRole('heading', { name: /danger|before/i })
        .first()
        .waitFor();
      expect(await violationsOf(page)).toEqual([]);
    });
  });

  describe('live', () => {
    it('changes the row when a token is revoked elsewhere, and says what is new', async () => {
      await register(['live-token'], 'u-live');
      const page = await signedIn();
      await page.goto(`${at.origin}/?userId=u-live`);
      await rows(page).first().waitFor();
      await waitUntilLive(page);
      await t
        .http()
        .delete('/v3/jwt/history/live-token')
        .set('Authorization', adminToken)
        .expect(200);
      await rows(page).first().getByText('Revoked').waitFor();
      await register(['live-token-2'], 'u-live');
      const pill = page.getByRole('button', { name: '1 new' });
      await pill.waitFor();
      expect(await rows(page).count()).toBe(1);
      await pill.click();
      await expectRows(page, 2);
    });
  });

  describe('with the keyboard alone', () => {
    it('searches, walks, opens, closes, ticks and revokes', async () => {
      await register(named('keys', 3), 'u-keys');
      const page = await signedIn();
      await page.keyboard.press('/');
      await page.keyboard.type('keys-00');
      await page.waitForURL(/q=keys-00/);
      await expectRows(page, 3);
      // Esc empties the box, as browsers do, and the list follows: only then it stands still.
      await page.keyboard.press('Escape');
      await page.waitForURL((url) => !url.searchParams.has('q'));
      await page.keyboard.type('keys-00');
      await page.waitForURL(/q=keys-00/);
      await expectRows(page, 3);
      await page.locator('table[aria-busy=false]').waitFor();
      await page.locator('#main').focus();
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').getByText('Timeline').waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await page.keyboard.press('x');
      await page.getByText('1 ticked').waitFor();
      await page.keyboard.press('r');
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Reason').waitFor();
      await dialog.getByLabel('Reason').focus();
      await page.keyboard.type('Left');
      await dialog.getByLabel('Reason').selectOption('left');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await page
        .getByText(/refused everywhere since/i)
        .first()
        .waitFor();
      await page.keyboard.press('?');
      await page.getByRole('heading', { name: 'Keyboard' }).waitFor();
      expect(await violationsOf(page)).toEqual([]);
    });
  });

  describe('on other screens', () => {
    it.each([
      ['a phone', { viewport: { width: 360, height: 740 } }],
      [
        'a phone in the dark',
        { viewport: { width: 360, height: 740 }, colorScheme: 'dark' as const },
      ],
      ['the dark', { colorScheme: 'dark' as const }],
      [
        'less motion and more contrast',
        { reducedMotion: 'reduce' as const, contrast: 'more' as const },
      ],
    ])('fits %s, without a violation', async (_, options) => {
      const page = await signedIn(ADMIN, options);
      await rows(page).first().waitFor();
      for (const view of ['', '?view=inspect', '?view=users', '?view=keys', '?view=danger']) {
        await page.goto(`${at.origin}/${view}`);
        await page.getByRole('main').waitFor();
        await page.waitForLoadState('domcontentloaded');
        const overflow = (await page.evaluate(
          'document.documentElement.scrollWidth - document.documentElement.clientWidth',
        )) as number;
        expect([view, overflow]).toEqual([view, 0]);
        expect(await violationsOf(page)).toEqual([]);
      }
    });
  });

  describe('hostile data', () => {
    it('is text everywhere: no dialog, no policy report, no foreign element', async () => {
      for (const [i, text] of HOSTILE.entries()) {
        await t
          .http()
          .post('/admin/users')
          .set('Authorization', adminToken)
          .send({
            email: `hostile${i}@example.com`,
            password: PASSWORD,
            firstname: text.replaceAll(/\p{Cc}/gu, ''),
            lastname: text,
          })
          .expect(201);
        await t
          .http()
          .post('/auth/signin')
          .set('User-Agent', text.replace('\u202E', '') || 'x')
          .send({ email: `hostile${i}@example.com`, password: PASSWORD })
          .expect(200);
        await t
          .http()
          .post('/api/login')
          .send({
            loginId: `hostile${i}@example.com`,
            password: PASSWORD,
            applicationId: text.slice(0, 100),
            metaData: { device: { name: text, description: text, type: text } },
          })
          .expect(200);
        await t
          .http()
          .get(`/v1/token?cdata=${encodeURIComponent(text.slice(0, 64))}`)
          .set('Authorization', adminToken)
          .expect(200);
        await register([`${i} ${text}`], text);
      }
      const page = await signedIn();
      const elements = async () =>
        (await page.evaluate(
          '[...document.querySelectorAll(\'img:not([src="/page/icon.svg"]), script:not([src]), iframe, object, embed, [onerror], [onload], a[href^="javascript:"]\')].map((e) => e.outerHTML)',
        )) as string[];
      for (const [i, text] of HOSTILE.entries()) {
        await page.goto(`${at.origin}/?q=${encodeURIComponent(text)}`);
        await rows(page).first().waitFor();
        expect(await elements()).toEqual([]);
        await page.goto(`${at.origin}/?q=hostile${i}@`);
        await rows(page).first().waitFor();
        const ids = (await page.evaluate(
          "[...document.querySelectorAll('tr[data-id]')].map((row) => row.dataset.id)",
        )) as string[];
        for (const id of ids) {
          await page.goto(`${at.origin}/?token=${id}`);
          await page.getByRole('dialog').getByText('Timeline').waitFor();
          expect(await elements()).toEqual([]);
        }
      }
      await page.goto(`${at.origin}/?view=users&search=hostile`);
      await page.getByText('hostile0@example.com').first().waitFor();
      expect(await page.locator('body').innerText()).toContain('<img src=x onerror=alert(1)>');
      expect(await elements()).toEqual([]);
    });
  });
});
