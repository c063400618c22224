/** The one list of the attacks. */
import type { Attack } from './attack.js';
import { tokens, tokensRs256 } from './tokens.js';

export const ATTACKS: Readonly<Record<string, Attack>> = {
  tokens,
  'tokens-rs256': tokensRs256,
};
