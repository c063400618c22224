/**
 * Users' ids as FusionAuth's typed clients can read them: a UUID for each ObjectId, one-to-one.
 *
 * `xxxxxxxx-xxxx-80b1-8ec7-xxxxxxxxxxxx`: a UUID of version 8 (RFC 9562 section 5.8, for layouts of
 * one's own) whose x are the 24 hexadecimal digits of the ObjectId. The marker between them tells it
 * from every UUID of versions 1 to 7, and from one of version 8 that somebody else made, but for one
 * in 2^26 at random. Any other id, of whatever shape, is shown and taken as it is.
 */

const OBJECT_ID = /^[0-9a-f]{24}$/i;
const MARKER = '80b1-8ec7';
const MARKED = /^[0-9a-f]{8}-[0-9a-f]{4}-80b1-8ec7-[0-9a-f]{12}$/i;

/** The id as `/api/*` shows it. In lower case where it is made from an ObjectId. */
export function toFusionAuthId(id: string): string {
  if (!OBJECT_ID.test(id)) return id;
  const digits = id.toLowerCase();
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${MARKER}-${digits.slice(12)}`;
}

/** The id of a user as a caller gave it, at whichever door, in the form in which it is stored; both forms are taken. */
export function fromFusionAuthId(id: string): string {
  if (!MARKED.test(id)) return id;
  return (id.slice(0, 8) + id.slice(9, 13) + id.slice(24)).toLowerCase();
}
