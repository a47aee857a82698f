import seedrandom from "seedrandom";

/** A repeatable stream of random choices: the same label gives the same choices on every machine. */
export interface Random {
  /** Uniform u32. */
  u32(): number;
  /** Uniform integer in 0 .. limit - 1. */
  below(limit: number): number;
  /** Uniform integer in from .. to, both included. */
  between(from: number, to: number): number;
  chance(probability: number): boolean;
  pick<Item>(items: readonly Item[]): Item;
  bytes(count: number): Uint8Array;
}

export function randomFrom(label: string): Random {
  const stream = seedrandom.alea(label);
  const below = (limit: number) => Math.floor(stream() * limit);
  return {
    u32: () => stream.int32() >>> 0,
    below,
    between: (from, to) => from + below(to - from + 1),
    chance: (probability) => stream() < probability,
    pick: (items) => items[below(items.length)]!,
    bytes: (count) => Uint8Array.from({ length: count }, () => below(256)),
  };
}
