/** Where in virtual time a shard is, seen by all its parts. */
export interface Moment {
  nowUs: number;
  /** Of the window, or of the part of it before a fault of the network. */
  endUs: number;
  /** The island that runs; -1 between islands. */
  island: number;
}

/** The total order of events at one time: kind, source node, source sequence, packed below 2^53. Actions come first. */
export const KIND = 2 ** 50;
export const SOURCE = 2 ** 34;
export const DATAGRAM = 1;
export const TIMER = 2;
