/** The documentation's links: each relative one leads to a file, and each #anchor to a heading of it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'bench/README.md',
  ...filesIn('docs'),
  ...filesIn('docs/decisions'),
  ...filesIn('docs/deploy'),
  ...filesIn('docs/kubernetes'),
  ...readdirSync(join(ROOT, 'src/dialects')).map((name) => `src/dialects/${name}/README.md`),
];

function filesIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${folder}/${name}`);
}

/** Without code: what stands there is no link and no heading. */
function textOf(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8').replaceAll(/^```.*?^```$/gms, '');
}

const INLINE_CODE = /`[^`\n]*`/g;

function linksOf(path: string): string[] {
  const text = textOf(path).replaceAll(INLINE_CODE, '');
  const links = [...text.matchAll(/\]\(([^)\s]+)\)|\b(?:src|href)="([^"]+)"/g)];
  return links
    .map(([, link, attribute]) => link ?? attribute ?? '')
    .filter((link) => !/^[a-z]+:/.test(link));
}

/** As GitHub makes them: lower case, spaces to hyphens, and all else but letters, digits, - and _ left out. */
function anchorsOf(path: string): string[] {
  const seen = new Map<string, number>();
  return [...textOf(path).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => {
    const anchor = heading
      .replaceAll(/\]\([^)]*\)/g, ']')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-');
    const count = seen.get(anchor) ?? 0;
    seen.set(anchor, count + 1);
    return count === 0 ? anchor : `${anchor}-${count}`;
  });
}

function isThere(from: string, link: string): boolean {
  const [target = '', anchor] = link.split('#');
  const path = target === '' ? from : normalize(join(dirname(from), target));
  if (!existsSync(join(ROOT, path))) return false;
  return anchor === undefined || (path.endsWith('.md') && anchorsOf(path).includes(anchor));
}

describe('links', () => {
  it.each(documents)('of %s lead somewhere', (path) => {
    expect(linksOf(path).filter((link) => !isThere(path, link))).toEqual([]);
  });

  it('are found, and one that leads nowhere is noticed', () => {
    expect(documents.flatMap(linksOf).length).toBeGreaterThan(50);
    expect(isThere('README.md', 'docs/api.md#lists')).toBe(true);
    expect(isThere('README.md', '#upgrade')).toBe(true);
    expect(isThere('README.md', 'docs/api.md#nothing-of-this-name')).toBe(false);
    expect(isThere('docs/api.md', 'README.md')).toBe(false);
  });
});
