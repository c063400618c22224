/** `GET /admin/summary`: the numbers on the dashboard's cards, each the count of a filter that the list takes too. */
import type { RequestHandler } from 'express';
import { z } from 'zod';
import { type Caller, callerOf } from '../../auth/authenticate.js';
import type { Clock } from '../../clock.js';
import { dateField, parseQuery } from '../../http/input.js';
import { methodNotAllowed } from '../../http/problem.js';
import { createRouter } from '../../http/router.js';
import type { Count } from '../../store/tokens/query/filter.js';
import type { TokenSearches } from '../../store/tokens/query/search.js';
import type { UserStore } from '../../store/users/users.js';
import { CARD_FILTERS, type CardCount, type CardMoment } from '../cards.js';
import { filterBody, toTokenSearch } from './tokens-input.js';

interface Dependencies {
  readonly authenticate: RequestHandler;
  readonly tokens: Pick<TokenSearches, 'countMatching'>;
  readonly users: UserStore;
  /** What was revoked just now says so in its record, so that it is counted as revoked. */
  readonly settled: () => Promise<void>;
  readonly clock: Clock;
}

export type Summary = Readonly<Record<CardCount, Count>>;

const DAY_MS = 86_400_000;

const summaryQuery = z.strictObject({
  /** When today began where the viewer is. */
  today: dateField().optional(),
});

export function createAdminSummaryRouter(deps: Dependencies) {
  const { authenticate, tokens, users, settled, clock } = deps;
  const router = createRouter();

  router.get('/admin/summary', authenticate, async (req, res) => {
    const { today } = parseQuery(req, summaryQuery);
    const caller = await callerOf(req, users);
    await settled();
    const now = clock();
    const moment = { now, today: today?.getTime() ?? now - (now % DAY_MS) };
    res.set('Cache-Control', 'no-store').json(await summarize(caller, moment));
  });
  router.all('/admin/summary', methodNotAllowed('GET', 'HEAD'));
  return router;

  async function summarize(caller: Caller, moment: CardMoment): Promise<Summary> {
    const counted = Object.entries(CARD_FILTERS).map(async ([name, filterOf]) => {
      const filter = await toTokenSearch(filterBody.parse(filterOf(moment)), caller, users);
      return [name, await tokens.countMatching(filter)] as const;
    });
    return Object.fromEntries(await Promise.all(counted)) as Summary;
  }
}
