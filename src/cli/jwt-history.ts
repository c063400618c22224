#!/usr/bin/env node
/** The command of the installed package and of the image: starts the service, or runs one of the commands on its database. */
import { readFileSync } from 'node:fs';

process.setSourceMapsEnabled(true);

const COMMANDS = {
  start: () => import('../main.js'),
  'set-admin': () => import('./set-admin.js'),
  user: () => import('./user.js'),
  database: () => import('./database.js'),
  demo: () => import('./demo.js'),
} as const;

const USAGE = `Usage: jwt-history [command]

  start                                          the service (also without a command)
  set-admin <e-mail>                             makes an administrator, or gives one a new password
  user disable|enable|delete <e-mail> [--reason <why>]
  database accept-restore|adopt-earlier-tokens   a word on a database that was restored, or is new
  demo                                           the whole story on a temporary folder, told with curl
  --version, --help

It is configured by environment variables or a file .env in the working directory.`;

const [name = 'start', ...rest] = process.argv.slice(2);
if (name === '--version' || name === '-v') {
  console.log(version());
} else if (name === '--help' || name === '-h' || name === 'help') {
  console.log(USAGE);
} else if (!Object.hasOwn(COMMANDS, name)) {
  console.error(`There is no command ${name}.\n\n${USAGE}`);
  process.exitCode = 1;
} else {
  // Each reads its own arguments, as if it had been started itself.
  process.argv.splice(2, process.argv.length, ...rest);
  await COMMANDS[name as keyof typeof COMMANDS]();
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
