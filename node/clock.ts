/** The daemon's time: a monotonic clock for the protocol, and the wall clock that only the start of an epoch reads. */
export interface Clock {
  /** Microseconds, monotonic, an integer. Zero is the start of the process. */
  nowUs(): number;
  /** Whole seconds since 1970-01-01 UTC; may jump. */
  wallSeconds(): number;
}

export const systemClock: Clock = {
  nowUs: () => Math.floor(performance.now() * 1000),
  wallSeconds: () => Math.floor(Date.now() / 1000),
};
