/** Search, the filters, and a chip for each that is set. */
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { FilterParameters } from '../../wire.ts';
import { clearFilters, filterKeys, go, place, refine } from '../location.ts';
import { briefTime } from '../ui/time.tsx';
import { CARDS } from './card-filters.ts';
import { KINDS, ORIGINS, STATES } from './wording.ts';
import { activeFilter, isFiltered, results } from './results.ts';

type Key = keyof FilterParameters;
const DEBOUNCE_MS = 200;
const isMoreOpen = signal(false);

const TEXTS: readonly (readonly [Key, string])[] = [
  ['userId', 'User id'],
  ['applicationId', 'Application'],
  ['device', 'Device'],
  ['address', 'Address'],
  ['sessionId', 'Session'],
];
const RANGES: readonly (readonly [Key, Key, string])[] = [
  ['issuedFrom', 'issuedTo', 'Issued'],
  ['lastUsedFrom', 'lastUsedTo', 'Last used'],
  ['expiresFrom', 'expiresTo', 'Expires'],
  ['revokedFrom', 'revokedTo', 'Revoked'],
  ['refusedFrom', 'refusedTo', 'Refused'],
];

export function Filters() {
  return (
    <search class="filters">
      <SearchBox />
      <Choice name="state" any="Any state" labels={STATES} />
      <Choice name="kind" any="Any kind" labels={KINDS} />
      <Choice name="origin" any="Any origin" labels={ORIGINS} />
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

function Choice({
  name,
  any,
  labels,
}: {
  name: 'state' | 'kind' | 'origin';
  any: string;
  labels: Readonly<Record<string, string>>;
}) {
  return (
    <select
      aria-label={any.replace('Any s', 'S').replace('Any k', 'K').replace('Any o', 'O')}
      value={activeFilter.value[name] ?? ''}
      onChange={(event) => refine({ [name]: event.currentTarget.value })}
    >
      <option value="">{any}</option>
      {Object.entries(labels).map(([value, label]) => (
        <option key={value} value={value}>
          {label}
        </option>
      ))}
    </select>
  );
}

function MoreFilters() {
  const { filter } = place.value;
  return (
    <form class="panel" onSubmit={(event) => event.preventDefault()}>
      {TEXTS.map(([key, label]) => (
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
      {RANGES.map(([from, to, label]) => (
        <fieldset key={from}>
          <legend>{label}</legend>
          <InstantField name={from} label={`${label} from`} />
          <span aria-hidden="true">–</span>
          <InstantField name={to} label={`${label} before`} />
        </fieldset>
      ))}
      <label>
        Not used since
        <InstantField name="idleSince" label="Not used since" />
      </label>
      <label class="check">
        <input
          type="checkbox"
          checked={filter.neverExpires === 'true'}
          onChange={(event) =>
            refine({ neverExpires: event.currentTarget.checked ? 'true' : undefined })
          }
        />
        Never expires
      </label>
    </form>
  );
}

function InstantField({ name, label }: { name: Key; label: string }) {
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

function chipText(key: Key, value: string): string {
  const names: Readonly<Record<string, string>> = { ...STATES, ...KINDS, ...ORIGINS };
  if (key === 'state' || key === 'kind' || key === 'origin') return names[value] ?? value;
  if (key === 'q') return `“${value}”`;
  if (key === 'neverExpires') return 'Never expires';
  if (key === 'idleSince') return `Not used since ${briefTime(value)}`;
  if (key === 'userId') return `User: ${emailOf(value) ?? value}`;
  const label = TEXTS.find(([each]) => each === key)?.[1];
  if (label !== undefined) return `${label}: ${value}`;
  const range = RANGES.find((each) => each[0] === key || each[1] === key);
  return `${range?.[2] ?? key} ${range?.[0] === key ? 'from' : 'before'} ${briefTime(value)}`;
}

function emailOf(userId: string): string | undefined {
  return results.value?.tokens.find((token) => token.userId === userId)?.user?.email;
}
