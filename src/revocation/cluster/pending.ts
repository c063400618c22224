/**
 * What is in force here, and perhaps not everywhere yet. A check that it refuses waits: once one
 * instance has answered "revoked", no other may accept the token any more (promise R2).
 */
import { ServiceError } from '../../errors.js';
import { bareIdOf } from '../../store/ids.js';
import type { Operation, ToldCutoff } from '../../store/cluster/log.js';
import { isCutOff } from '../../tokens/state.js';
import type { RevocationQuestion } from '../revocation-index.js';

/** Some operations that are told together. */
export interface PendingItem {
  readonly operations: readonly Operation[];
  /** Resolves when they are in force everywhere. Never rejects. */
  readonly settled: Promise<void>;
}

const UNCONFIRMED =
  'Not every instance has confirmed what was revoked. Nothing is confirmed; repeat the request.';

/** What a check throws whose answer would be "revoked", but not everywhere yet: wait, and ask again. 503 for who doesn't. */
export class NotEverywhereError extends ServiceError {
  readonly item: PendingItem;

  constructor(item: PendingItem) {
    super('unavailable', UNCONFIRMED);
    this.item = item;
  }
}

/** 503: nobody can say yet that it is refused everywhere. */
export class UnconfirmedError extends ServiceError {
  constructor() {
    super('unavailable', UNCONFIRMED);
  }
}

export interface Pending {
  add(item: PendingItem): void;
  delete(item: PendingItem): void;
  /** One that hits this token, or its user; null = whatever refuses it is in force everywhere. */
  hits(question: RevocationQuestion): PendingItem | null;
  /** One that changes this user's password, or disables them. */
  hitsUser(userId: string): PendingItem | null;
  readonly size: number;
}

export function createPending(): Pending {
  const items = new Set<PendingItem>();
  /** By what they revoke; nearly all are of single ids. */
  const byId = new Map<string, Set<PendingItem>>();
  const others = new Map<PendingItem, readonly Operation[]>();

  function itemsOf(jti: string): Set<PendingItem> {
    let same = byId.get(jti);
    if (same === undefined) byId.set(jti, (same = new Set()));
    return same;
  }

  function firstOf(jti: string | null): PendingItem | null {
    const [first] = (jti === null ? undefined : byId.get(jti)) ?? [];
    return first ?? null;
  }

  return {
    add(item) {
      items.add(item);
      const rest: Operation[] = [];
      for (const operation of item.operations) {
        if (operation.what === 'revoked') itemsOf(operation.entry.jti).add(item);
        else rest.push(operation);
      }
      if (rest.length > 0) others.set(item, rest);
    },

    delete(item) {
      items.delete(item);
      others.delete(item);
      for (const operation of item.operations)
        if (operation.what === 'revoked') {
          const { jti } = operation.entry;
          const same = byId.get(jti);
          same?.delete(item);
          if (same?.size === 0) byId.delete(jti);
        }
    },

    hits(question) {
      // By the id alone: whose issuer it is doesn't matter to who only waits a little longer.
      const ofId = firstOf(question.jti) ?? firstOf(question.sessionId);
      if (ofId !== null) return ofId;
      for (const [item, operations] of others)
        if (operations.some((operation) => hitsQuestion(operation, question))) return item;
      return null;
    },

    hitsUser(userId) {
      for (const [item, operations] of others)
        if (operations.some((each) => 'userId' in each && each.userId === userId)) return item;
      return null;
    },

    get size() {
      return items.size;
    },
  };
}

function hitsQuestion(operation: Operation, question: RevocationQuestion): boolean {
  if (operation.what === 'blocked') return operation.userId === question.userId;
  return (
    operation.what === 'cut-off' &&
    mayBeInScope(operation.cutoff, question) &&
    isCutOff(question, operation.cutoff.at.getTime())
  );
}

/** Rather one too many. */
function mayBeInScope(cutoff: ToldCutoff, { userId, applicationId }: RevocationQuestion): boolean {
  const isUsers =
    cutoff.userId === null ||
    cutoff.userId === userId ||
    (cutoff.everyKind === true && userId !== null && cutoff.userId === bareIdOf(userId));
  return isUsers && (cutoff.applicationId === null || cutoff.applicationId === applicationId);
}
