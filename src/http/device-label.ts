/** A user agent in a few words: "Chrome 156 · macOS", else its first product ("curl 8.5.0"). */
import { parse } from 'bowser';
import { createRecent } from '../recent.js';

/** The same few hundred user agents come again and again, and parsing one takes tens of microseconds. */
const labels = createRecent<string>(2000);

export function deviceLabel(userAgent: string | null): string | null {
  if (userAgent === null || userAgent === '') return null;
  let label = labels.get(userAgent);
  if (label === undefined) labels.set(userAgent, (label = describe(userAgent)));
  return label;
}

function describe(userAgent: string): string {
  const { browser, os } = parse(userAgent);
  if (browser.name && os.name) {
    const major = browser.version?.split('.')[0];
    return `${browser.name}${major ? ` ${major}` : ''} · ${os.name}`;
  }
  // RFC 9110 section 10.1.5: the products come in the order of their weight.
  const [product = '', version] = (userAgent.split(/[\s(]/)[0] ?? '').split('/');
  return [product, version].filter(Boolean).join(' ').slice(0, 60) || userAgent.slice(0, 60);
}
