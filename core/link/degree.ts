/** Of eight places two go to the nearest, three to anybody, three to whom is unlike the others. */
const PLACES = 8;
const NEAR_PLACES = 2;
const RANDOM_PLACES = 3;

export interface Candidate {
  readonly rttUs: number;
  /** Links of one crowd come from one machine or network, as far as the shell can tell. */
  readonly crowd: number;
}

/**
 * Which of the stubs takes a place that has become free; undefined when there is none. Who has a place keeps it: that is the
 * hysteresis, and whoever came early cannot be pushed out by those who come in crowds.
 *
 * @param turn    how many places were given away before
 * @param random  a u32
 */
export function nextFull<Peer extends Candidate>(
  stubs: readonly Peer[],
  full: readonly Candidate[],
  turn: number,
  random: number,
): Peer | undefined {
  const place = turn % PLACES;
  if (place >= NEAR_PLACES && place < NEAR_PLACES + RANDOM_PLACES) return stubs[random % Math.max(1, stubs.length)];
  const likes = (crowd: number) => full.filter((one) => one.crowd === crowd).length;
  const isBetter =
    place < NEAR_PLACES
      ? (one: Peer, other: Peer) => one.rttUs < other.rttUs
      : (one: Peer, other: Peer) => {
          const [mine, theirs] = [likes(one.crowd), likes(other.crowd)];
          return mine === theirs ? one.rttUs < other.rttUs : mine < theirs;
        };
  let best: Peer | undefined;
  for (const stub of stubs) if (best === undefined || isBetter(stub, best)) best = stub;
  return best;
}
