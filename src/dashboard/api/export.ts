/** `GET /admin/tokens/export`: everything that a filter matches, streamed as CSV or NDJSON, oldest first. */
import type { Request, RequestHandler, Response, Router } from 'express';
import { callerOf, ownJti, principalOf } from '../../auth/authenticate.js';
import type { WatchCaller } from '../../auth/caller-watch.js';
import type { Clock } from '../../clock.js';
import { signalOfClient } from '../../http/client-gone.js';
import { parseQuery } from '../../http/input.js';
import { writePieces } from '../../http/long-answer.js';
import { createPlaces } from '../../http/places.js';
import { methodNotAllowed } from '../../http/problem.js';
import { requestIdOf } from '../../http/request-id.js';
import { createRouter } from '../../http/router.js';
import type { Trail } from '../../audit/trail.js';
import type { Logger } from '../../observability/logger.js';
import type { TokenFilter } from '../../store/tokens/query/filter.js';
import type { TokenSearches } from '../../store/tokens/query/search.js';
import type { UserStore } from '../../store/users/users.js';
import { exportQuery, toTokenSearch } from './tokens-input.js';
import type { AdminWireRecord, ToAdminWire } from './token-wire.js';

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly tokens: Pick<TokenSearches, 'matching'>;
  readonly users: UserStore;
  readonly toWire: ToAdminWire;
  readonly clock: Clock;
  readonly log: Logger;
  readonly trail: Pick<Trail, 'record'>;
  readonly watchCaller: WatchCaller;
}

/** What an export holds in memory when nobody reads it: so many records, and their text. */
/** A piece is made in one go, and checks wait for it. */
const BATCH = 100;
const TAKE_WITHIN_MS = 20_000;
const PLACES = {
  what: 'exports',
  inAll: 16,
  reserved: 4,
  ofUser: 2,
  ofAdministrator: 4,
  retryAfterSeconds: 10,
} as const;

type Format = 'csv' | 'ndjson';
type Cell = string | number | Date | null | undefined;

const COLUMNS: Readonly<Record<string, (record: AdminWireRecord) => Cell>> = {
  _id: (record) => record._id,
  jti: (record) => record.jti,
  state: (record) => record.state,
  kind: (record) => record.kind,
  origin: (record) => record.origin,
  userId: (record) => record.userId,
  email: (record) => record.user?.email,
  applicationId: (record) => record.applicationId,
  sessionId: (record) => record.sessionId,
  issuer: (record) => record.issuer,
  device: (record) => record.deviceLabel,
  userAgent: (record) => record.device?.userAgent,
  address: (record) => record.device?.ip,
  cdata: (record) => record.cdata,
  issuedAt: (record) => record.issuedAt,
  expiresAt: (record) => record.expiresAt,
  lastUsedAt: (record) => record.lastUsedAt,
  revokedAt: (record) => record.revokedAt,
  revokedBy: (record) => record.revokedBy,
  revokedReason: (record) => record.revokedReason,
  lastRefusedAt: (record) => record.lastRefusedAt,
  refusedCount: (record) => record.refusedCount,
};

export function createAdminExportRouter(deps: Dependencies): Router {
  const { authenticate, users, watchCaller } = deps;
  const places = createPlaces(PLACES);
  const router = createRouter();

  const exportTokens: RequestHandler = async (req, res) => {
    const { format, ...input } = parseQuery(req, exportQuery);
    const caller = await callerOf(req, users);
    const leave = places.take(caller.userId, caller.isAdministrator);
    const watch = watchCaller(principalOf(req), caller.isAdministrator);
    // Whoever hangs up while nothing is found yet gives the place back too.
    const signal = AbortSignal.any([watch.signal, signalOfClient(res)]);
    try {
      const filter = await toTokenSearch(input, caller, users);
      await write(req, res, { format, filter, signal });
    } finally {
      watch.stop();
      leave();
    }
  };

  async function write(
    req: Request,
    res: Response,
    { format, filter, signal }: { format: Format; filter: TokenFilter; signal: AbortSignal },
  ): Promise<void> {
    const { tokens, toWire, log, trail } = deps;
    const isCsv = format === 'csv';
    const batches = tokens.matching(filter, { batch: BATCH, signal })[Symbol.asyncIterator]();
    // Before the headers, so that a store that fails is still a 503.
    let batch = await batches.next();
    const day = new Date(deps.clock()).toISOString().slice(0, 10);
    res.set({
      'Content-Type': isCsv ? 'text/csv; charset=utf-8' : 'application/x-ndjson',
      'Content-Disposition': `attachment; filename="tokens-${day}.${format}"`,
      'Cache-Control': 'no-store',
      'X-Accel-Buffering': 'no',
    });
    let count = 0;
    async function* lines() {
      if (isCsv) yield csvLine(Object.keys(COLUMNS));
      for (; batch.done !== true; batch = await batches.next()) {
        const records = await toWire(batch.value, ownJti(req));
        count += records.length;
        yield records.map(isCsv ? toCsv : toNdjson).join('');
      }
    }
    const act = { by: principalOf(req).userId, requestId: requestIdOf(res) };
    try {
      await writePieces(res, lines(), { takeWithinMs: TAKE_WITHIN_MS, signal });
      log.info({ event: 'export.made', count, ...act }, 'tokens exported');
    } catch (error) {
      if (!res.headersSent) throw error;
      // The status has been sent: a connection that breaks off says that this isn't all.
      log.warn({ err: error, count, ...act }, 'an export broke off');
    } finally {
      // Whoever broke it off has read that much.
      trail.record({ type: 'export.made', via: 'dashboard', ...act, count });
      await batches.return?.();
    }
  }

  // Before GET, whose handler would walk through everything for a HEAD.
  router.head('/admin/tokens/export', methodNotAllowed('GET'));
  router.get('/admin/tokens/export', authenticate, exportTokens);
  router.all('/admin/tokens/export', methodNotAllowed('GET'));
  return router;
}

function toNdjson(record: AdminWireRecord): string {
  return `${JSON.stringify(record)}\n`;
}

function toCsv(record: AdminWireRecord): string {
  return csvLine(Object.values(COLUMNS).map((read) => read(record)));
}

/** RFC 4180, by hand: quoting is the last line of `csvCell`, and no library knows all of what it makes harmless. */
function csvLine(values: readonly Cell[]): string {
  return `${values.map(csvCell).join(',')}\r\n`;
}

/**
 * A spreadsheet takes a cell that begins with `= + - @` (or a tab, a line end) for a formula, also
 * after blanks and what nobody sees, in other forms of these signs, and wherever it splits the text
 * by another separator than ours: an apostrophe makes it text.
 */
export function csvCell(value: Cell): string {
  if (value === null || value === undefined) return '';
  const text = value instanceof Date ? value.toISOString() : String(value);
  const harmless = text.replace(STARTS_FORMULA, "'$&").replaceAll(FORMULA_WITHIN, "$1'$2");
  return /[",;|\t\r\n']/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

const UNSEEN = String.raw`[\s\p{Z}\p{C}\p{DI}\u2800]`;
const SIGN = '[=+\\-@＝＋－＠﹢﹣﹦﹫⁺⁻⁼₊₋₌−]';
const STARTS_FORMULA = new RegExp(`^(?:[\\t\\r\\n]|(?:${UNSEEN}|["'|;,])*${SIGN})`, 'u');
const FORMULA_WITHIN = new RegExp(`([;|\\t\\r\\n])((?:${UNSEEN}|["'])*${SIGN})`, 'gu');
