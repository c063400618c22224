/** Clients that revoke and ask all the while, and remember what was acknowledged: the promise is checked against that. */
import { createJti } from '../../src/tokens/jti.js';
import { jtiOf, mint } from '../support/harness.js';

export interface Load {
  /** Revoked, and answered with 2xx. */
  readonly acknowledged: readonly string[];
  /** Of these, accepted once by somebody: none is the promise. */
  readonly accepted: ReadonlySet<string>;
  /** How many answers of which status there were; 0 = no answer. */
  readonly answers: ReadonlyMap<number, number>;
  /** Asks for the newest `count`, or for all, and remembers what was accepted. @param mayBeLate tokens acknowledged later don't count. */
  check(address: string, options?: { newest?: number; until?: number }): Promise<void>;
  /** One more revoke and one good token: whether everything works. */
  worksAt(address: string): Promise<boolean>;
  stop(): Promise<void>;
}

const CLIENTS = 4;
const CHECKERS = 2;
const AT_ONCE = 16;
const ANSWER_WITHIN_MS = 10_000;

/** @param addressOf where the service is now; null = nowhere. */
export function startLoad(addressOf: () => string | null): Load {
  const acknowledged: string[] = [];
  const accepted = new Set<string>();
  const answers = new Map<number, number>();
  let stopped = false;

  async function revoke(address: string, token: string): Promise<boolean> {
    const status = await ask(`${address}/v3/jwt/history/${jtiOf(token)}`, token, 'DELETE');
    answers.set(status, (answers.get(status) ?? 0) + 1);
    if (status === 200) acknowledged.push(token);
    return status === 200;
  }

  async function checkOne(address: string, token: string): Promise<void> {
    const status = await ask(`${address}/auth/verify`, token);
    if (status >= 200 && status < 300) accepted.add(token);
  }

  async function client(): Promise<void> {
    while (!stopped) {
      const address = addressOf();
      if (address === null || !(await revoke(address, freshToken()))) await rest();
    }
  }

  async function checker(): Promise<void> {
    while (!stopped) {
      const address = addressOf();
      const token = acknowledged[Math.floor(Math.random() * acknowledged.length)];
      if (address !== null && token !== undefined) await checkOne(address, token);
      await rest();
    }
  }

  const running = Promise.all([
    ...Array.from({ length: CLIENTS }, client),
    ...Array.from({ length: CHECKERS }, checker),
  ]);

  return {
    acknowledged,
    accepted,
    answers,
    async check(address, { newest = Infinity, until = acknowledged.length } = {}) {
      const tokens = acknowledged.slice(Math.max(0, until - newest), until);
      for (let at = 0; at < tokens.length; at += AT_ONCE)
        await Promise.all(tokens.slice(at, at + AT_ONCE).map((one) => checkOne(address, one)));
    },
    async worksAt(address) {
      if ((await ask(`${address}/readyz`, '')) !== 200) return false;
      if ((await ask(`${address}/auth/verify`, freshToken())) !== 204) return false;
      return revoke(address, freshToken());
    },
    async stop() {
      stopped = true;
      await running;
    },
  };
}

function freshToken(): string {
  return mint({
    jti: createJti(Date.now()),
    _id: 'holder',
    iss: 'https://tiledesk.com',
    iat: Math.floor(Date.now() / 1000),
  });
}

/** The status; 0 = no answer. */
async function ask(url: string, token: string, method = 'GET'): Promise<number> {
  try {
    const answer = await fetch(url, {
      method,
      headers: token === '' ? {} : { authorization: `JWT ${token}` },
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    await answer.arrayBuffer();
    return answer.status;
  } catch {
    return 0;
  }
}

function rest(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}
