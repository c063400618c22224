/** Whether JSON names a key twice in one object: readers differ in which of the two counts (RFC 7519 section 4), so none does here. */

/** @param json well-formed; in linear time. */
export function hasRepeatedKeys(json: string): boolean {
  /** The names so far of each object that is open; null = an array. */
  const open: (Set<string> | null)[] = [];
  let isKeyNext = false;
  for (let at = 0; at < json.length; at += 1) {
    switch (json[at]) {
      case '{':
        open.push(new Set());
        isKeyNext = true;
        break;
      case '[':
        open.push(null);
        isKeyNext = false;
        break;
      case '}':
      case ']':
        open.pop();
        isKeyNext = false;
        break;
      case ',':
        isKeyNext = open.at(-1) instanceof Set;
        break;
      case '"': {
        const end = endOfText(json, at);
        if (isKeyNext) {
          const names = open.at(-1);
          const name = textOf(json, at, end);
          if (names?.has(name) === true) return true;
          names?.add(name);
          isKeyNext = false;
        }
        at = end;
        break;
      }
      case undefined:
      default:
    }
  }
  return false;
}

/** Where the quote is that ends the text which begins at `start`. */
function endOfText(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at;
}

function textOf(json: string, start: number, end: number): string {
  const text = json.slice(start + 1, end);
  // Escapes spell the same name in many ways.
  return text.includes('\\') ? (JSON.parse(`"${text}"`) as string) : text;
}
