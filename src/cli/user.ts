/** `npm run user -- disable|enable|delete <e-mail> --reason <why>`: what an administrator does to an account, without the service. */
import { parseArgs } from 'node:util';
import { isEmailAddress, normalizeEmail } from '../email.js';
import { withAccounts } from './with-accounts.js';

const ACTS = {
  disable: ['disable', 'is disabled; every token, key and session of theirs is refused'],
  enable: ['enable', 'is active again; what was issued before stays refused'],
  delete: ['remove', 'is deleted; every token, key and session of theirs is refused'],
} as const;

const USAGE = `Usage: npm run user -- ${Object.keys(ACTS).join('|')} <e-mail> [--reason <why>]
Installed as a package, or in the image: jwt-history user …
With the embedded engine, stop the service first.`;

const MAX_REASON = 200;

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = 1;
  console.error(
    `Not confirmed; repeating it is safe. ${error instanceof Error ? error.message : String(error)}`,
  );
}

async function main(args: string[]): Promise<number> {
  const parsed = parse(args);
  if (parsed === 'help') {
    console.log(USAGE);
    return 0;
  }
  if (parsed === null) {
    console.error(USAGE);
    return 1;
  }
  const { act, email, reason } = parsed;
  const [method, done] = ACTS[act];
  const user = await withAccounts(async ({ accounts, users }) => {
    const found = await users.findByEmail(email);
    return found === null
      ? null
      : accounts[method](found.user.id, { by: 'system', via: 'cli', reason, requestId: '' });
  });
  if (user === null) {
    console.error(`There is no user ${email}. Nothing was changed.`);
    return 1;
  }
  console.log(`${email} ${done}.`);
  return 0;
}

function parse(
  args: string[],
): { act: keyof typeof ACTS; email: string; reason: string } | 'help' | null {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { reason: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    });
    if (values.help === true) return 'help';
    const [act = '', given = '', ...rest] = positionals;
    const email = normalizeEmail(given);
    const reason = values.reason ?? `${act} on the command line`;
    const isGood =
      Object.hasOwn(ACTS, act) &&
      isEmailAddress(email) &&
      rest.length === 0 &&
      reason.length <= MAX_REASON;
    return isGood ? { act: act as keyof typeof ACTS, email, reason } : null;
  } catch (error) {
    // An option that doesn't exist.
    if (error instanceof TypeError) return null;
    throw error;
  }
}
