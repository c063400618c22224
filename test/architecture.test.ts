/** The shape of the source: which folder may import which, and who may read the environment. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

/** What each part may import, besides its own folder. Arrows point down this list only. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  'errors.ts': [],
  'clock.ts': [],
  'email.ts': [],
  'config-variables.ts': ['email.ts'],
  'leaked-secrets.ts': [],
  'secret-models.ts': [],
  'secret-strength.ts': ['secret-models.ts'],
  'config-signing.ts': ['config-variables.ts', 'leaked-secrets.ts', 'secret-strength.ts'],
  'config.ts': ['config-signing.ts', 'config-variables.ts', 'email.ts'],
  observability: ['clock.ts'],
  store: ['errors.ts', 'clock.ts'],
  audit: ['errors.ts', 'clock.ts', 'observability', 'store'],
  tokens: ['errors.ts', 'clock.ts', 'observability', 'store'],
  revocation: ['errors.ts', 'clock.ts', 'observability', 'store', 'tokens'],
  accounts: ['audit', 'clock.ts', 'observability', 'store', 'tokens', 'revocation'],
  http: ['errors.ts', 'clock.ts', 'observability', 'store', 'tokens'],
  auth: ['errors.ts', 'clock.ts', 'email.ts', 'observability', 'store', 'tokens', 'http'],
  dashboard: ['http'],
  routes: [
    'accounts',
    'audit',
    'dashboard',
    'errors.ts',
    'clock.ts',
    'email.ts',
    'observability',
    'store',
    'tokens',
    'revocation',
    'auth',
    'http',
  ],
  'app.ts': [
    'accounts',
    'audit',
    'dashboard',
    'clock.ts',
    'config.ts',
    'observability',
    'store',
    'tokens',
    'revocation',
    'auth',
    'http',
    'routes',
  ],
  'service-log.ts': ['auth', 'clock.ts', 'http', 'observability', 'routes'],
  'service.ts': [
    'service-log.ts',
    'accounts',
    'audit',
    'routes',
    'app.ts',
    'clock.ts',
    'config.ts',
    'observability',
    'store',
    'tokens',
    'revocation',
    'auth',
    'http',
  ],
  'open-files.ts': [],
  'stop-requests.ts': [],
  'start-report.ts': ['config.ts', 'observability', 'revocation', 'store'],
  'start.ts': [
    'start-report.ts',
    'errors.ts',
    'stop-requests.ts',
    'service.ts',
    'clock.ts',
    'config.ts',
    'observability',
    'store',
    'tokens',
    'auth',
    'http',
  ],
  'main.ts': ['start.ts', 'config.ts', 'observability', 'open-files.ts', 'stop-requests.ts'],
  'index.ts': ['start.ts', 'config.ts', 'observability'],
  cli: [
    'main.ts',
    'start.ts',
    'stop-requests.ts',
    'config.ts',
    'observability',
    'store',
    'auth',
    'accounts',
    'audit',
    'revocation',
    'clock.ts',
    'email.ts',
  ],
};

interface Source {
  readonly path: string;
  readonly text: string;
  /** As paths from src/, or package names. */
  readonly imports: readonly string[];
}

const sources: Source[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.tsx?$/.test(path))
  .map((path) => {
    const text = readFileSync(join(SRC, path), 'utf8');
    const imports = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(
      ([, specifier = '']) =>
        specifier.startsWith('.')
          ? normalize(join(dirname(path), specifier)).replace(/\.js$/, '.ts')
          : specifier,
    );
    return { path, text, imports };
  });

const partOf = (path: string) => path.split('/')[0] ?? path;

describe('the source', () => {
  it('is found at all', () => {
    expect(sources.map(({ path }) => path)).toContain('store/tokens.ts');
    expect(sources.flatMap(({ imports }) => imports)).toContain('express');
  });

  it('imports in one direction only', () => {
    const wrong = sources.flatMap(({ path, imports }) =>
      imports
        .filter((target) => sources.some((source) => source.path === target))
        .filter((target) => partOf(target) !== partOf(path))
        .filter((target) => !(MAY_IMPORT[partOf(path)] ?? []).includes(partOf(target)))
        .map((target) => `${path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('has every relative import resolve to a file that the rule above sees', () => {
    const known = new Set(sources.map(({ path }) => path));
    const unresolved = sources.flatMap(({ path, imports }) =>
      imports
        .filter((target) => target.endsWith('.ts') && !known.has(target))
        .map((target) => `${path} → ${target}`),
    );
    expect(unresolved).toEqual([]);
  });

  it('keeps the routers apart', () => {
    const routers = sources.filter(({ text }) => /export function create\w+Router/.test(text));
    expect(routers.length).toBeGreaterThan(3);
    const wrong = routers.flatMap(({ path, imports }) =>
      imports
        .filter((target) => routers.some((router) => router.path === target))
        .map((target) => `${path} → ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('reads the environment in config.ts only', () => {
    const readers = sources.filter(({ text }) =>
      /process\s*\.\s*env\b|process\['env'\]/.test(text.replaceAll(/\/\*[\s\S]*?\*\//g, '')),
    );
    expect(readers.map(({ path }) => path)).toEqual(['config.ts']);
  });

  it('keeps Mongoose inside store/', () => {
    const users = sources.filter(({ imports }) =>
      imports.some((name) => /^(mongoose|mongodb)\b/.test(name)),
    );
    expect([...new Set(users.map(({ path }) => partOf(path)))]).toEqual(['store']);
  });

  it('says in each file first what the file is for', () => {
    const silent = sources.filter(
      ({ text }) => !/^(\/\*\*|\/\/) ?/.test(text.replace(/^#!.*\n/, '')),
    );
    expect(silent.map(({ path }) => path)).toEqual([]);
  });
});
