/** The one list of the attacks. */
import type { Attack } from './attack.js';
import { exports } from './exports.js';
import { hostile } from './hostile-bodies.js';
import { lateBodies } from './late-bodies.js';
import { signIns } from './sign-ins.js';
import { streams } from './streams.js';
import { tokens, tokensRs256 } from './tokens.js';

export const ATTACKS: Readonly<Record<string, Attack>> = {
  hostile,
  'late-bodies': lateBodies,
  'sign-in': signIns,
  exports,
  streams,
  tokens,
  'tokens-rs256': tokensRs256,
};
