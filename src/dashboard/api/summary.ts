/** `GET /admin/summary`: the numbers on the dashboard's cards, each the count of a filter that the list takes too. */
import type { RequestHandler } from 'express';
import { z } from 'zod';
import { callerOf } from '../../auth/authenticate.js';
import type { Clock } from '../../clock.js';
import { dateField, parseQuery } from '../../http/input.js';
import { methodNotAllowed } from '../../http/problem.js';
import { createRouter } from '../../http/router.js';
import type { TokenSearch } from '../../store/tokens/query/search.js';
import type { TokenStore } from '../../store/tokens/tokens.js';
import type { UserStore } from '../../store/users/users.js';

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly tokens: Pick<TokenStore, 'countMatching'>;
  readonly users: UserStore;
  /** What was revoked just now says so in its record, so that it is counted as revoked. */
  readonly settled: () => Promise<void>;
  readonly clock: Clock;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const IDLE_MS = 30 * DAY_MS;

export function createAdminSummaryRouter({
  authenticate,
  tokens,
  users,
  settled,
  clock,
}: Dependencies) {
  const summaryQuery = z.strictObject({
    /** When today began where the viewer is. */
    today: dateField().optional(),
  });
  const router = createRouter();

  router.get('/admin/summary', authenticate, async (req, res) => {
    const { today } = parseQuery(req, summaryQuery);
    const caller = await callerOf(req, users);
    await settled();
    const now = clock();
    const startOfDay = today ?? new Date(now - (now % DAY_MS));
    const count: CountMatching = (filter) =>
      tokens.countMatching({
        userIds: caller.isAdministrator ? null : [caller.userId],
        ...filter,
      });
    res.set('Cache-Control', 'no-store').json(await summarize(count, now, startOfDay));
  });
  router.all('/admin/summary', methodNotAllowed('GET', 'HEAD'));
  return router;
}

type CountMatching = (
  filter: Omit<TokenSearch, 'userIds'>,
) => ReturnType<TokenStore['countMatching']>;

/** @param now ms since the epoch. @throws ServiceError 503 */
export async function summarize(count: CountMatching, now: number, startOfDay: Date) {
  const ago = (ms: number) => new Date(now - ms);
  const [active, expiringSoon, idle, neverExpires, revokedToday, refusedLastHour] =
    await Promise.all([
      count({ state: 'active' }),
      count({ state: 'active', expires: { from: new Date(now), to: new Date(now + DAY_MS) } }),
      count({ state: 'active', idleSince: ago(IDLE_MS) }),
      count({ state: 'active', neverExpires: true }),
      count({ revoked: { from: startOfDay } }),
      count({ refused: { from: ago(HOUR_MS) } }),
    ]);
  return { active, expiringSoon, idle, neverExpires, revokedToday, refusedLastHour };
}
