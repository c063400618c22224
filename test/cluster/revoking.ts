/** Clients that take back, by every door and of every scope; what was acknowledged is asked for at once, everywhere. */
import type { Answer, Asked } from './http.js';
import { isOk } from './http.js';
import type { Instance } from './instance.js';
import { exchange } from './minting.js';
import type { Token } from './pool.js';
import { REVOKES } from './revokes.js';
import { ask, checkToken, noteCheck, type World } from './world.js';

/** What is to be taken back, and how it is asked for. */
export interface Planned {
  readonly scopes: readonly string[];
  readonly asked: Asked;
  /** Whose right is used: the answer is a check of it too. */
  readonly by?: Token;
  /** Where 2xx says too little. */
  readonly isDone?: (answer: Answer) => boolean;
  /** Who is no longer of use to anybody afterwards. */
  readonly leaves?: { readonly userId?: string; readonly applicationId?: string };
}

export interface RevokeKind {
  /** How often, among all. */
  readonly weight: number;
  /** It takes one token or session back: these are what the times of acknowledgements are about. */
  readonly isSingle: boolean;
  /** null = there is nothing for it at the moment. */
  plan(world: World, instance: Instance): Promise<Planned | null> | Planned | null;
}

/** Of those that were taken back together. */
const ASKED_AT_ONCE = 3;

/** One step of a client. */
export async function revokeSomething(world: World, instance: Instance): Promise<void> {
  const how = pickKind(world);
  const planned = await REVOKES[how]?.plan(world, instance);
  if (planned) await carryOut(world, instance, how, planned);
}

async function carryOut(
  world: World,
  instance: Instance,
  how: string,
  { scopes, asked, by, isDone = isOk, leaves }: Planned,
): Promise<void> {
  const { pool, history } = world;
  if (leaves !== undefined) leave(world, leaves);
  const taken = scopes.flatMap((scope) => pool.take(scope));
  const answer = await ask(world, instance, how, asked);
  const { start, end, propagation } = answer;
  if (by !== undefined) noteCheck(world, instance, { token: by.name, how }, answer, 401);
  const outcome = isDone(answer) ? 'acknowledged' : 'unknown';
  for (const scope of scopes)
    history.revokes.push({
      scope,
      how,
      instance: instance.index,
      start,
      end,
      outcome,
      propagation,
    });
  // Nobody waits for these: whatever comes of them is in the history.
  if (outcome === 'acknowledged') void askEverywhere(world, taken);
}

/** At this moment an instance that is behind accepts them. */
export async function askEverywhere(
  world: World,
  taken: readonly Token[],
  instances = world.instances.filter((each) => each.isUp()),
): Promise<void> {
  const access = taken.filter(({ text }) => text !== '').slice(-ASKED_AT_ONCE);
  const refresh = taken.find(({ kind }) => kind === 'refresh');
  await Promise.all([
    ...instances.flatMap((each) => access.map((token) => checkToken(world, each, token))),
    ...(refresh === undefined ? [] : [exchange(world, refresh)]),
  ]);
}

function leave({ pool }: World, { userId, applicationId }: NonNullable<Planned['leaves']>): void {
  const at = pool.members.findIndex(({ id }) => id === userId);
  if (at >= 0) pool.members.splice(at, 1);
  const old = pool.applications.indexOf(applicationId ?? '');
  if (old >= 0) pool.applications[old] = crypto.randomUUID();
}

function pickKind({ random }: World): string {
  const kinds = Object.entries(REVOKES);
  let left = random.below(kinds.reduce((sum, [, { weight }]) => sum + weight, 0));
  for (const [name, { weight }] of kinds) {
    left -= weight;
    if (left < 0) return name;
  }
  throw new Error('no kind of revoke was picked');
}
