/** The updates that move a cut-off, each in one write, as pipelines of the database. */
import type { Types } from 'mongoose';

type Values = Readonly<Record<string, unknown>>;
type Pipeline = { $set: Record<string, unknown> }[];

/**
 * Forward, or not at all.
 * @param more.latest (ms) what was asked for beyond it isn't remembered as asked for.
 */
export function raisedTo(
  at: Date,
  more: { readonly scope: Values; readonly cause: Values; readonly latest: number },
): Pipeline {
  return [
    {
      $set: {
        ...literals(more.scope),
        // One that moves nothing has revoked nothing: who did stays as it was.
        ...ifMoved(at, more.cause),
        markedUntil: { $ifNull: ['$markedUntil', null] },
        at: { $max: ['$at', at] },
        // By the database's clock: the instances' may differ, and they read by this.
        recordedAt: '$$NOW',
        askedAt: asked(at, more.latest),
      },
    },
  ];
}

/** Back, or to what was asked for meanwhile, unless that is later than `beyond`, too. */
export function loweredTo(
  at: Date,
  { beyond, loweredBy }: { readonly beyond: Date; readonly loweredBy: Types.ObjectId },
): Pipeline {
  return [
    {
      $set: {
        loweredFrom: { $max: ['$loweredFrom', '$at'] },
        loweredBy,
        recordedAt: '$$NOW',
        // What is raised later is to be marked again; null stays null.
        markedUntil: { $cond: [{ $gt: ['$markedUntil', at] }, at, '$markedUntil'] },
        at: { $max: [at, { $cond: [{ $gt: ['$askedAt', beyond] }, at, '$askedAt'] }] },
      },
    },
  ];
}

function literals(values: Values): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, { $literal: value }]),
  );
}

function ifMoved(at: Date, values: Values): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      // A new document has no `at`, which comes before every date.
      { $cond: [{ $gt: [at, '$at'] }, { $literal: value }, `$${name}`] },
    ]),
  );
}

/** The later of the two, of those that aren't beyond `latest` (ms). */
function asked(at: Date, latest: number): unknown {
  const before = { $cond: [{ $gt: ['$askedAt', new Date(latest)] }, null, '$askedAt'] };
  return at.getTime() > latest ? before : { $max: [before, at] };
}
