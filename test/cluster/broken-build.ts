/** Copies of the built service in which one thing is broken: the checker must find what comes of it. */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Break {
  readonly about: string;
  /** From `dist/`. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** Each as it stands in the built file; one that isn't found there ends the run. */
export const BREAKS: Readonly<Record<string, Break>> = {
  leases: {
    about: 'an instance answers whether it holds a lease or not',
    file: 'revocation/cluster/lease.js',
    from: 'holds: () => monotonic() < until',
    to: 'holds: () => true',
  },
  waiting: {
    about: 'a revoke waits for no other instance',
    file: 'revocation/cluster/propagate.js',
    from: 'await whenSettled(item);',
    to: 'void whenSettled(item).catch(() => undefined);',
  },
  confirming: {
    about: 'an instance confirms what it applies only later',
    file: 'revocation/cluster/follower.js',
    from: 'deps.apply(entry.operations);',
    to: 'setTimeout(() => deps.apply(entry.operations), 700);',
  },
};

/**
 * Beside the packages, so that its imports find them.
 * @param main the path of the `dist/main.js` that it is made from.
 * @returns the path of its own.
 * @throws when there is nothing of that name, or the text isn't there any more.
 */
export function breakBuild(
  name: string,
  main: string,
  onClose: (close: () => void) => void,
): string {
  const broken = BREAKS[name];
  if (broken === undefined)
    throw new Error(`--broken: ${name} is none of ${Object.keys(BREAKS).join(', ')}.`);
  const folder = join(ROOT, 'node_modules', '.cache', `jwt-history-${name}-${process.pid}`);
  onClose(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(folder, { recursive: true });
  const dist = dirname(main);
  cpSync(dist, join(folder, 'dist'), { recursive: true });
  cpSync(join(dist, '..', 'package.json'), join(folder, 'package.json'));
  const path = join(folder, 'dist', broken.file);
  const text = readFileSync(path, 'utf8');
  if (text.split(broken.from).length !== 2)
    throw new Error(`--broken=${name}: "${broken.from}" is not once in dist/${broken.file}.`);
  writeFileSync(path, text.replace(broken.from, broken.to));
  return join(folder, 'dist', 'main.js');
}
