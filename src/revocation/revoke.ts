/**
 * Revoking: the one use case behind every dialect and page. Store first (durably), own index
 * second, the other instances third, answer last; a failed write is a failed request (promises R1
 * and R3), and so is one that not every instance is known to refuse by.
 */
import type { Report, RevocationContext } from '../audit/report.js';
import { type Clock, MAX_AHEAD_MS } from '../clock.js';
import { type ServiceError, unavailable } from '../errors.js';
import type { Logger } from '../observability/logger.js';
import type { Store } from '../store/database/connect.js';
import { toldOf } from '../store/cluster/log.js';
import type { Cutoff, CutoffScope } from '../store/cutoffs/cutoffs.js';
import { DuplicateKeyError } from '../store/database/failures.js';
import {
  ANY_ISSUER,
  type NewTokenRecord,
  newTokenRecord,
  type Revocation,
  type TokenRecord,
} from '../store/records.js';
import { toRevokedEntry } from '../store/tokens/revoked-entry.js';
import type { RevokeOutcome } from '../store/tokens/revoke.js';
import type { Propagate } from './cluster/propagate.js';
import type { CutoffMarker } from './cutoff-marker.js';
import { AT_ONCE, createDescendants } from './descendants.js';
import { createMatchedCount, type Matched, NOTHING_MATCHED } from './matched.js';
import type { RevocationIndex } from './revocation-index.js';
import { createRevokingAct, type OnPropagated, type RevokingAct } from './revoking-act.js';

export interface Revoker {
  /**
   * Revokes a record and what came from it: a session's access tokens, and what was minted with any
   * of them. null = there is no such record (any more).
   * @param options.keepMinted for signing out: what was minted with the token stays good.
   * @throws ServiceError 503: outcome unknown, repeat it.
   */
  revokeRecord(
    record: TokenRecord,
    context: RevocationContext,
    options?: { readonly keepMinted?: boolean },
  ): Promise<RevokeOutcome | null>;
  /**
   * Revokes everything of a scope that was issued until now: one atomic write, in force at once for
   * however many tokens; marking their records follows behind. What is issued a millisecond later works.
   * @param before only what was issued before then. @returns the cut-off now in force: issued at or before it is revoked.
   */
  revokeScope(scope: CutoffScope, context: RevocationContext, before?: Date): Promise<Date>;
  /**
   * The same, and how many recorded tokens it hit that were good before: counted when it is in force
   * already, up to 10,000 and for a second at most; null = it couldn't be counted.
   */
  revokeScopeCounted(
    scope: CutoffScope,
    context: RevocationContext,
    before?: Date,
  ): Promise<{ readonly at: Date; readonly matched: Matched | null }>;
  /** Revokes an id without a record, for whichever issuer: that writes a record holding just the revocation. */
  revokeUnseen(jti: string, context: RevocationContext): Promise<RevokeOutcome>;
}

interface Dependencies {
  readonly store: Pick<Store, 'tokens' | 'cutoffs'>;
  readonly marker: CutoffMarker;
  readonly index: RevocationIndex;
  readonly clock: Clock;
  readonly log: Logger;
  /** The issuer of our refresh tokens. */
  readonly ownIssuer: string;
  readonly report: Report;
  /** Tells the other instances. */
  readonly propagate: Pick<Propagate, 'tell'>;
  readonly onPropagated?: OnPropagated;
}

/**
 * 503: the record was there and is not any more, so nothing says that its token was revoked. Its
 * token may be good, and is recorded again when it is seen.
 */
export function recordVanished(): ServiceError {
  return unavailable(
    'The record of the token has just gone. Nothing is confirmed; repeat the request.',
  );
}

function clockBehind(): ServiceError {
  return unavailable(
    'Thousands of tokens were issued more than 5 minutes after what is now by the clock of this instance. Set its clock, then repeat the request: not everything is revoked.',
  );
}

/** From a clock that was ahead, and of one scope: as many as can be revoked one by one before the answer. */
const MOST_AHEAD = 10_000;

export function createRevoker(deps: Dependencies): Revoker {
  const { store, marker, index, clock, log, ownIssuer, report } = deps;
  const { tokens, cutoffs } = store;
  const countMatched = createMatchedCount({ tokens, index, log });

  const begin = (context: RevocationContext) =>
    createRevokingAct(context, deps.propagate.tell, deps.onPropagated);

  async function revokeById(id: string, act: RevokingAct): Promise<RevokeOutcome | null> {
    const result = await tokens.revoke(id, toRevocation(act.context));
    if (result !== null) finish(result, act);
    return result;
  }

  const { revokeDescendants, revokeNamesakes, revokeMintedIn } = createDescendants({
    tokens,
    clock,
    ownIssuer,
    revokeById,
  });

  /**
   * Not before the newest token recorded, so that a clock that is behind lets nothing through; nor
   * further ahead than clocks may differ, whatever a record says of itself. Raised once more when
   * something was recorded while the first was being written: its minter can't have seen the
   * cut-off, and it can't be told from what came before.
   */
  async function raiseUntilNow(
    scope: CutoffScope,
    act: Omit<Cutoff, 'at' | keyof CutoffScope>,
    now: Date,
  ) {
    const until = new Date(now.getTime() + MAX_AHEAD_MS);
    const at = (await tokens.newestIssuedAt(scope, now, until)) ?? now;
    const raised = await cutoffs.raise({ ...scope, ...act, at });
    const newest = await tokens.newestIssuedAt(scope, raised.at, until);
    return newest === null ? raised : cutoffs.raise({ ...scope, ...act, at: newest });
  }

  /**
   * What says that it was issued later than any clock may be ahead, and is recorded already, is hit
   * by no cut-off: a clock was wrong when it was issued. It is revoked by its id.
   * @throws ServiceError 503 when these are too many: then the clock that is wrong is this one.
   */
  async function revokeFromAhead(
    scope: CutoffScope,
    act: RevokingAct,
    now: Date,
  ): Promise<readonly TokenRecord[]> {
    const ahead = await tokens.issuedAhead(scope, { now, aheadMs: MAX_AHEAD_MS }, MOST_AHEAD + 1);
    if (ahead.length > MOST_AHEAD) throw clockBehind();
    const hit: TokenRecord[] = [];
    for (let at = 0; at < ahead.length; at += AT_ONCE) {
      await Promise.all(
        ahead.slice(at, at + AT_ONCE).map(async (record) => {
          const result = await revokeById(record.id, act);
          if (result?.outcome === 'revoked') hit.push(record);
          await revokeDescendants(record, act, false);
        }),
      );
    }
    return hit;
  }

  function toRevocation({ eventInfo, ...context }: RevocationContext): Revocation {
    return { at: new Date(clock()), ...logged(context), ...(eventInfo ? { eventInfo } : {}) };
  }

  /** Also when it was revoked before: perhaps by one who died before telling anybody. */
  function finish({ outcome, record }: RevokeOutcome, act: RevokingAct): void {
    const entry = toRevokedEntry(record);
    index.add(entry);
    act.tell([{ what: 'revoked', entry }]);
    report({ what: outcome, record, act: act.context });
  }

  async function raise(scope: CutoffScope, act: RevokingAct, before?: Date) {
    const { context } = act;
    const cause = logged(context);
    const now = new Date(clock());
    // Before the first wait: the refresh may read the new one before it is known here.
    const earlier = index.cutoffOf(scope);
    const raised =
      before === undefined
        ? await raiseUntilNow(scope, cause, now)
        : await cutoffs.raise({ ...scope, ...cause, at: new Date(before.getTime() - 1) });
    // While one that was lowered elsewhere is in memory, this one moves nothing, and no late answer of
    // the database takes it back.
    index.noteLowered(raised);
    index.raiseCutoff(raised, raised.at);
    act.tell([{ what: 'cut-off', cutoff: toldOf(raised) }]);
    report({ what: 'scope-revoked', cutoff: raised, act: context });
    const ahead = before === undefined ? await revokeFromAhead(scope, act, now) : [];
    // What was minted later than `before`, or isn't a session's, isn't hit itself.
    if (scope.sessionsOnly || before !== undefined) await revokeMintedIn(raised, act);
    // One that moves nothing keeps who set it.
    return { raised, earlier, ahead, hasMoved: raised.requestId === context.requestId };
  }

  return {
    async revokeRecord(record, context, { keepMinted = false } = {}) {
      const act = begin(context);
      const result = await revokeById(record.id, act);
      if (result === null) return null;
      // Also when it was revoked before: a repeat finishes what a failed one began.
      await revokeDescendants(result.record, act, keepMinted);
      if (result.record.issuer === ANY_ISSUER) await revokeNamesakes(result.record, act);
      await act.everywhere();
      return result;
    },

    async revokeScope(scope, context, before) {
      const act = begin(context);
      const { raised } = await raise(scope, act, before);
      marker.wake();
      await act.everywhere();
      return raised.at;
    },

    async revokeScopeCounted(scope, context, before) {
      const act = begin(context);
      const { raised, earlier, ahead, hasMoved } = await raise(scope, act, before);
      try {
        const [matched] = await Promise.all([
          hasMoved ? countMatched(raised, earlier, ahead) : NOTHING_MATCHED,
          act.everywhere(),
        ]);
        return { at: raised.at, matched };
      } finally {
        // Only now: marking what is being counted would slow both.
        marker.wake();
      }
    },

    async revokeUnseen(jti, context) {
      const find = async () =>
        (await tokens.findByJti(jti)).find(({ issuer }) => issuer === ANY_ISSUER);
      try {
        await tokens.insert(unseenRecord(jti));
      } catch (error) {
        if (!(error instanceof DuplicateKeyError)) throw error;
      }
      const record = await find();
      const act = begin(context);
      const result = record === undefined ? null : await revokeById(record.id, act);
      if (result === null) throw new Error('the record of an unseen id vanished');
      await act.everywhere();
      return result;
    },
  };
}

/** Without the caller's own text. */
function logged({ by, reason, via, requestId }: RevocationContext) {
  return { by, reason, via, requestId };
}

/** It holds nothing but the revocation that follows. */
function unseenRecord(jti: string): NewTokenRecord {
  return newTokenRecord({ jti, kind: 'access', origin: 'registered', issuer: ANY_ISSUER });
}
