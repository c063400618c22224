/** The tokens of a run: good ones, those that are being taken back or just were, and those of long ago. */
import type { Random } from '../attack/random.js';

export interface Session {
  readonly id: string;
  readonly userId: string;
  readonly applicationId: string;
  /** When it was asked for: ms of `performance.now()`. */
  readonly since: number;
  /** The refresh token that was handed out last; null = nobody knows any more, after a lost answer. */
  refreshToken: string | null;
  /** One at a time, so that no exchange is lost to another one. */
  isBusy: boolean;
}

export interface Token {
  /** As in the history. */
  readonly name: string;
  /** The JWT, or '' for a refresh token, which is in its session. */
  readonly text: string;
  readonly kind: 'sign-in' | 'woleet' | 'access' | 'refresh';
  readonly userId: string;
  readonly session: Session | null;
  readonly scopes: readonly string[];
  /** As in the history. */
  readonly since: number;
}

/** A user with a token that mints others. */
export interface Member {
  readonly id: string;
  readonly email: string;
  readonly base: Token;
}

export interface Pool {
  readonly applications: string[];
  readonly members: Member[];
  add(token: Token): void;
  /** A good one of these kinds. */
  pick(...kinds: readonly Token['kind'][]): Token | null;
  /** One to check: mostly those that are being taken back, or just were. */
  pickToCheck(): Token | null;
  /** The good ones that fall with this scope; from now on they count as being taken back. */
  take(scope: string): Token[];
  /** What is being taken back, or was lately. */
  hot(): readonly Token[];
  readonly size: number;
}

const APPLICATIONS = 8;
/** So many revoked ones are hot: those of the last seconds. */
const HOT = 60;
const OLD = 5000;
const PART_HOT = 55;
const PART_OLD = 12;

export function createPool(random: Random): Pool {
  const live = new Set<Token>();
  const byScope = new Map<string, Set<Token>>();
  const hot: Token[] = [];
  const old: Token[] = [];

  function pickFrom(tokens: readonly Token[]): Token | null {
    return tokens.length === 0 ? null : random.pick(tokens);
  }

  function pick(...kinds: readonly Token['kind'][]): Token | null {
    return pickFrom([...live].filter(({ kind }) => kinds.includes(kind)));
  }

  function remove(token: Token): void {
    live.delete(token);
    for (const scope of token.scopes) byScope.get(scope)?.delete(token);
  }

  return {
    applications: Array.from({ length: APPLICATIONS }, () => crypto.randomUUID()),
    members: [],
    add(token) {
      live.add(token);
      for (const scope of token.scopes) {
        const tokens = byScope.get(scope) ?? new Set();
        byScope.set(scope, tokens.add(token));
      }
    },
    pick,
    pickToCheck() {
      const choice = random.below(100);
      const isJwt = ({ text }: Token) => text !== '';
      if (choice < PART_HOT && hot.length > 0) return pickFrom(hot.filter(isJwt));
      if (choice < PART_HOT + PART_OLD && old.length > 0) return pickFrom(old);
      return pick('sign-in', 'woleet', 'access');
    },
    take(scope) {
      const taken = [...(byScope.get(scope) ?? [])];
      byScope.delete(scope);
      for (const token of taken) {
        remove(token);
        hot.push(token);
      }
      while (hot.length > HOT) {
        const cooled = hot.shift();
        if (cooled !== undefined && cooled.text !== '') old.push(cooled);
      }
      if (old.length > OLD) old.splice(0, old.length - OLD);
      return taken;
    },
    hot: () => hot,
    get size() {
      return live.size;
    },
  };
}
