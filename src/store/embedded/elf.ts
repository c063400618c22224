// Rewrites what a shared library asks of glibc 2.38 to older symbols of the same meaning, so that
// it loads on 2.36 and 2.37. It knows nothing of folders or packages: bytes in, bytes out.

import { nodeCodeOf } from './engine-error.js';

const WANTED = 'GLIBC_2.38';

/** The version that an architecture's oldest symbols carry, by ELF machine number. */
const BASE_VERSION = new Map([
  [62, 'GLIBC_2.2.5'], // x86-64
  [183, 'GLIBC_2.17'], // aarch64
]);

// The C23 variants differ only in also reading `0b` literals; the older `fmod` also sets errno.
const C23_PREFIX = '__isoc23_';
const REPLACEABLE = new Set([
  ...['strtol', 'strtoul', 'strtoll', 'strtoull', 'sscanf', 'fscanf'].map((n) => C23_PREFIX + n),
  'fmod',
]);

const SECTION = { dynamic: 6, dynsym: 11, verneed: 0x6ffffffe, versym: 0x6fffffff };
const TAG = { strtab: 5, symtab: 6, versym: 0x6ffffff0, verneed: 0x6ffffffe };
const SYMBOL_SIZE = 24;
const INDEX_MASK = 0x7fff;

export class ElfError extends Error {
  override readonly name = 'ElfError';
}

interface Section {
  type: number;
  address: number;
  offset: number;
  size: number;
  link: number;
}

interface Version {
  library: string;
  name: string;
  index: number;
  /** Where in the file its entry begins. */
  at: number;
}

interface Patch {
  at: number;
  bytes: 2 | 4;
  value: number;
}

/**
 * A copy of `file` that no longer needs glibc 2.38; an equal copy if it never did.
 * Everything is planned before the first byte is written.
 * @throws ElfError at anything unexpected.
 */
export function withoutGlibc238(file: Buffer): Buffer {
  const result = Buffer.from(file);
  for (const { at, bytes, value } of plan(file)) result.writeUIntLE(value, at, bytes);
  if (plan(result).length > 0) throw new ElfError('the rewritten file still needs ' + WANTED);
  return result;
}

function plan(file: Buffer): Patch[] {
  try {
    return planPatches(file);
  } catch (error) {
    // An offset that leads out of the file.
    if (/^ERR_.*OUT_OF_(RANGE|BOUNDS)$/.test(nodeCodeOf(error)))
      throw new ElfError('truncated or malformed ELF file');
    throw error;
  }
}

function planPatches(file: Buffer): Patch[] {
  const base = BASE_VERSION.get(machineOf(file) ?? 0);
  if (base === undefined) throw new ElfError('not an ELF file of x86-64 or aarch64');
  const { symbols, versionOfSymbol, needed, strings } = dynamicSections(file);
  const versions = readVersions(file, needed, strings);

  const patches: Patch[] = [];
  const replacement = new Map<number, number>();
  for (const wanted of versions.filter((version) => version.name === WANTED)) {
    const { library } = wanted;
    const older = versions.find((v) => v.library === library && v.name === base);
    if (older === undefined) throw new ElfError(`${library} is asked for ${WANTED}, not ${base}`);
    replacement.set(wanted.index, older.index);
    patches.push({ at: wanted.at, bytes: 4, value: file.readUInt32LE(older.at) });
    patches.push({ at: wanted.at + 8, bytes: 4, value: file.readUInt32LE(older.at + 8) });
  }

  for (let i = 0; i < symbols.size / SYMBOL_SIZE; i++) {
    const versionAt = versionOfSymbol.offset + 2 * i;
    const version = file.readUInt16LE(versionAt);
    const index = replacement.get(version & INDEX_MASK);
    if (index === undefined) continue;
    const symbolAt = symbols.offset + SYMBOL_SIZE * i;
    const nameOffset = file.readUInt32LE(symbolAt);
    const name = readString(file, strings, nameOffset);
    const isUndefined = file.readUInt16LE(symbolAt + 6) === 0;
    if (!REPLACEABLE.has(name) || !isUndefined) {
      throw new ElfError(`no older equivalent is known for ${name} of ${WANTED}`);
    }
    patches.push({ at: versionAt, bytes: 2, value: index | (version & ~INDEX_MASK) });
    if (name.startsWith(C23_PREFIX)) {
      patches.push({ at: symbolAt, bytes: 4, value: nameOffset + C23_PREFIX.length });
    }
  }
  return patches;
}

function machineOf(file: Buffer): number | undefined {
  const elf64LittleEndian = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  return file.subarray(0, 6).equals(elf64LittleEndian) ? file.readUInt16LE(18) : undefined;
}

function dynamicSections(file: Buffer) {
  const sections = readSections(file);
  const only = (type: number) => {
    const [found, ...more] = sections.filter((section) => section.type === type);
    if (found === undefined || more.length > 0) {
      throw new ElfError(`expected one section of type 0x${type.toString(16)}`);
    }
    return found;
  };
  const symbols = only(SECTION.dynsym);
  const versionOfSymbol = only(SECTION.versym);
  const needed = only(SECTION.verneed);
  const strings = sections[symbols.link];
  if (strings === undefined || needed.link !== symbols.link) {
    throw new ElfError('symbols and versions use different strings');
  }
  if (symbols.size % SYMBOL_SIZE > 0 || versionOfSymbol.size !== (symbols.size / SYMBOL_SIZE) * 2) {
    throw new ElfError('not one version per symbol');
  }
  // The loader goes by the dynamic table, not by section headers: both must mean the same bytes.
  const tags = readDynamic(file, only(SECTION.dynamic));
  const agrees = (tag: number, section: Section) => tags.get(tag) === section.address;
  if (
    !agrees(TAG.symtab, symbols) ||
    !agrees(TAG.strtab, strings) ||
    !agrees(TAG.versym, versionOfSymbol) ||
    !agrees(TAG.verneed, needed)
  ) {
    throw new ElfError('section headers and the dynamic table disagree');
  }
  return { symbols, versionOfSymbol, needed, strings };
}

function readSections(file: Buffer): Section[] {
  const start = readOffset(file, 40);
  const entrySize = file.readUInt16LE(58);
  return Array.from({ length: file.readUInt16LE(60) }, (_, i) => {
    const at = start + i * entrySize;
    return {
      type: file.readUInt32LE(at + 4),
      address: readOffset(file, at + 16),
      offset: readOffset(file, at + 24),
      size: readOffset(file, at + 32),
      link: file.readUInt32LE(at + 40),
    };
  });
}

function readDynamic(file: Buffer, section: Section): Map<number, number> {
  const tags = new Map<number, number>();
  for (let at = section.offset; at < section.offset + section.size; at += 16) {
    tags.set(readOffset(file, at), readOffset(file, at + 8));
  }
  return tags;
}

function readVersions(file: Buffer, needed: Section, strings: Section): Version[] {
  const versions: Version[] = [];
  eachLinked(file, needed.offset, 12, (libraryAt) => {
    const library = readString(file, strings, file.readUInt32LE(libraryAt + 4));
    eachLinked(file, libraryAt + file.readUInt32LE(libraryAt + 8), 12, (at) => {
      const name = readString(file, strings, file.readUInt32LE(at + 8));
      versions.push({ library, name, index: file.readUInt16LE(at + 6) & INDEX_MASK, at });
    });
  });
  return versions;
}

/** Walks entries that each hold the distance to the next one, 0 in the last; they only lead on. */
function eachLinked(file: Buffer, start: number, nextAt: number, visit: (at: number) => void) {
  let at = start;
  for (;;) {
    visit(at);
    const distance = file.readUInt32LE(at + nextAt);
    if (distance === 0) return;
    at += distance;
  }
}

function readString(file: Buffer, strings: Section, offset: number): string {
  const start = strings.offset + offset;
  const end = file.indexOf(0, start);
  if (offset >= strings.size || end < 0 || end >= strings.offset + strings.size) {
    throw new ElfError('a name lies outside of the string table');
  }
  return file.toString('latin1', start, end);
}

/** A 64-bit number; one too large for a file's offset fails at its first use as an offset. */
function readOffset(file: Buffer, at: number): number {
  return Number(file.readBigUInt64LE(at));
}
