/** What other instances tell is put in force here; and what only the database told this one, everywhere. */
import type { Report } from '../../audit/report.js';
import type { Operation, ToldCutoff } from '../../store/cluster/log.js';
import type { RevokedEntry } from '../../store/tokens/revoked-entry.js';
import type { RevocationIndex, RevocationQuestion } from '../revocation-index.js';
import { type Pending, UnconfirmedError } from './pending.js';
import type { Propagate } from './propagate.js';

interface Dependencies {
  readonly index: Pick<RevocationIndex, 'add' | 'noteLowered' | 'raiseCutoff'>;
  readonly blockUser: (userId: string) => void;
  readonly forgetVerified: (userId: string) => void;
  readonly report: Report;
}

/** Neither waits nor throws. */
export type Apply = (operations: readonly Operation[]) => void;

export function createApply({ index, blockUser, forgetVerified, report }: Dependencies): Apply {
  return function apply(operations) {
    const entries: RevokedEntry[] = [];
    const cutoffs: ToldCutoff[] = [];
    for (const operation of operations) {
      switch (operation.what) {
        case 'revoked':
          if (index.add(operation.entry)) entries.push(operation.entry);
          break;
        case 'cut-off':
          index.noteLowered(operation.cutoff);
          if (index.raiseCutoff(operation.cutoff, operation.cutoff.at))
            cutoffs.push(operation.cutoff);
          break;
        case 'blocked':
          blockUser(operation.userId);
          break;
        case 'password':
          forgetVerified(operation.userId);
          break;
        case 'refresh':
          break;
      }
    }
    if (entries.length > 0 || cutoffs.length > 0) report({ what: 'learnt', entries, cutoffs });
  };
}

/**
 * Who is about to refuse something for what the database says puts that in force first, here and
 * everywhere: memory may not know of it, because whoever did it is only about to tell, or has died.
 */
export type Learn = (
  operations: readonly Operation[],
  /** What is refused: waited for is also what hits it and is on its way already. */
  question?: RevocationQuestion,
) => Promise<void>;

/** The returned function throws ServiceError 503 while not everybody has confirmed it. */
export function createLearn({
  index,
  isBlocked,
  blockUser,
  propagate: { tell, whenSettled },
  pending,
}: LearnDependencies): Learn {
  /** @returns whether it wasn't in force here. */
  function takeIn(operation: Operation): boolean {
    switch (operation.what) {
      case 'revoked':
        return index.add(operation.entry);
      case 'cut-off':
        index.noteLowered(operation.cutoff);
        return index.raiseCutoff(operation.cutoff, operation.cutoff.at);
      case 'blocked': {
        const isNew = !isBlocked(operation.userId);
        if (isNew) blockUser(operation.userId);
        return isNew;
      }
      case 'password':
      case 'refresh':
        return false;
    }
  }

  return async function learn(operations, question) {
    const newOnes = operations.filter(takeIn);
    if (newOnes.length > 0) await tell(newOnes);
    const item = question === undefined ? null : pending.hits(question);
    if (item !== null) await whenSettled(item);
    // What is being loaded is known here before the others were asked to read it, too.
    if (!index.isFresh) throw new UnconfirmedError();
  };
}

interface LearnDependencies {
  readonly index: Pick<RevocationIndex, 'add' | 'noteLowered' | 'raiseCutoff' | 'isFresh'>;
  readonly isBlocked: (userId: string) => boolean;
  readonly blockUser: (userId: string) => void;
  readonly propagate: Pick<Propagate, 'tell' | 'whenSettled'>;
  readonly pending: Pick<Pending, 'hits'>;
}
