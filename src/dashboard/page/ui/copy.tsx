/** A button that copies a text, and says that it did. */
import { toast } from './toast.tsx';

interface CopyButtonProps {
  readonly text: string;
  readonly label: string;
  /** The label stands beside the icon; else it is read aloud and shown on hovering. */
  readonly isLabelled?: boolean;
}

export function CopyButton({ text, label, isLabelled = false }: CopyButtonProps) {
  return (
    <button
      type="button"
      class={isLabelled ? 'button copy' : 'plain copy'}
      {...(isLabelled ? {} : { 'aria-label': label, title: label })}
      onClick={(event) => {
        event.stopPropagation();
        void copy(text).then((isDone) =>
          toast(isDone ? 'Copied.' : 'The browser didn’t allow copying.', isDone ? 'good' : 'bad'),
        );
      }}
    >
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <rect x="5.5" y="5.5" width="8" height="8" rx="1.5" />
        <path d="M3.5 10.5h-1v-8h8v1" />
      </svg>
      {isLabelled && label}
    </button>
  );
}

async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** Without TLS (a plain-HTTP intranet address) browsers have no clipboard API. */
function copyBySelection(text: string): boolean {
  const field = document.createElement('textarea');
  field.value = text;
  field.className = 'offscreen';
  // Inside an open dialog nothing outside of it can be selected.
  (document.querySelector('dialog[open]') ?? document.body).append(field);
  field.select();
  const isDone = document.execCommand('copy');
  field.remove();
  return isDone;
}
