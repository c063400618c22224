/** A token's state as a mark and a word: never by colour alone. */
import type { State } from '../../wire.ts';

const MARKS: Record<State, readonly [mark: string, word: string]> = {
  active: ['●', 'Active'],
  expired: ['○', 'Expired'],
  revoked: ['✕', 'Revoked'],
};

export function StateMark({ state }: { state: State }) {
  const [mark, word] = MARKS[state];
  return (
    <span class={`v-state v-${state}`}>
      <span aria-hidden="true">{mark}</span> {word}
    </span>
  );
}
