/** The one list of the attacks. */
import type { Attack } from './attack.js';
import { cookies } from './cookies.js';
import { exports } from './exports.js';
import { hostile } from './hostile-bodies.js';
import { lateBodies } from './late-bodies.js';
import { minting } from './minting.js';
import { signIns } from './sign-ins.js';
import { slow } from './slow.js';
import { streams } from './streams.js';
import { times } from './times.js';
import { tokens, tokensRs256 } from './tokens.js';

export const ATTACKS: Readonly<Record<string, Attack>> = {
  hostile,
  'late-bodies': lateBodies,
  'sign-in': signIns,
  exports,
  streams,
  minting,
  slow,
  time: times,
  cookies,
  tokens,
  'tokens-rs256': tokensRs256,
};
