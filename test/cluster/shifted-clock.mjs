/** Loaded into a service before anything else: its wall clock is off by CLUSTER_CLOCK_AHEAD_MS, its monotonic one is not. */
const ahead = Number(process.env.CLUSTER_CLOCK_AHEAD_MS ?? 0);
const RealDate = Date;
globalThis.Date = class Date extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + ahead);
    else super(...given);
  }
  static now() {
    return RealDate.now() + ahead;
  }
};
