/** Who counts as one when sign-ins are counted: an IPv4 address, or an IPv6 network. */
import { isIPv4, isIPv6 } from 'node:net';

/** Where IPv4 is written inside IPv6: mapped (RFC 4291), and translated by the well-known prefix (RFC 6052). */
const HOLDS_IPV4 = [
  [0, 0, 0, 0, 0, 0xffff],
  [0x64, 0xff9b, 0, 0, 0, 0],
];

export interface AddressKeys {
  /** The IPv4 address, or the /64: whoever has one address of it mostly has them all. */
  readonly client: string;
  /** The IPv6 /48, which one customer may have; null for IPv4. */
  readonly site: string | null;
}

/** The keys under which `address` is counted. IPv4 inside IPv6 is IPv4; what is no address stays as it is. */
export function addressKeys(address: string): AddressKeys {
  const [bare = ''] = address.split('%');
  if (!isIPv6(bare)) return { client: address, site: null };
  const groups = groupsOf(bare);
  if (HOLDS_IPV4.some((prefix) => prefix.every((group, i) => groups[i] === group))) {
    const bytes = groups.slice(6).flatMap((group) => [group >> 8, group & 0xff]);
    return { client: bytes.join('.'), site: null };
  }
  const network = groups.slice(0, 4).map((group) => group.toString(16));
  return {
    client: `${network.join(':')}::/64`,
    site: `${network.slice(0, 3).join(':')}::/48`,
  };
}

/** The eight groups of a valid IPv6 address. */
function groupsOf(address: string): number[] {
  const [head = '', tail] = address.split('::');
  const before = numbersOf(head);
  if (tail === undefined) return before;
  const after = numbersOf(tail);
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return [...before, ...zeros, ...after];
}

function numbersOf(part: string): number[] {
  if (part === '') return [];
  return part.split(':').flatMap((group) => {
    if (!isIPv4(group)) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}
