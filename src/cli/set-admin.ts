/** `npm run set-admin -- <e-mail>`: makes an administrator, or gives one a new password, which it prints once. */
import { randomBytes } from 'node:crypto';
import { isEmailAddress, normalizeEmail } from '../email.js';
import { withAccounts } from './with-accounts.js';

const USAGE =
  'Usage: npm run set-admin -- <e-mail>\nInstalled as a package, or in the image: jwt-history set-admin …\nWith the embedded engine, stop the service first.';

const args = process.argv.slice(2);
const email = normalizeEmail(args[0] ?? '');
if (args.includes('--help') || args.includes('-h')) {
  console.log(USAGE);
} else if (args.length !== 1 || !isEmailAddress(email)) {
  console.error(USAGE);
  process.exitCode = 1;
} else {
  try {
    console.log(`The password of ${email} is now: ${await setAdministrator()}
What was made with an earlier password (tokens, API keys, sessions) is revoked.`);
  } catch (error) {
    process.exitCode = 1;
    console.error(
      `Not confirmed; repeating it is safe. ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

async function setAdministrator(): Promise<string> {
  const password = randomBytes(15).toString('base64url');
  await withAccounts(async ({ accounts, hasher }) =>
    accounts.setAdministrator(email, await hasher.hash(password), {
      by: 'system',
      via: 'cli',
      reason: 'password changed',
      requestId: '',
    }),
  );
  return password;
}
