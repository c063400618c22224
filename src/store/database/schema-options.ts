/** What the schemas of all collections have in common. */
import type { WriteConcern } from './write-concern.js';

/** Unknown fields are refused in documents and in filters; indexes are built at the start (`indexes.ts`). */
export function schemaOptions(collection: string, writeConcern: WriteConcern) {
  return {
    collection,
    writeConcern,
    strict: 'throw',
    strictQuery: 'throw',
    autoIndex: false,
    autoCreate: false,
    versionKey: false,
  } as const;
}
