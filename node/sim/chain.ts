/** The fingerprints of each virtual second, as a file; and where two of them part. */

export interface Chain {
  readonly wire: readonly string[];
  readonly state: readonly string[];
}

/** Line n (from 1) holds both fingerprints after second n. */
export function encodeChain(chain: Chain): string {
  return chain.wire.map((wire, index) => `${wire} ${chain.state[index]}\n`).join("");
}

export function decodeChain(text: string): Chain {
  const rows = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split(" "));
  return { wire: rows.map(([wire]) => wire!), state: rows.map(([, state]) => state ?? "") };
}

export interface Parting {
  /** The second, from 1, during which they began to differ: it ended at that time. */
  readonly second: number;
  readonly what: "wire" | "state" | "both" | "length";
}

/** Undefined when they are the same. */
export function partingOf(a: Chain, b: Chain): Parting | undefined {
  const common = Math.min(a.wire.length, b.wire.length);
  for (let index = 0; index < common; index += 1) {
    const isWire = a.wire[index] !== b.wire[index];
    const isState = a.state[index] !== b.state[index];
    if (!isWire && !isState) continue;
    return { second: index + 1, what: isWire && isState ? "both" : isWire ? "wire" : "state" };
  }
  return a.wire.length === b.wire.length ? undefined : { second: common + 1, what: "length" };
}
