/** Attack `sign-in`: 60 addresses guess over 240 connections, and one IPv6 network guesses 3,000 times; the right password gets in. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Attack, collectFaults, type Target } from './attack.js';
import { type Client, createClient, inLanes, signInAsAdministrator } from './client.js';

const PASSWORD = 'right, and from a quiet address';
const ADDRESSES = 60;
const CONNECTIONS_EACH = 4;
/** Whoever guesses faster only shows how many refusals a second there can be. */
const PAUSE_MS = 200;
const NETWORK_LANES = 8;
const FOR_MS = { short: 5000, full: 60_000 } as const;
const FROM_NETWORK = { short: 300, full: 3000 } as const;
const WITHIN_MS = { short: 20_000, full: 2000 } as const;
/** `SIGN_IN_ATTEMPTS`, of one address or network in a minute. */
const ATTEMPTS = 30;
const KNOWN_ADDRESS = '192.0.2.251';

export const signIns: Attack = {
  about: `${ADDRESSES} addresses × ${CONNECTIONS_EACH} guess, and a /64: the right password in 2 s`,
  async prepare(target) {
    const client = createClient(target);
    const root = await signInAsAdministrator(client, target);
    const guessedAt = `guessed-${target.seed}@attack.example`;
    await root.createUser(guessedAt, PASSWORD);
    const quiet: string[] = [];
    for (let i = 0; i < 40; i += 1) {
      const email = `quiet-${i}-${target.seed}@attack.example`;
      await root.createUser(email, PASSWORD);
      quiet.push(email);
    }
    // From now on it is an address that this account knows.
    await attempt(client, KNOWN_ADDRESS, guessedAt, PASSWORD);
    client.close();
    return async () => {
      const enough = new AbortController();
      const crowd = createClient(target);
      const network = createClient(target);
      const guessing = Promise.all([
        guessFromMany(crowd, guessedAt, enough.signal),
        guessFromNetwork(network, target),
      ]);
      await delay(500);
      const right = await signInMeanwhile(target, { quiet, guessedAt });
      enough.abort();
      const [, minutes] = await guessing;
      const faults = collectFaults();
      const tried = network.count(401);
      if (tried > ATTEMPTS * (Math.ceil(minutes) + 1))
        faults.add(`${tried} guesses of one /64 were looked at in ${minutes.toFixed(1)} minutes`);
      for (const each of [crowd, network]) each.close();
      return {
        numbers: `guesses: ${crowd.summary()}; of one /64: ${network.summary()}; right passwords: ${right.numbers}`,
        faults: [
          ...faults.list(),
          ...right.faults,
          ...crowd.faults.list(),
          ...network.faults.list(),
        ],
      };
    };
  },
};

function attempt(client: Client, from: string, email: string, password: string) {
  return client.call('POST', '/auth/signin', {
    headers: { 'X-Forwarded-For': from },
    body: { email, password },
  });
}

/** At accounts that exist and at others, until told to end. */
async function guessFromMany(client: Client, guessedAt: string, enough: AbortSignal) {
  let serial = 0;
  await Promise.all(
    Array.from({ length: ADDRESSES * CONNECTIONS_EACH }, async (_, lane) => {
      const from = `198.51.100.${lane % ADDRESSES}`;
      while (!enough.aborted) {
        serial += 1;
        const email = serial % 3 === 0 ? guessedAt : `nobody-${serial % 50}@attack.example`;
        const { status } = await attempt(client, from, email, `guess ${serial}`);
        if (![401, 429, 503].includes(status)) client.faults.add(`a guess was answered ${status}`);
        await delay(PAUSE_MS);
      }
    }),
  );
}

/** @returns how many minutes it took. */
async function guessFromNetwork(client: Client, { short }: Target): Promise<number> {
  const startedAt = performance.now();
  const howMany = short ? FROM_NETWORK.short : FROM_NETWORK.full;
  await inLanes(Array.from({ length: howMany }), NETWORK_LANES, async (_, at) => {
    const from = `2001:db8:1:2::${(at + 1).toString(16)}`;
    const { status } = await attempt(client, from, `user-${at}@attack.example`, `guess ${at}`);
    if (![401, 429, 503].includes(status)) client.faults.add(`a guess was answered ${status}`);
    await delay(PAUSE_MS / 10);
  });
  return (performance.now() - startedAt) / 60_000;
}

interface Right {
  readonly quiet: readonly string[];
  readonly guessedAt: string;
}

/** Somebody new from a quiet address, and the one whose account is guessed at from where they always are. */
async function signInMeanwhile(target: Target, { quiet, guessedAt }: Right) {
  const client = createClient(target);
  const faults = collectFaults();
  const endAt = performance.now() + (target.short ? FOR_MS.short : FOR_MS.full);
  const withinMs = target.short ? WITHIN_MS.short : WITHIN_MS.full;
  const times: number[] = [];
  const signIn = async (who: string, from: string, email: string) => {
    const startedAt = performance.now();
    const { status } = await attempt(client, from, email, PASSWORD);
    const tookMs = performance.now() - startedAt;
    times.push(tookMs);
    if (status !== 200) faults.add(`${who} was answered ${status}`);
    else if (tookMs > withinMs) faults.add(`${who} got in after ${tookMs.toFixed(0)} ms`);
  };
  // Each once in 40 s and more: a right password is remembered for 30.
  for (let at = 0; performance.now() < endAt; at += 1) {
    const email = quiet[at % quiet.length] ?? '';
    await signIn('a quiet address', `203.0.113.${(at % 250) + 1}`, email);
    if (at % 10 === 0) await signIn('a known address', KNOWN_ADDRESS, guessedAt);
    await delay(1000);
  }
  client.close();
  return {
    numbers: `${client.summary()}, the slowest in ${Math.max(...times).toFixed(0)} ms`,
    faults: [...faults.list(), ...client.faults.list()],
  };
}
