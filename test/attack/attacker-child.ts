/** The process of the attacker: makes ready, says so, and attacks when it is told to. */
import { constants, setPriority } from 'node:os';
import { endWithParent, send, taskOf } from '../../bench/children.js';
import type { Outcome, Target } from './attack.js';
import { ATTACKS } from './attacks.js';

export interface AttackerTask {
  readonly name: string;
  readonly target: Omit<Target, 'progress'>;
}

export type AttackerMessage =
  | { readonly type: 'progress'; readonly text: string }
  | { readonly type: 'ready' }
  | { readonly type: 'outcome'; readonly outcome: Outcome };

// An attacker has machines of their own: here it gets what the service and its users leave over.
setPriority(constants.priority.PRIORITY_LOW);
endWithParent();
const { name, target } = taskOf() as AttackerTask;
const attack = ATTACKS[name];
if (attack === undefined) throw new Error(`There is no attack "${name}".`);
const tell = (message: AttackerMessage) => send(message);
const run = await attack.prepare({
  ...target,
  progress: (text) => tell({ type: 'progress', text }),
});
process.once('message', () => {
  run().then(
    (outcome) => tell({ type: 'outcome', outcome }),
    (error: unknown) => {
      const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
      tell({ type: 'outcome', outcome: { numbers: 'broke off', faults: [why] } });
    },
  );
});
tell({ type: 'ready' });
