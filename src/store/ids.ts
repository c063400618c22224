/**
 * The one form in which ids are kept and compared, and whose a token is: users' ids stand for
 * themselves, those of every other kind of holder are behind the name of their kind.
 */

/** Kinds of holders that Tiledesk names in `sub`, each with ids of its own, which its creators may choose. */
const FOREIGN_KINDS: ReadonlySet<string> = new Set([
  'userexternal',
  'useranonymous',
  'guest',
  'bot',
  'subscription',
]);
export const USER = 'user';
/** Any other `sub` that isn't the id itself: each is a name space of its own, `other:<sub>:<id>`. */
const OTHER = 'other';

const SHAPE = /^(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{24})$/i;
const UUID_LENGTH = 36;
const OBJECT_ID_LENGTH = 24;
const UUID_MASK = '00000000-0000-0000-0000-000000000000';

/** UUIDs and ObjectIds in lower case, alone or behind a colon (`guest:<id>`); any other id is as it is. */
export function canonicalId(id: string): string {
  const start = id.lastIndexOf(':') + 1;
  const length = id.length - start;
  if (length !== UUID_LENGTH && length !== OBJECT_ID_LENGTH) return id;
  const last = start === 0 ? id : id.slice(start);
  return SHAPE.test(last) ? id.slice(0, start) + last.toLowerCase() : id;
}

/** The beginning of a UUID or an ObjectId in lower case; any other text is as it is. */
export function canonicalBeginning(text: string): string {
  if (/^[0-9a-f]{1,24}$/i.test(text)) return text.toLowerCase();
  if (text.length > UUID_LENGTH) return text;
  for (let i = 0; i < text.length; i += 1) {
    const allowed = UUID_MASK[i] === '-' ? /-/ : /[0-9a-f]/i;
    if (!allowed.test(text[i] ?? '')) return text;
  }
  return text.toLowerCase();
}

/** Whether `sub` says only of what kind the holder is: it identifies nobody. */
export function isKind(subject: string): boolean {
  return subject === USER || FOREIGN_KINDS.has(subject);
}

/**
 * Whose a token with this id and this `sub` is. No two kinds share a holder: a user's id that looks
 * like another kind's is behind `user:`. Longer than the id by what `sub` takes.
 */
export function holderOf(id: string, subject: string | null): string {
  return canonicalId(prefixOf(id, subject) + id);
}

/**
 * The same for a record, whose holder may be given in either form; without a `sub` nothing says that
 * it isn't this form already.
 */
export function holderOfRecord(userId: string, subject: string | null): string {
  const given = canonicalId(userId);
  if (subject === null || holderOf(bareIdOf(userId), subject) === given) return given;
  return holderOf(userId, subject);
}

/** `user`, one of Tiledesk's other kinds, or `other`. */
export function subjectTypeOf(holder: string): string {
  const type = holder.slice(0, Math.max(0, holder.indexOf(':')));
  return isReserved(type) ? type : USER;
}

/** Whether this may be an id of `users`: nobody else is ever looked up there. */
export function isUser(holder: string): boolean {
  return subjectTypeOf(holder) === USER;
}

/** The id as the token's signer knows it, without the name of its kind. */
export function bareIdOf(holder: string): string {
  const colon = holder.indexOf(':');
  const type = holder.slice(0, Math.max(0, colon));
  if (!isReserved(type)) return holder;
  return holder.slice((type === OTHER ? holder.indexOf(':', colon + 1) : colon) + 1);
}

/** All of Tiledesk's holders, of whatever kind, who have this id. */
export function holdersWith(id: string): string[] {
  return [id, ...[...FOREIGN_KINDS].map((kind) => `${kind}:${id}`)];
}

function prefixOf(id: string, subject: string | null): string {
  if (subject !== null && FOREIGN_KINDS.has(subject)) return `${subject}:`;
  const isUsers = subject === null || subject === USER || canonicalId(subject) === canonicalId(id);
  // Its end must be plain to see: the next colon.
  if (!isUsers) return `${OTHER}:${subject.replaceAll('%', '%25').replaceAll(':', '%3A')}:`;
  // In any case of letters: whoever reads these may not look at it.
  return isReserved(id.slice(0, Math.max(0, id.indexOf(':'))).toLowerCase()) ? `${USER}:` : '';
}

function isReserved(type: string): boolean {
  return isKind(type) || type === OTHER;
}
