/** Why something is revoked, as the dashboard asks for it: one of a few reasons, and a note. */
import { z } from 'zod';
import { choiceField, noteField } from '../../http/input.js';

export const reasonFields = {
  reason: choiceField(['compromised', 'requested', 'rotated', 'left', 'other']),
  note: noteField(200).optional(),
};

const needsNote = {
  path: ['note'],
  error: 'must say why, in 1 to 200 characters, when the reason is "other".',
};

/** Refuses "other" without a note. */
export function withReason<T extends z.ZodRawShape>(fields: T) {
  return z.strictObject({ ...fields, ...reasonFields }).refine((body) => {
    const { reason, note } = body as unknown as z.output<z.ZodObject<typeof reasonFields>>;
    return reason !== 'other' || note !== undefined;
  }, needsNote);
}

export const revokeBody = withReason({});

/** As it is kept with the revocation. */
export function toReason(body: {
  readonly reason: string;
  readonly note?: string | undefined;
}): string {
  return body.note === undefined ? body.reason : `${body.reason}: ${body.note}`;
}
