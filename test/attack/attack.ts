/** What an attack is, and what it is given: each runs in a process of its own, against a service of its own. */

/** What an attack knows of the service. */
export interface Target {
  readonly address: string;
  readonly pid: number;
  /** Holds the signing secret and the engine's socket, for attackers who share the key and for filling the database. */
  readonly dataDir: string;
  readonly administrator: { readonly email: string; readonly password: string };
  /** Of those who use the service meanwhile: what they do isn't the attack's doing. */
  readonly bystanderIds: readonly string[];
  readonly short: boolean;
  readonly seed: number;
  progress(text: string): void;
}

export interface Outcome {
  /** What was tried and how it was answered, in numbers. */
  readonly numbers: string;
  /** What did not hold; empty = all of it did. */
  readonly faults: readonly string[];
  /** It moved the service's clock: the log must say so, in errors that are the attack's own doing. */
  readonly movedClock?: boolean;
}

export interface Attack {
  /** What must hold, in a few words. */
  readonly about: string;
  /** Configuration of the service beside the usual one. */
  settings?(): Readonly<Record<string, string>>;
  /** Makes what the attack needs. What it returns is the attack; before it begins, the service is measured at rest. */
  prepare(target: Target): Promise<() => Promise<Outcome>>;
}

/** Collects what did not hold: the first few of each kind in words, the others counted. */
export function collectFaults() {
  const PER_KIND = 3;
  const EXAMPLE_LENGTH = 400;
  const kinds = new Map<string, { readonly examples: string[]; count: number }>();
  return {
    add(kind: string, example = ''): void {
      const found = kinds.get(kind) ?? { examples: [], count: 0 };
      kinds.set(kind, found);
      found.count += 1;
      if (example !== '' && found.examples.length < PER_KIND)
        found.examples.push(example.slice(0, EXAMPLE_LENGTH));
    },
    list(): string[] {
      return [...kinds].map(([kind, { examples, count }]) =>
        [`${kind}${count > 1 ? ` (${count} times)` : ''}`, ...examples].join(': '),
      );
    },
  };
}

export type Faults = ReturnType<typeof collectFaults>;
