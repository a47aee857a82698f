/**
 * Time in the core is an argument: `nowUs`, microseconds on a monotonic clock, an integer in a JS number (2^53 us are
 * 285 years). A duration carries its unit at the end of its name. A deadline of NEVER means that nothing is due.
 */

export const MILLISECOND_US = 1_000;
export const SECOND_US = 1_000_000;

export const NEVER = Number.MAX_SAFE_INTEGER;
