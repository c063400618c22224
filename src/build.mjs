/**
 * Makes `dist` out of `src`, unless it was made of just these sources: then it needs no compiler,
 * and no folder that may be written.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = join(ROOT, 'dist');
/** Says what `dist` was made of. */
const STAMP = join(DIST, '.built-from');
const OUTPUTS = ['main.js', 'page/index.html', 'page/main.js'];
const INPUTS = ['package.json', 'package-lock.json', 'tsconfig.json'];
const PAGE = ['main.tsx', 'style.css', 'index.html', 'icon.svg'];

const has = (option) => process.argv.includes(option);
// A packed package and the image have no sources.
const hasSources = existsSync(join(ROOT, 'src/main.ts'));
const digest = hasSources ? digestOfSources() : '';
// Never before it is known that it can be made again.
if (has('--clean') && hasSources && canBuild()) rmSync(DIST, { recursive: true, force: true });
if (hasSources && !isBuilt()) process.exitCode = canBuild() ? build() : goOnWithout();

function isBuilt() {
  return existsSync(STAMP) && isThere(OUTPUTS) && readFileSync(STAMP, 'utf8') === digest;
}

function isThere(names) {
  return names.every((name) => existsSync(join(DIST, name)));
}

function digestOfSources() {
  const hash = createHash('sha256');
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const inputs = INPUTS.map((name) => join(ROOT, name)).filter(existsSync);
  for (const path of [...sources.sort(), ...inputs]) {
    const content = readFileSync(path);
    hash.update(`${path.slice(ROOT.length)} ${content.length}\n`).update(content);
  }
  return `${hash.digest('hex')}\n`;
}

function canBuild() {
  return existsSync(tool('tsc')) && existsSync(tool('esbuild')) && isWritable(DIST);
}

function tool(name) {
  return join(ROOT, 'node_modules/.bin', name);
}

function isWritable(path) {
  try {
    accessSync(existsSync(path) ? path : ROOT, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function build() {
  // Half a build is none; and the compiler writes no output anew that it remembers to have written.
  if (!existsSync(STAMP) || !isThere(OUTPUTS)) rmSync(join(DIST, '.tsbuildinfo'), { force: true });
  rmSync(STAMP, { force: true });
  const page = PAGE.map((name) => `src/dashboard/page/${name}`);
  const steps = [
    ['tsc', '-p', 'src'],
    ['esbuild', ...page, '--bundle', '--minify', '--format=esm', '--target=es2022', '--jsx=automatic', '--jsx-import-source=preact', '--loader:.html=copy', '--loader:.svg=copy', '--outdir=dist/page', '--log-level=warning'],
  ]; // prettier-ignore
  for (const [name, ...args] of steps) {
    const { status } = spawnSync(tool(name), args, { cwd: ROOT, stdio: 'inherit' });
    if (status !== 0) {
      say(
        `JWT History could not be built: ${name} failed. (After npm ci --omit=optional it can't run: see "Without the embedded engine" in docs/deployment.md.)`,
      );
      return 1;
    }
  }
  if (!isThere(OUTPUTS)) {
    say(`JWT History could not be built: ${OUTPUTS.join(', ')} are not all in dist.`);
    return 1;
  }
  writeFileSync(STAMP, digest);
  return 0;
}

/** Old code would run without a word, with yesterday's faults; half a build, with whatever. */
function goOnWithout() {
  say(
    `JWT History is not built${existsSync(STAMP) ? ' from these sources' : ''}, and can not be built here: that takes the development packages and a folder that may be written. Run \`npm ci\` without --omit=dev, then \`npm prune --omit=dev\`.`,
  );
  // What was built elsewhere may be copied to here later.
  return has('--after-install') ? 0 : 1;
}

function say(line) {
  process.stderr.write(`${line}\n`);
}
