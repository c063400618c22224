/** The time, as something that can be handed in: everything that asks for "now" takes a Clock, so that tests can move it. */

/** Milliseconds since the epoch. */
export type Clock = () => number;

export const systemClock: Clock = () => Date.now();
