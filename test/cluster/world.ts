/** What every client of a run works with, and the two things that all of them do: ask an instance, and check a token. */
import type { Random } from '../attack/random.js';
import type { Check, HistoryLog } from './history.js';
import { type Answer, type Asked, type HttpClient, isOk } from './http.js';
import type { Instance } from './instance.js';
import type { Pool, Token } from './pool.js';

export interface Account {
  readonly id: string;
  readonly email: string;
}

export interface World {
  readonly instances: readonly Instance[];
  readonly history: HistoryLog;
  readonly pool: Pool;
  readonly random: Random;
  /** `JWT …` of the administrator. */
  readonly admin: string;
  readonly password: string;
  /** One that nobody has used yet. @throws when there is none left. */
  nextAccount(): Account;
  /** One that was not signed in to. */
  giveBack(account: Account): void;
  /** How often what was answered how; for whoever reads the result. */
  readonly answers: Map<string, number>;
  readonly http: HttpClient;
}

/** Any that is up, mostly. */
export function pickInstance({ instances, random }: World): Instance {
  const up = instances.filter((instance) => instance.isUp());
  return random.pick(up.length > 0 && random.below(20) > 0 ? up : instances);
}

/** @param what for the count of answers. */
export async function ask(
  { http, answers }: World,
  instance: Instance,
  what: string,
  asked: Asked,
): Promise<Answer> {
  const answer = await http.ask(instance.port, asked);
  const key = `${what} ${answer.status === 0 ? 'no answer' : answer.status}`;
  answers.set(key, (answers.get(key) ?? 0) + 1);
  return answer;
}

/** Asks whether the token is good, by one of the two ways, and notes it. */
export async function checkToken(world: World, instance: Instance, token: Token): Promise<void> {
  const path = world.random.below(5) === 0 ? '/api/jwt/validate' : '/auth/verify';
  const authorization = `Bearer ${token.text}`;
  const answer = await ask(world, instance, 'check', { path, authorization });
  noteCheck(world, instance, { token: token.name, how: path }, answer, 401);
}

/** @param refusal the status that says that the token is no longer good. */
export function noteCheck(
  { history }: World,
  { index }: Instance,
  asked: Pick<Check, 'token' | 'how'>,
  answer: Answer,
  refusal: number,
): void {
  const { start, end, status } = answer;
  const outcome: Check['outcome'] = isOk(answer)
    ? 'accepted'
    : status === refusal
      ? 'refused'
      : 'unknown';
  history.checks.push({ ...asked, instance: index, start, end, outcome });
}
