/** The session of a token, and what came from it: each opens by a click. */
import type { WireToken } from '../../wire.ts';
import { Time } from '../ui/time.tsx';
import { StateMark, stateOf } from './columns.tsx';
import { nameOf } from './wording.ts';

interface RelatedProps {
  readonly tokens: readonly WireToken[];
  readonly label: string;
  onOpen(id: string): void;
}

export function Related({ tokens, label, onOpen }: RelatedProps) {
  return (
    <ul class="related" aria-label={label}>
      {tokens.map((token) => (
        <li key={token._id}>
          <button type="button" class="button related-token" onClick={() => onOpen(token._id)}>
            <span class="text">{nameOf(token)}</span>
            <StateMark state={stateOf(token)} />
            <span class="muted">
              issued <Time at={token.issuedAt} never="unknown" />
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}
