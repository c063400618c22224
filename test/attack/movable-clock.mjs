/** Loaded into the attacked service before anything else: each SIGWINCH moves its clock on, as nobody can wait for days. */
const STEP_MS = Number(process.env.ATTACK_CLOCK_STEP_MS);
const now = Date.now;
let ahead = Number(process.env.ATTACK_CLOCK_AHEAD_MS ?? 0);
Date.now = () => now() + ahead;
process.on('SIGWINCH', () => {
  ahead += STEP_MS;
});
