/** What other instances tell is put in force here; and what only the database told this one, everywhere. */
import type { Report } from '../../audit/report.js';
import type { Operation, ToldCutoff } from '../../store/cluster/log.js';
import type { RevokedEntry } from '../../store/tokens/revoked-entry.js';
import type { RevocationIndex } from '../revocation-index.js';
import type { Pending } from './pending.js';
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
 * A record was found revoked, and memory may not know of it: whoever revoked it is about to tell, or
 * has died. Resolves when it is in force everywhere. @throws ServiceError 503
 */
export function createLearn(
  index: Pick<RevocationIndex, 'add'>,
  { tell, whenSettled }: Pick<Propagate, 'tell' | 'whenSettled'>,
  pending: Pick<Pending, 'hitsId'>,
): (entry: RevokedEntry) => Promise<void> {
  return async function learn(entry) {
    if (index.add(entry)) {
      await tell([{ what: 'revoked', entry }]);
      return;
    }
    const item = pending.hitsId(entry.jti);
    if (item !== null) await whenSettled(item);
  };
}
