/**
 * A stream of chance with a name. Every purpose has its own (`root/kind/id`), so that drawing more for one changes nothing for another.
 * Alea (Baagøe 2010) from seedrandom: additions and multiplications of doubles, the same on any machine.
 */
import alea from "seedrandom/lib/alea.js";

export class Stream {
  readonly #next: () => number;

  /** `root` is the seed of the run; `kind` and `id` name the purpose. */
  constructor(root: string, kind: string, id: string | number = "") {
    this.#next = alea(`${root}/${kind}/${id}`);
  }

  /** Uniform in [0, 1), a multiple of 2^-32. */
  unit(): number {
    return this.#next();
  }

  /** A whole number in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.#next() * bound);
  }

  /** A whole number in [least, most]. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  hits(ppm: number): boolean {
    return this.#next() * 1_000_000 < ppm;
  }

  /** `count` of them in random order; all when there are not so many. */
  sample<T>(items: readonly T[], count: number): T[] {
    const rest = [...items];
    const picked = Math.min(count, rest.length);
    for (let i = 0; i < picked; i += 1) {
      const j = i + this.below(rest.length - i);
      [rest[i], rest[j]] = [rest[j]!, rest[i]!];
    }
    rest.length = picked;
    return rest;
  }

  /** Place of one of the weights, in proportion to them; -1 when all are zero. */
  weighted(weights: readonly number[]): number {
    let left = this.below(weights.reduce((sum, weight) => sum + weight, 0));
    return weights.findIndex((weight) => {
      left -= weight;
      return left < 0;
    });
  }
}
