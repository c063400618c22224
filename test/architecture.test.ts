/** The shape of the source: which folder may import which, and who may read the environment. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

/** What each part may import, besides its own folder. Arrows point down this list only. */
const BASE = ['errors.ts', 'clock.ts', 'recent.ts', 'observability'];
const BELOW_HTTP = [...BASE, 'store', 'audit', 'tokens'];
const BELOW_DOORS = [...BELOW_HTTP, 'email.ts', 'http', 'auth', 'revocation', 'accounts', 'audit'];
const MAY_IMPORT: Record<string, readonly string[]> = {
  'errors.ts': [],
  'clock.ts': [],
  'email.ts': [],
  'recent.ts': [],
  config: ['email.ts'],
  observability: ['clock.ts'],
  store: ['errors.ts', 'clock.ts'],
  audit: [...BASE, 'store'],
  tokens: [...BASE, 'store', 'audit'],
  revocation: [...BASE, 'store', 'audit', 'tokens'],
  accounts: [...BASE, 'audit', 'store', 'tokens', 'revocation'],
  http: BELOW_HTTP,
  log: [...BELOW_HTTP, 'http', 'auth'],
  auth: [...BELOW_HTTP, 'email.ts', 'http'],
  dialects: [...BELOW_DOORS, 'log'],
  dashboard: BELOW_DOORS,
  process: [...BASE, 'config', 'revocation', 'store'],
  'core.ts': [...BELOW_HTTP, 'config', 'auth', 'revocation', 'accounts', 'audit'],
  'app.ts': ['core.ts', 'auth', 'http', 'log', 'dialects', 'dashboard'],
  'service.ts': ['core.ts', 'app.ts', 'http'],
  'instance.ts': ['process', ...BELOW_DOORS, 'config', 'service.ts'],
  'start.ts': ['process', 'config', 'observability', 'store', 'instance.ts'],
  'main.ts': ['start.ts', 'config', 'observability', 'process'],
  'index.ts': ['start.ts', 'config', 'observability'],
  cli: ['main.ts', 'start.ts', 'process', 'config', ...BELOW_DOORS],
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
    expect(sources.map(({ path }) => path)).toContain('store/tokens/tokens.ts');
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

  it('reads the environment in config/config.ts only', () => {
    const readers = sources.filter(({ text }) =>
      /process\s*\.\s*env\b|process\['env'\]/.test(text.replaceAll(/\/\*[\s\S]*?\*\//g, '')),
    );
    expect(readers.map(({ path }) => path)).toEqual(['config/config.ts']);
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

  it('has no circle of imports, of types neither', () => {
    const importsOf = new Map(sources.map(({ path, imports }) => [path, imports]));
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (path: string, way: readonly string[]) => {
      if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(' → '));
      if (way.includes(path) || done.has(path)) return;
      for (const target of importsOf.get(path) ?? [])
        if (importsOf.has(target)) visit(target, [...way, path]);
      done.add(path);
    };
    for (const { path } of sources) visit(path, []);
    expect(circles).toEqual([]);
  });

  it('starts the engine before it loads the driver and Express', () => {
    const seen = new Set<string>();
    const libraries = new Set<string>();
    const load = (path: string) => {
      if (seen.has(path)) return;
      seen.add(path);
      const text = sources.find((source) => source.path === path)?.text ?? '';
      const found = text.matchAll(/^(?:import|export) (?!type )[^;]*?from '([^']+)'/gm);
      for (const [, specifier = ''] of found) {
        if (!specifier.startsWith('.')) libraries.add(specifier);
        else load(normalize(join(dirname(path), specifier)).replace(/\.js$/, '.ts'));
      }
    };
    load('start.ts');
    expect(seen).toContain('store/embedded/host-process.ts');
    expect([...libraries].filter((name) => !name.startsWith('node:'))).toEqual([]);
  });
});
