/** What the dashboard's bulk revokes and cut-offs take: a selection of tokens, a scope, and what is allowed in each. */
import { z } from 'zod';
import { dateField, pastDateField } from '../../http/input.js';
import { isRecordId } from '../../store/records.js';
import { withReason } from './reason.js';
import { scopeFields } from './scope.js';
import { filterBody } from './tokens-input.js';

/** Beyond it one is better off with a cut-off, which is one write whatever it covers. */
export const MAX_BULK = 10_000;
const MAX_IDS = 1000;
const IDS = `must be 1 to ${MAX_IDS} record ids.`;
export const selection = z.union(
  [
    z.strictObject({
      ids: z
        .array(z.string().refine(isRecordId, { error: 'must be a record id.' }), { error: IDS })
        .min(1, { error: IDS })
        .max(MAX_IDS, { error: IDS }),
    }),
    z.strictObject({ filter: filterBody }),
  ],
  {
    error: `must be {"ids": [1 to ${MAX_IDS} record ids]} or {"filter": {…}} as the list takes it.`,
  },
);
export type SelectionInput = z.output<typeof selection>;

const EXPECTED = `must be the count of the preview, at most ${MAX_BULK}.`;
/** @param now ms since the epoch */
export const bulkBody = (now: number) =>
  withReason({
    selection,
    expectedCount: z
      .int({ error: EXPECTED })
      .min(0, { error: EXPECTED })
      .max(MAX_BULK, { error: EXPECTED }),
    asOf: pastDateField(now),
  });

export const cutoffBody = withReason({
  ...scopeFields,
  before: dateField().optional(),
});
