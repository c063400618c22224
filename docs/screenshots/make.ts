/** `npm run screenshots`: the dashboard's pictures for the README, taken from the built service with made-up data. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { startBuiltService } from '../../bench/built-service.js';
import { chromiumPath, launchBrowser, openPage } from '../../test/support/browser.js';

const PASSWORD = 'a password for the pictures';
const ADMIN = 'olivia@example.com';
const PEOPLE = [
  ['Anna', 'Keller'],
  ['Ben', 'Okafor'],
  ['Carla', 'Rossi'],
  ['Dmitri', 'Ivanov'],
  ['Emi', 'Tanaka'],
  ['Farid', 'Haddad'],
] as const;
const AGENTS = [
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:148.0) Gecko/20100101 Firefox/148.0',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1',
  'curl/8.14.1',
] as const;

if (chromiumPath === null) {
  console.error('There is no Chromium here (Debian: apt-get install chromium).');
  process.exitCode = 1;
} else {
  const folder = mkdtempSync(join(tmpdir(), 'jwt-history-screenshots-'));
  try {
    await makeAll(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function makeAll(folder: string): Promise<void> {
  const service = await startBuiltService(folder, {
    ADMIN_EMAIL: ADMIN,
    ADMIN_PASSWORD: PASSWORD,
    LOG_LEVEL: 'warn',
    SIGN_IN_ATTEMPTS: '1000',
  });
  try {
    await fill(service.address);
    const browser = await launchBrowser();
    try {
      for (const scheme of ['light', 'dark'] as const) {
        const { page } = await openPage(browser, service.address, { colorScheme: scheme });
        await signIn(page, service.address);
        await save(page, `list-${scheme}`);
        if (scheme === 'dark') continue;
        await page.goto(`${service.address}/?kind=refresh&state=active`);
        await page.locator('tr[data-id]').first().click();
        await page.getByRole('dialog').getByText('Timeline').waitFor();
        await save(page, 'drawer');
        await page.goto(`${service.address}/?applicationId=shop`);
        await page.locator('tr[data-id]').first().waitFor();
        await page.getByRole('checkbox', { name: /all/i }).first().check();
        await page.getByRole('button', { name: 'Revoke…' }).first().click();
        await page.getByRole('dialog').getByLabel('Reason').waitFor();
        await save(page, 'bulk');
      }
      const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 };
      const { page } = await openPage(browser, service.address, phone);
      await signIn(page, service.address);
      await save(page, 'phone');
    } finally {
      await browser.close();
    }
  } finally {
    await service.stop();
  }
}

async function fill(origin: string): Promise<void> {
  const post = (path: string, body: object, headers: Record<string, string> = {}) =>
    fetch(`${origin}${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  const tokenOf = async (email: string, agent: string) => {
    const answer = await post(
      '/auth/signin',
      { email, password: PASSWORD },
      { 'User-Agent': agent },
    );
    return ((await answer.json()) as { token: string }).token;
  };
  const authorization = await tokenOf(ADMIN, AGENTS[0]);
  const used: string[] = [];
  for (const [i, [firstname, lastname]] of PEOPLE.entries()) {
    const email = `${firstname.toLowerCase()}@example.com`;
    await post(
      '/admin/users',
      { email, password: PASSWORD, firstname, lastname },
      { authorization },
    );
    for (let n = 0; n <= i % 3; n += 1)
      used.push(await tokenOf(email, AGENTS[(i + n) % AGENTS.length] ?? AGENTS[0]));
    const applicationId = i % 2 === 0 ? 'shop' : 'support-desk';
    const login = { loginId: email, password: PASSWORD, applicationId };
    const opened = await post('/api/login', login, { 'User-Agent': AGENTS[i % 3] ?? AGENTS[0] });
    used.push(`Bearer ${((await opened.json()) as { token: string }).token}`);
  }
  for (const name of ['nightly backup', 'billing export'])
    await post('/admin/api-keys', { name }, { authorization });
  for (const token of used)
    await fetch(`${origin}/auth/verify`, { headers: { Authorization: token } });
  for (const token of used.slice(2, 5)) {
    const jti = (
      JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { jti: string }
    ).jti;
    const headers = { Authorization: authorization };
    await fetch(`${origin}/v3/jwt/history/${jti}`, { method: 'DELETE', headers });
    for (let n = 0; n < 3; n += 1)
      await fetch(`${origin}/auth/verify`, { headers: { Authorization: token } });
  }
  // What was tried in vain is written down a second later.
  await new Promise((resolve) => setTimeout(resolve, 1500));
}

async function signIn(page: Page, origin: string): Promise<void> {
  await page.goto(origin);
  await page.getByLabel('E-mail').fill(ADMIN);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('tr[data-id]').first().waitFor();
}

async function save(page: Page, name: string): Promise<void> {
  await page.waitForLoadState('domcontentloaded');
  // The chart and the cards come after the rows.
  await page.waitForTimeout(1200);
  await page.screenshot({ path: fileURLToPath(new URL(`${name}.png`, import.meta.url)) });
  console.log(`docs/screenshots/${name}.png`);
}
