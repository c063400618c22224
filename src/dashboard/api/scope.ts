/** Whose tokens a cut-off is about, as the dashboard names it: a user's, an application's, that user's in that application, or everything. */
import { z } from 'zod';
import { invalidInput } from '../../errors.js';
import { idField, userIdField } from '../../http/input.js';
import type { CutoffScope } from '../../store/cutoffs/cutoffs.js';

export const scopeFields = {
  userId: userIdField().optional(),
  applicationId: idField().optional(),
  everything: z.literal(true, { error: 'must be true, or absent.' }).optional(),
};

interface ScopeBody {
  readonly userId?: string | undefined;
  readonly applicationId?: string | undefined;
  readonly everything?: true | undefined;
}

/** @throws ServiceError 400 unless everything is meant in so many words, and only then. */
export function toScope(body: ScopeBody): Pick<CutoffScope, 'userId' | 'applicationId'> {
  const { everything, userId = null, applicationId = null } = body;
  if ((userId === null && applicationId === null) !== (everything === true)) {
    throw invalidInput(
      'everything',
      'must be true when neither userId nor applicationId is given, and only then.',
    );
  }
  return { userId, applicationId };
}
