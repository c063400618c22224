/** Short notes at the edge of the page, read aloud; they stay long enough to be read. */
import { signal } from '@preact/signals';

interface Toast {
  readonly id: number;
  readonly text: string;
  readonly tone: 'good' | 'bad';
}

const STAYS_MS = 8000;
const toasts = signal<readonly Toast[]>([]);
let last = 0;

export function toast(text: string, tone: Toast['tone'] = 'good'): void {
  const id = (last += 1);
  toasts.value = [...toasts.value, { id, text, tone }].slice(-4);
  setTimeout(() => dismiss(id), tone === 'bad' ? STAYS_MS * 2 : STAYS_MS);
}

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((each) => each.id !== id);
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, text, tone }) => (
        <div key={id} class={`toast is-${tone}`}>
          <span>{text}</span>
          <button type="button" class="plain" aria-label="Dismiss" onClick={() => dismiss(id)}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}
