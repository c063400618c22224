/**
 * One database for all simulated instances: what is durable, the documents of the instances, the log.
 * Each operation takes its time there and back, and may be lost on either way: whoever asked gives it
 * up after a limit, and it may be done all the same, even later.
 */
import { unavailable } from '../../../../src/errors.js';
import type {
  Applied,
  InstanceState,
  InstanceStore,
} from '../../../../src/store/cluster/instances.js';
import type {
  LogEntry,
  LogRead,
  LogReader,
  RevocationLog,
} from '../../../../src/store/cluster/log.js';
import type { Process, Time } from './time.js';

/** ms that it takes; null = it is lost. */
export type Traffic = (process: Process, what: Asked, way: 'there' | 'back') => number | null;

export type Asked =
  | 'create'
  | 'join'
  | 'enter'
  | 'renew'
  | 'confirm'
  | 'all'
  | 'finish'
  | 'leave'
  | 'append'
  | 'read'
  | 'mark'
  | 'list'
  | 'find';

interface Dependencies {
  readonly time: Time;
  readonly random: () => number;
  readonly traffic: Traffic;
  /** For who reads what went wrong. */
  readonly tell: (who: Process | null, what: string) => void;
}

/** On the server. */
interface Cursor {
  /** Of the last entry that it gave. */
  place: number;
  /** Those of before the last loss are lost. */
  readonly of: number;
}

export type Database = ReturnType<typeof createDatabase>;

const LIMIT_MS = 800;
/** How many entries a read brings. */
const BATCH = 4;

export function createDatabase({ time, random, traffic, tell }: Dependencies) {
  const revoked = new Set<string>();
  const documents = new Map<string, InstanceState>();
  /** In natural order. */
  const log: (LogEntry & { readonly place: number })[] = [];
  let places = 0;
  /** Up to this place nothing is left. */
  let goneTo = 0;
  let isCreated = false;
  let waiting: (() => void)[] = [];
  /** Cursors from before are lost. */
  let cursorsOf = 0;

  function ask<T>(
    process: Process,
    what: Asked,
    serve: (reply: (answer: T) => void) => void,
    limitMs = LIMIT_MS,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const sentAt = process.now();
      const fail = () => reject(unavailable(`${what}: no answer`));
      const giveUp = process.at(sentAt + limitMs, 'timer', fail);
      const there = traffic(process, what, 'there');
      if (there === null) {
        // Some connections break, others are silent.
        if (random() < 0.3) process.at(sentAt + 1 + random() * 20, 'received', fail);
        return;
      }
      time.at(sentAt + there, () =>
        serve((answer) => {
          const back = traffic(process, what, 'back');
          if (back === null) return;
          process.at(time.now + back, 'received', () => {
            giveUp();
            resolve(answer);
          });
        }),
      );
    });
  }

  const soon = <T>(process: Process, what: Asked, serve: () => T) =>
    ask<T>(process, what, (reply) => reply(serve()));

  function change(id: string, more: Partial<InstanceState>): boolean {
    const known = documents.get(id);
    if (known !== undefined) documents.set(id, { ...known, ...more });
    return known !== undefined;
  }

  function instances(process: Process): InstanceStore {
    return {
      join: (id, leaseMs) =>
        soon(process, 'join', () => {
          tell(process, `has a document (joining) ${short(id)}`);
          documents.set(id, {
            id,
            where: short(id),
            leaseMs,
            isJoining: true,
            renewed: 0,
            applied: {},
          });
        }),
      enter: (id, applied) =>
        soon(process, 'enter', () => {
          const renewed = (documents.get(id)?.renewed ?? 0) + 1;
          tell(process, `enters as ${short(id)}${documents.has(id) ? '' : ': no such document'}`);
          return change(id, { isJoining: false, renewed, applied: copyOf(applied) });
        }),
      renew: (id, applied) =>
        soon(process, 'renew', () => {
          const known = documents.get(id);
          const can = known !== undefined && !known.isJoining;
          tell(process, `renews its lease${can ? '' : ': no such document'}`);
          return can && change(id, { renewed: known.renewed + 1, applied: copyOf(applied) });
        }),
      confirm: (id, applied) =>
        soon(process, 'confirm', () => {
          tell(process, `confirms ${said(applied)}`);
          change(id, { applied: copyOf(applied) });
        }),
      all: () => soon(process, 'all', () => [...documents.values()]),
      finish: (id, renewed) =>
        soon(process, 'finish', () => {
          if (documents.get(id)?.renewed !== renewed) return;
          tell(process, `ends the lease of ${short(id)}`);
          documents.delete(id);
        }),
      leave: (id) =>
        soon(process, 'leave', () => {
          tell(process, `leaves: ${short(id)}`);
          documents.delete(id);
        }),
      clear: async () => documents.clear(),
    };
  }

  function wake(): void {
    const woken = waiting;
    waiting = [];
    for (const each of woken) each();
  }

  function reader(process: Process): LogReader {
    /** The server's, as of the last answer; null = none. */
    let cursor: Cursor | null = null;

    async function readWhole(): Promise<LogRead> {
      const { entries, opened } = await soon(process, 'read', () => ({
        entries: log.map(entryOf),
        opened: log.length === 0 ? null : { place: places, of: cursorsOf },
      }));
      cursor = opened;
      return { entries, isAtEnd: true, isWhole: true };
    }

    return {
      async read(waitMs) {
        if (cursor === null) return readWhole();
        const asked = cursor;
        try {
          const answer = await ask<LogRead | null>(
            process,
            'read',
            (reply) => getMore(asked, waitMs, reply),
            waitMs + LIMIT_MS,
          );
          if (answer !== null) return answer;
        } catch (error) {
          cursor = null;
          throw error;
        }
        cursor = null;
        return readWhole();
      },
      reset() {
        cursor = null;
      },
    };
  }

  /** Replies null when the cursor is lost. What it gives is given, whether or not the answer arrives. */
  function getMore(cursor: Cursor, waitMs: number, reply: (answer: LogRead | null) => void): void {
    const isLost = () => cursor.of !== cursorsOf || cursor.place < goneTo;
    const found = () => log.filter(({ place }) => place > cursor.place).slice(0, BATCH);
    let isAnswered = false;
    const answer = () => {
      if (isAnswered) return;
      isAnswered = true;
      if (isLost()) {
        reply(null);
        return;
      }
      const batch = found();
      cursor.place = batch.at(-1)?.place ?? cursor.place;
      reply({ entries: batch.map(entryOf), isAtEnd: batch.length < BATCH, isWhole: false });
    };
    if (waitMs <= 1 || isLost() || found().length > 0) {
      answer();
      return;
    }
    waiting.push(answer);
    time.at(time.now + waitMs, answer);
  }

  return {
    instances,

    revocationLog: (process: Process): RevocationLog => ({
      create: () =>
        soon(process, 'create', () => {
          isCreated = true;
        }),
      append: (entry) =>
        soon(process, 'append', () => {
          if (!isCreated) throw new Error('the log was not made');
          places += 1;
          log.push({ ...entry, id: `entry-${places}`, place: places });
          tell(process, `is in the log: ${entry.seq} ${whats(entry)}`);
          wake();
        }),
      reader: () => reader(process),
    }),

    /** Makes it durable. */
    mark: (process: Process, id: string) =>
      soon(process, 'mark', () => {
        tell(process, `has made durable: ${id}`);
        revoked.add(id);
      }),
    isMarked: (process: Process, id: string) => soon(process, 'find', () => revoked.has(id)),
    marked: (process: Process) => soon(process, 'list', () => [...revoked]),

    /** Each reader must begin anew. */
    loseCursors(): void {
      tell(null, 'all cursors are lost');
      cursorsOf += 1;
      wake();
    },
    /** As if very much had been written: only the newest entries are left. */
    overrun(left: number): void {
      tell(null, `the log is overrun, but for ${left}`);
      const gone = log.splice(0, Math.max(0, log.length - left));
      goneTo = gone.at(-1)?.place ?? goneTo;
      wake();
    },
    durable: revoked as ReadonlySet<string>,
    documents: documents as ReadonlyMap<string, InstanceState>,
  };
}

function entryOf({ id, from, seq, operations }: LogEntry): LogEntry {
  return { id, from, seq, operations };
}

/** What is sent doesn't change any more. */
function copyOf(applied: Applied): Applied {
  return { ...applied };
}

const short = (id: string) => id.slice(0, 4);

function said(applied: Applied): string {
  return Object.entries(applied)
    .map(([from, seq]) => `${short(from)}:${seq}`)
    .join(' ');
}

function whats({ operations }: Pick<LogEntry, 'operations'>): string {
  return shortList(
    operations.map((each) => (each.what === 'revoked' ? each.entry.jti : each.what)),
  );
}

/** The first few, and the last. */
export function shortList(names: readonly string[]): string {
  const more = names.length > 4 ? ` … ${names.at(-1)} (${names.length})` : '';
  return `${names.slice(0, 4).join(' ')}${more}`;
}
