/** Search, the filters, and a chip for each that is set. */
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { clearFilters, go, place, refine } from '../location.ts';
import { CARDS } from './card-filters.ts';
import { describeFilter, type FilterKey, filterKeys, filtersBy } from './filter-table.ts';
import { activeFilter, isFiltered, results } from './results.ts';

const DEBOUNCE_MS = 200;
const isMoreOpen = signal(false);

export function Filters() {
  return (
    <search class="filters">
      <SearchBox />
      {filtersBy('choice').map(({ key, label, choices = {} }) => (
        <Choice key={key} name={key} label={label} choices={choices} />
      ))}
      <button
        type="button"
        class="plain more"
        aria-expanded={isMoreOpen.value}
        onClick={() => {
          isMoreOpen.value = !isMoreOpen.value;
        }}
      >
        {isMoreOpen.value ? 'Fewer filters' : 'More filters'}
      </button>
      {isMoreOpen.value && <MoreFilters />}
      <Chips />
    </search>
  );
}

function SearchBox() {
  const box = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const asked = place.value.filter.q ?? '';
  /** What this box asked for itself: one may have typed on since, and that isn't to be overwritten. */
  const own = useRef(asked);
  useEffect(() => {
    if (!box.current || own.current === asked) return;
    own.current = asked;
    stop();
    box.current.value = asked;
  }, [asked]);
  function stop(): void {
    if (timer.current !== null) clearTimeout(timer.current);
  }
  function search(): void {
    stop();
    const q = box.current?.value.trim() ?? '';
    own.current = q;
    // One step back for a search, not one for each letter.
    refine({ q }, (place.value.filter.q ?? '') === '' ? 'push' : 'replace');
  }
  return (
    <input
      ref={box}
      id="search"
      defaultValue={asked}
      type="search"
      aria-label="Search by e-mail, user id, application or token id"
      aria-keyshortcuts="/"
      placeholder="E-mail, user id, application, token id…"
      maxLength={200}
      autocomplete="off"
      spellcheck={false}
      onInput={() => {
        stop();
        timer.current = setTimeout(search, DEBOUNCE_MS);
      }}
      onKeyDown={(event) => {
        if (event.key === 'Enter') search();
      }}
    />
  );
}

function Choice({ name, label, choices }: ChoiceProps) {
  return (
    <select
      aria-label={label}
      value={activeFilter.value[name] ?? ''}
      onChange={(event) => refine({ [name]: event.currentTarget.value })}
    >
      <option value="">Any {label.toLowerCase()}</option>
      {Object.entries(choices).map(([value, text]) => (
        <option key={value} value={value}>
          {text}
        </option>
      ))}
    </select>
  );
}

interface ChoiceProps {
  readonly name: FilterKey;
  readonly label: string;
  readonly choices: Readonly<Record<string, string>>;
}

function MoreFilters() {
  const { filter } = place.value;
  return (
    <form class="panel" onSubmit={(event) => event.preventDefault()}>
      {filtersBy('text').map(({ key, label }) => (
        <label key={key}>
          {label}
          <input
            type="text"
            value={filter[key] ?? ''}
            maxLength={200}
            spellcheck={false}
            autocomplete="off"
            onChange={(event) => refine({ [key]: event.currentTarget.value.trim() })}
          />
        </label>
      ))}
      {filtersBy('from').map(({ key, label }) => (
        <fieldset key={key}>
          <legend>{label}</legend>
          <InstantField name={key} label={`${label} from`} />
          <span aria-hidden="true">–</span>
          {filtersBy('to').map((to) =>
            to.label === label ? <InstantField name={to.key} label={`${label} before`} /> : null,
          )}
        </fieldset>
      ))}
      {filtersBy('instant').map(({ key, label }) => (
        <label key={key}>
          {label}
          <InstantField name={key} label={label} />
        </label>
      ))}
      {filtersBy('check').map(({ key, label }) => (
        <label key={key} class="check">
          <input
            type="checkbox"
            checked={filter[key] === 'true'}
            onChange={(event) =>
              refine({ [key]: event.currentTarget.checked ? 'true' : undefined })
            }
          />
          {label}
        </label>
      ))}
    </form>
  );
}

function InstantField({ name, label }: { name: FilterKey; label: string }) {
  return (
    <input
      type="datetime-local"
      aria-label={label}
      value={toLocal(place.value.filter[name])}
      onChange={(event) => {
        const { value } = event.currentTarget;
        refine({ [name]: value === '' ? undefined : new Date(value).toISOString() });
      }}
    />
  );
}

/** As `datetime-local` wants it: the viewer's own time, to the minute. */
function toLocal(at: string | undefined): string {
  if (at === undefined) return '';
  const time = new Date(at);
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function Chips() {
  const { card, filter } = place.value;
  const set = filterKeys.filter((key) => filter[key] !== undefined);
  if (!isFiltered.value) return null;
  return (
    <ul class="chips" aria-label="Filters that are set">
      {card !== null && (
        <Chip text={CARDS[card].label} onRemove={() => go({ card: null, cursor: null })} />
      )}
      {set.map((key) => (
        <Chip
          key={key}
          text={chipText(key, filter[key] ?? '')}
          onRemove={() => refine({ [key]: undefined })}
        />
      ))}
      <li>
        <button type="button" class="plain link" onClick={clearFilters}>
          Clear all
        </button>
      </li>
    </ul>
  );
}

function Chip({ text, onRemove }: { text: string; onRemove(): void }) {
  return (
    <li class="chip">
      <span>{text}</span>
      <button
        type="button"
        class="plain"
        aria-label={`Remove the filter ${text}`}
        onClick={() => {
          onRemove();
          // The chip is gone, and the focus with it.
          document.getElementById('search')?.focus();
        }}
      >
        ×
      </button>
    </li>
  );
}

function chipText(key: FilterKey, value: string): string {
  const email = key === 'userId' ? emailOf(value) : undefined;
  return email === undefined ? describeFilter(key, value) : `User: ${email}`;
}

function emailOf(userId: string): string | undefined {
  return results.value?.tokens.find((token) => token.userId === userId)?.user?.email;
}
