/** The collection `activity`: how many tokens were issued, revoked and refused, one small document for each hour. */
import { type Model, Schema } from 'mongoose';
import type { StoreContext } from './database/context.js';
import { DuplicateKeyError } from './database/failures.js';
import { schemaOptions } from './database/schema-options.js';
import type { WriteConcern } from './database/write-concern.js';

export interface Counts {
  readonly issued: number;
  readonly revoked: number;
  readonly refused: number;
}

export interface HourOfActivity extends Counts {
  /** When the hour began. */
  readonly at: Date;
}

export interface ActivityStore {
  /** Adds to an hour's counts. @throws ServiceError 503; repeating it then may count twice. */
  add(hour: HourOfActivity): Promise<void>;
  /** Oldest first; hours in which nothing happened are missing. */
  since(from: Date): Promise<HourOfActivity[]>;
}

type ActivityDocument = Counts & { readonly _id: Date };

const ID_INDEX = { _id: 1 } as const;

function activitySchema(writeConcern: WriteConcern) {
  const count = { type: Number, default: 0 };
  return new Schema(
    { _id: { type: Date, required: true }, issued: count, revoked: count, refused: count },
    schemaOptions('activity', writeConcern),
  );
}

export function createActivityStore({
  connection,
  writeConcern,
  run,
}: StoreContext): ActivityStore {
  const model = connection.model(
    'Activity',
    activitySchema(writeConcern),
  ) as unknown as Model<ActivityDocument>;

  const increment = ({ at, issued, revoked, refused }: HourOfActivity) =>
    run(() =>
      model.updateOne(
        { _id: at },
        { $inc: { issued, revoked, refused } },
        { upsert: true, writeConcern },
      ),
    );

  return {
    async add(hour) {
      try {
        await increment(hour);
      } catch (error) {
        // Another instance wrote the hour's first count at the same moment: now it is there.
        if (!(error instanceof DuplicateKeyError)) throw error;
        await increment(hour);
      }
    },

    async since(from) {
      const found = await run(() =>
        model
          .find({ _id: { $gte: from } })
          .sort(ID_INDEX)
          .hint(ID_INDEX)
          .lean(),
      );
      return found.map(({ _id, issued, revoked, refused }) => ({
        at: _id,
        issued,
        revoked,
        refused,
      }));
    },
  };
}
