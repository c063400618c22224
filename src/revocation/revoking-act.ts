/** One act of revoking: who does it, and what of it is on its way to the other instances. */
import type { RevocationContext } from '../audit/report.js';
import type { Operation } from '../store/cluster/log.js';
import type { Propagation } from './cluster/propagate.js';

export interface RevokingAct {
  readonly context: RevocationContext;
  /** To be called in the moment in which these come into force here; the answer waits for it at the end. */
  tell(operations: readonly Operation[]): void;
  /** Resolves when all of it is in force everywhere. @throws ServiceError 503: outcome unknown, repeat it. */
  everywhere(): Promise<void>;
}

/** Is told, of the request that it is for, when that is in force everywhere. */
export type OnPropagated = (requestId: string, propagation: Propagation) => void;

export function createRevokingAct(
  context: RevocationContext,
  tell: (operations: readonly Operation[]) => Promise<Propagation>,
  onPropagated: OnPropagated = () => undefined,
): RevokingAct {
  const told: Promise<Propagation>[] = [];
  return {
    context,
    tell(operations) {
      const telling = tell(operations);
      // Nobody may be waiting for it yet.
      telling.catch(() => undefined);
      told.push(telling);
    },
    async everywhere() {
      for (const propagation of await Promise.all(told))
        onPropagated(context.requestId, propagation);
    },
  };
}
