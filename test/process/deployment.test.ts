/** The deployment files: that they are well formed, and agree with the configuration and each other. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { validate } from 'dockerfile-utils';
import { variables } from '../../src/config/variables.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (name: string) => readFileSync(`${ROOT}/${name}`, 'utf8');

/** What the service reads: the table's names, and those of secrets with _FILE. */
const TABLE = Object.entries<{ fallback?: string; secret?: true }>(variables);
const READABLE = new Set(
  TABLE.flatMap(([name, { secret }]) => (secret ? [name, `${name}_FILE`] : [name])),
);

async function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
  const child = spawn(command, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

describe('.env.example', () => {
  /** The assignments by the heading they stand under. */
  function sections(): Map<string, { name: string; value: string; explained: boolean }[]> {
    const found = new Map<string, { name: string; value: string; explained: boolean }[]>();
    let current: { name: string; value: string; explained: boolean }[] = [];
    let previous = '';
    for (const line of read('.env.example').split('\n')) {
      const heading = /^# === (.+) ===$/.exec(line)?.[1];
      if (heading !== undefined) found.set(heading, (current = []));
      const [, name, value] = /^# ([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? [];
      if (name !== undefined && value !== undefined)
        current.push({ name, value, explained: /^# [A-Z]/.test(previous) });
      previous = line;
    }
    return found;
  }
  const isComposeOnly = (heading: string) => heading.startsWith('Compose only');
  const service = () =>
    [...sections()].filter(([heading]) => !isComposeOnly(heading)).flatMap(([, lines]) => lines);

  it('names every variable of the table once, in its order, with its default', () => {
    const required = service().filter(({ name }) => name === 'GLOBAL_SECRET');
    const others = service().filter(({ name }) => name !== 'GLOBAL_SECRET');
    expect(required).toHaveLength(1);
    expect([...others, ...required].map(({ name, value }) => [name, value])).toEqual(
      [
        ...TABLE.filter(([name]) => name !== 'GLOBAL_SECRET'),
        ...TABLE.filter(([name]) => name === 'GLOBAL_SECRET'),
      ].map(([name, { fallback }]) => [name, fallback ?? '']),
    );
  });

  it('names what compose requires first, and marks what only compose reads', () => {
    const lists = [...sections()].map(([heading, lines]) => [heading, lines.map((l) => l.name)]);
    expect(lists.slice(0, 2)).toEqual([
      ['Required by docker compose', ['GLOBAL_SECRET']],
      ['Compose only: required there, unknown to the service', ['MONGODB_PASSWORD']],
    ]);
  });

  it('explains each, and is nothing but comments', () => {
    expect([...sections().values()].flat().filter(({ explained }) => !explained)).toEqual([]);
    expect(
      read('.env.example')
        .split('\n')
        .filter((line) => !/^(#.*)?$/.test(line)),
    ).toEqual([]);
  });
});

describe('Dockerfile', () => {
  it('is valid', () => {
    expect(validate(read('Dockerfile'))).toEqual([]);
  });

  it('copies exactly what .dockerignore lets through', () => {
    const [first, ...allowed] = read('.dockerignore').trim().split('\n');
    const copied = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
      ([, sources = '']) => sources.split(' '),
    );
    expect(first).toBe('*');
    expect([...new Set(copied)].toSorted()).toEqual(
      allowed.map((line) => line.replace(/^!/, '')).toSorted(),
    );
  });

  it('ends unprivileged, in production mode', () => {
    const last =
      read('Dockerfile')
        .split(/^FROM /m)
        .at(-1) ?? '';
    expect(/^USER (.+)$/m.exec(last)?.[1]).toBe('node');
    expect(last).toContain('NODE_ENV=production');
  });

  it('has every command and the licence in it', () => {
    const { bin } = JSON.parse(read('package.json')) as { bin: Record<string, string> };
    const [[name, path] = []] = Object.entries(bin);
    expect(read('Dockerfile')).toContain(`ln -s /app/${path} /usr/local/bin/${name}`);
    expect(read('Dockerfile')).toMatch(/^COPY package\.json LICENSE \.\/$/m);
  });

  it('has what the demo needs of curl', async () => {
    const asked: unknown[] = [];
    const server = createServer((req, res) => {
      let body = '';
      req.on('data', (chunk: Buffer) => (body += chunk.toString()));
      req.on('end', () => {
        asked.push([req.method, req.url, req.headers['x-a'], body]);
        res.writeHead(201).end('answer');
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const curl = (...args: string[]) =>
      run(process.execPath, ['dist/cli/curl.js', '-s', `http://127.0.0.1:${port}/x`, ...args]);
    expect(await curl('-H', 'X-A: b: c', '-d', '{}')).toEqual({ code: 0, output: 'answer' });
    expect(await curl('-X', 'DELETE', '-o', '/dev/null', '-w', '%{http_code}')).toEqual({
      code: 0,
      output: '201',
    });
    server.close();
    expect(asked).toEqual([
      ['POST', '/x', 'b: c', '{}'],
      ['DELETE', '/x', undefined, ''],
    ]);
  });

  it.each([
    ['ready', 200, 0],
    ['not ready', 503, 1],
    ['gone', null, 1],
  ])('has a health check that knows %s', async (_state, status, expected) => {
    const command = /^HEALTHCHECK [^[]*CMD (\[.+\])$/m.exec(read('Dockerfile'))?.[1] ?? '[]';
    const [program, ...args] = JSON.parse(command) as string[];
    expect(program).toBe('node');
    const asked: (string | undefined)[] = [];
    const server = createServer((req, res) => {
      asked.push(req.url);
      res.writeHead(status ?? 500).end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    if (status === null) server.close();
    const { code } = await run(process.execPath, args, { PORT: String(port) });
    server.close();
    expect(code).toBe(expected);
    expect(asked).toEqual(status === null ? [] : ['/readyz']);
  });
});

describe('the scripts that run something', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const running = Object.entries(scripts).filter(([, script]) => /\bnode .*\bdist\//.test(script));

  it('give their place to it, so that it gets the signals, and want no compiler', () => {
    expect(running.map(([name]) => name)).toEqual(
      expect.arrayContaining(['start', 'demo', 'set-admin', 'user']),
    );
    for (const [name, script] of running) {
      expect(script).toMatch(/^exec node /);
      expect(scripts[`pre${name}`]).toContain('node src/build.mjs --before-run');
    }
  });

  it('are commands of the installed package, too', async () => {
    const { output } = await run(process.execPath, ['dist/cli/jwt-history.js', '--help']);
    for (const [name] of running) expect(output).toContain(`  ${name} `);
  });
});

describe('docker-compose.yml', () => {
  /** A service's text, by its indentation. */
  function serviceText(name: string): string {
    const block = new RegExp(`^  ${name}:\\n((?: {4}.*\\n|\\n)+)`, 'm').exec(
      read('docker-compose.yml'),
    );
    return block?.[1] ?? '';
  }
  const environmentOf = (service: string) => {
    const block = /^ {4}environment:\n((?: {6}.*\n)+)/m.exec(serviceText(service))?.[1] ?? '';
    return [...block.matchAll(/^ {6}([A-Z_]+):/gm)].map(([, name = '']) => name);
  };

  it('passes the linter', async () => {
    const linter = ['node_modules/dclint/bin/dclint.cjs', '--max-warnings', '0'];
    expect(await run(process.execPath, [...linter, 'docker-compose.yml'])).toMatchObject({
      code: 0,
      output: expect.not.stringMatching(/error|warning/),
    });
  });

  it('asks for the health as the Dockerfile does, whose own check not every builder keeps', () => {
    const flags = /^HEALTHCHECK (.*) \\$/m.exec(read('Dockerfile'))?.[1] ?? '';
    const command = /^ *CMD (\[.*fetch.*\])$/m.exec(read('Dockerfile'))?.[1] ?? '[]';
    const [program, option, code] = JSON.parse(command) as string[];
    const own = serviceText('jwt-history');
    expect(own).toContain(
      ['CMD', program, option, code].map((word) => `        - ${word}\n`).join(''),
    );
    for (const [, name, value] of flags.matchAll(/--([\w-]+)=(\w+)/g))
      expect(own).toContain(`      ${name?.replace('-', '_')}: ${value}\n`);
  });

  it('stops with advice when a secret is missing', () => {
    const uses = [
      ...read('docker-compose.yml').matchAll(/\$\{(GLOBAL_SECRET|MONGODB_PASSWORD)(.*?)\}/g),
    ].map(([, name, rest]) => [name, rest]);
    expect(new Set(uses.map(([name]) => name))).toEqual(
      new Set(['GLOBAL_SECRET', 'MONGODB_PASSWORD']),
    );
    for (const [name, rest] of uses)
      expect(rest).toMatch(new RegExp(`^:\\?set ${name} in \\.env.*: openssl rand`));
  });

  it('gives the service only variables that it reads, and those that .env may set', () => {
    const passed = environmentOf('jwt-history');
    expect(passed.filter((name) => !READABLE.has(name))).toEqual([]);
    // Compose itself decides these; RS256 wants another file (see its comment).
    const own = ['PORT', 'HOST', 'DATABASE_URI', 'DATA_DIR'];
    const names = TABLE.map(([name]) => name).filter((n) => !n.startsWith('GLOBAL_SECRET_'));
    expect(passed.toSorted()).toEqual(names.filter((n) => !own.includes(n)).toSorted());
  });

  it('publishes the service, and never the database', () => {
    expect(serviceText('jwt-history')).toMatch(/^ {4}ports:\n.*\$\{PORT:-3000\}:3000'$/m);
    expect(serviceText('mongodb')).toContain('image: mongo');
    expect(serviceText('mongodb')).not.toMatch(/^ {4}(ports|network_mode):/m);
  });
});
