import { Digest } from "../../core/collections/digest.js";
import { NEVER, SECOND_US } from "../../core/time/instant.js";

/**
 * Where the clock of an explored world begins: 4 x 10^9 s. No other number that a small network's state holds is anywhere near it,
 * neither in microseconds nor in whole seconds, which still fit 32 bits; so a moment is known by its size.
 */
export const BEGIN_US = 4e9 * SECOND_US;
/** No path lasts longer: a number within it is a moment, in microseconds or in seconds. */
const SPAN_US = 100_000 * SECOND_US;

/**
 * A digest in which moments are how far off they are: two states that differ only by when they are have the same. A deadline that
 * has come is like any other that has. Of RateLimit and its like this is exact: an allowance that is whole has always been.
 */
export class RelativeDigest extends Digest {
  private readonly nowUs: number;

  constructor(nowUs: number) {
    super();
    this.nowUs = nowUs;
  }

  override number(value: number): this {
    if (value >= BEGIN_US - SPAN_US && value < NEVER) return this.span(Math.max(0, value - this.nowUs));
    const asUs = value * SECOND_US;
    if (asUs >= BEGIN_US - SPAN_US && asUs <= BEGIN_US + SPAN_US) return this.span(asUs - this.nowUs);
    return super.number(value);
  }

  /** A moment of the past that counts for `windowUs`: how long ago it was, and the same for all that are longer ago. */
  ago(momentUs: number, windowUs: number): this {
    return this.span(Math.min(windowUs, this.nowUs - momentUs));
  }

  /** A length of time, negative or not. */
  span(us: number): this {
    return super.number(us < 0 ? SIGN - us : us);
  }
}

/** Sets lengths of time below zero apart from all others. */
const SIGN = 2 ** 50;
