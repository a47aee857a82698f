import { PacketType } from "../../core/wire/flight.js";
import type { Recording } from "./recording.js";

const K1 = 0x85ebca6b;
const K2 = 0xc2b2ae35;
const WORDS = 4;

/**
 * The two fingerprints of a shard's nodes. Wire: each node hashes what it sends, in order; a second adds up all nodes.
 * State: a sum over all routes and links that there are. Sums, so that neither shards nor their order show. What depends
 * on the crypto suite is left out: keys, ciphertexts, tags, masked counters, labels and NACs. 128 bits each.
 */
export class Fingerprints {
  private readonly wire: Int32Array;
  readonly state = new Int32Array(WORDS);
  /** Gets all that is fingerprinted. */
  readonly recording: Recording | undefined;

  constructor(nodes: number, recording?: Recording) {
    this.wire = new Int32Array(nodes * WORDS);
    this.recording = recording;
  }

  handleTransmit(nowUs: number, node: number, to: number, bytes: Uint8Array, at: number, length: number): void {
    const clearAt = clearOffset(bytes[at]!);
    const p = at + clearAt;
    const clear =
      clearAt === 0 || length < clearAt + 4
        ? 0
        : bytes[p]! | (bytes[p + 1]! << 8) | (bytes[p + 2]! << 16) | (bytes[p + 3]! << 24);
    const { wire } = this;
    this.recording?.handleSent(node, to, bytes[at]!, length, clear);
    const w = node * WORDS;
    let a = wire[w]! ^ (nowUs | 0);
    let b = wire[w + 1]! ^ (to | 0);
    let c = wire[w + 2]! ^ clear;
    let d = wire[w + 3]! ^ (length + (bytes[at]! << 16));
    d ^= Math.floor(nowUs / 0x1_0000_0000) * 31 + Math.floor(to / 0x1_0000_0000) * 77;
    a = (Math.imul(a ^ (a >>> 15), K1) + b) | 0;
    b = (Math.imul(b ^ (b >>> 13), K2) + c) | 0;
    c = (Math.imul(c ^ (c >>> 16), K1) + d) | 0;
    d = (Math.imul(d ^ (d >>> 14), K2) + a) | 0;
    wire[w] = a;
    wire[w + 1] = b ^ (d >>> 7);
    wire[w + 2] = c ^ (a >>> 9);
    wire[w + 3] = d;
  }

  /** A fact of the state comes (`sign` 1) or goes (-1). */
  count(sign: number, a: number, b: number, c: number): void {
    const { state } = this;
    this.recording?.handleChanged(sign, a, b, c);
    let x = Math.imul(a ^ 0x9e3779b9, K1) ^ Math.imul(b + 0x7f4a7c15, K2);
    x = Math.imul(x ^ (x >>> 15) ^ c, K1);
    let y = Math.imul(b ^ 0x27d4eb2f, K1) ^ Math.imul(c + 0x165667b1, K2);
    y = Math.imul(y ^ (y >>> 13) ^ a, K2);
    x ^= x >>> 16;
    y ^= y >>> 15;
    state[0]! += Math.imul(sign, x);
    state[1]! += Math.imul(sign, y);
    state[2]! += Math.imul(sign, Math.imul(x ^ (y >>> 11), K2));
    state[3]! += Math.imul(sign, Math.imul(y ^ (x >>> 9), K1));
  }

  /** Adds the shard's part of the wire to `sum`. */
  addWire(sum: Int32Array, ofNode: (node: number) => boolean): void {
    const { wire } = this;
    for (let node = 0; node * WORDS < wire.length; node += 1) {
      if (!ofNode(node)) continue;
      for (let i = 0; i < WORDS; i += 1) {
        const next = wire[node * WORDS + ((i + 1) & 3)]!;
        const word = Math.imul(wire[node * WORDS + i]! ^ (next >>> 7), K1) ^ Math.imul(node + i, K2);
        sum[i]! += Math.imul(word ^ (word >>> 15), K2);
      }
    }
  }
}

/** Where a packet of the type has four bytes in clear that are nobody's key: a session's index, a nonce. 0: nowhere. */
function clearOffset(type: number): number {
  switch (type) {
    case PacketType.record:
      return 1;
    case PacketType.resp:
    case PacketType.conf:
    case PacketType.cookie:
    case PacketType.unknown:
      return 4;
    case PacketType.keyRequest:
    case PacketType.keyResponse:
      return 8;
    default:
      return 0;
  }
}

/** One link of the chain more: 32 hexadecimal digits from those before and the sums of this second. */
export function chained(before: string, sums: Int32Array): string {
  const words = new Int32Array(WORDS);
  for (let i = 0; i < WORDS; i += 1) words[i] = Number.parseInt(before.slice(i * 8, i * 8 + 8) || "0", 16) ^ sums[i]!;
  for (let round = 0; round < 2; round += 1) {
    for (let i = 0; i < WORDS; i += 1) {
      const mixed = Math.imul(words[i]! ^ (words[i]! >>> 15), K1) + words[(i + 1) & 3]!;
      words[i] = Math.imul(mixed ^ (mixed >>> 13), K2);
    }
  }
  return Array.from(words, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}
