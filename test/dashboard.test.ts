/** The dashboard in a real Chromium on the real service: what people do there, with the keyboard too, on a phone, in the dark; and what hostile data must not do. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import {
  chromiumPath,
  launchBrowser,
  listen,
  type Listening,
  openPage,
  signInOnPage,
  type WatchedPage,
} from './support/browser.js';
import { freshDatabase, PASSWORD, startTestService, type TestService } from './support/harness.js';

const describeWithChromium = chromiumPath === null ? describe.skip : describe;
if (chromiumPath === null) {
  process.stderr.write(
    'SKIPPED test/dashboard.test.ts: no Chromium here (Debian: apt-get install chromium)\n',
  );
}

const AXE = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
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
    t = await startTestService({ SIGN_IN_ATTEMPTS: '3' }, freshDatabase(), clock);
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

  const named = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, i) => `${prefix}-${String(i).padStart(3, '0')}`);
  const rows = (page: Page) => page.locator('tr[data-id]');

  /** WCAG 2.2 A and AA, and what axe calls best practice. */
  async function violationsOf(page: Page): Promise<string[]> {
    await page.evaluate(AXE);
    const found = (await page.evaluate(
      "axe.run(document, { runOnly: ['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa','best-practice'] })",
    )) as { violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[] };
    return found.violations.map(
      ({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary ?? ''}`,
    );
  }

  describe('in and out', () => {
    it('asks in its own form, is generic about what was wrong, and shows the wait', async () => {
      const page = await newPage();
      await page.goto(at.origin);
      await page.getByLabel('E-mail').fill(ADMIN);
      for (let attempt = 0; attempt < 4; attempt += 1) {
        await page.getByLabel('Password').fill(`wrong password ${attempt}`);
        await page.getByRole('button', { name: 'Sign in' }).click();
        await page.getByRole('alert').waitFor();
        if (attempt === 0) expect(await page.getByRole('alert').innerText()).toMatch(/wrong/i);
        await page
          .getByRole('button', { name: 'Sign in' })
          .and(page.locator(':enabled'))
          .waitFor({ timeout: 2000 })
          .catch(() => undefined);
      }
      expect(await page.getByRole('alert').innerText()).toMatch(/\d+ ?s/);
      expect(await violationsOf(page)).toEqual([]);
    });
  });
});
