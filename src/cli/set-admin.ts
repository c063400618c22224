/** `npm run set-admin -- <e-mail>`: makes an administrator, or gives one a new password, which it prints once. */
import { randomBytes } from 'node:crypto';
import { createPasswordHasher } from '../auth/password-hash.js';
import { systemClock } from '../clock.js';
import { loadConfig } from '../config.js';
import { isEmailAddress, normalizeEmail } from '../email.js';
import { openStore } from '../store/connect.js';
import { startEngine } from '../store/embedded/engine.js';
import { assertSameDatabase } from '../store/embedded/initialized.js';

const [given = ''] = process.argv.slice(2);
const email = normalizeEmail(given);
if (!isEmailAddress(email)) {
  console.error(
    'Usage: npm run set-admin -- <e-mail>\nWith the embedded engine, stop the service first.',
  );
  process.exitCode = 1;
} else {
  try {
    console.log(`The password of ${email} is now: ${await setAdministrator()}`);
  } catch (error) {
    process.exitCode = 1;
    console.error(`Nothing was changed. ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function setAdministrator(): Promise<string> {
  const { mongodbUri, dataDir } = loadConfig();
  const engine = mongodbUri === null ? await startEngine({ dataDir }) : null;
  try {
    const store = await openStore({ uri: mongodbUri ?? engine?.uri ?? '', clock: systemClock });
    try {
      // An administrator in it would make an emptied database look like one that holds data.
      if (engine !== null) await assertSameDatabase(dataDir, store);
      const password = randomBytes(15).toString('base64url');
      await store.users.setAdministrator(email, await createPasswordHasher().hash(password));
      return password;
    } finally {
      await store.close();
    }
  } finally {
    await engine?.stop();
  }
}
