/** The one list of the attacks. */
import type { Attack } from './attack.js';
import { hostile } from './hostile-bodies.js';
import { lateBodies } from './late-bodies.js';
import { tokens, tokensRs256 } from './tokens.js';

export const ATTACKS: Readonly<Record<string, Attack>> = {
  hostile,
  'late-bodies': lateBodies,
  tokens,
  'tokens-rs256': tokensRs256,
};
