/** The time, as something that can be handed in: everything that asks for "now" takes a Clock, so that tests can move it. */

/** Milliseconds since the epoch. */
export type Clock = () => number;

/** As far as the clocks of instances, and of others who sign tokens, may be ahead of ours: 5 minutes. */
export const MAX_AHEAD_MS = 300_000;

export const systemClock: Clock = () => Date.now();
