/**
 * Fuzzing of whatever reads bytes from outside: takes inputs that occur, damages them, hands them on. An input that makes
 * the reader throw is printed whole, so that it can stay as a test (test/core/fuzz-findings.test.ts).
 */
import { lengthOf } from "./length.js";
import { type Random, randomFrom } from "./random.js";

/** One reader of bytes, and inputs that it is made for. */
export interface FuzzTarget {
  readonly name: string;
  readonly corpus: readonly Uint8Array[];
  /** Must not throw, whatever the bytes. */
  read(bytes: Uint8Array): void;
}

/** How long each reader is fuzzed, milliseconds. */
const DURATION_MS = lengthOf({ short: 150, full: 60_000 });
const INPUTS_MIN = 500;
const GROWTH_MAX = 4096;
const EDGES = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff] as const;

/** Answers how many inputs were tried. Throws for the first that the target cannot bear. */
export function fuzz(target: FuzzTarget): number {
  if (target.corpus.length === 0) throw new Error(`fuzz: there is no input to start from for ${target.name}`);
  const random = randomFrom(`fuzz/${target.name}/${process.env.MARIANA_FUZZ_SEED ?? ""}`);
  for (const sample of target.corpus) attempt(target, sample.slice());
  const endMs = performance.now() + DURATION_MS;
  let inputs = 0;
  while (inputs < INPUTS_MIN || performance.now() < endMs) {
    for (let i = 0; i < 100; i += 1) attempt(target, damaged(random, target.corpus));
    inputs += 100;
  }
  return inputs;
}

function attempt(target: FuzzTarget, bytes: Uint8Array): void {
  const before = bytes.slice(); // some readers work in place
  try {
    target.read(bytes);
  } catch (error) {
    const hex = Buffer.from(before).toString("hex");
    throw new Error(`${target.name} threw for the ${before.length} bytes ${hex || "(none)"}`, { cause: error });
  }
}

/** A sample with one to eight damages. */
function damaged(random: Random, corpus: readonly Uint8Array[]): Uint8Array {
  if (random.chance(0.02)) return random.bytes(random.below(1400));
  let bytes: Uint8Array = random.pick(corpus).slice();
  for (let left = random.between(1, 8); left > 0; left -= 1) bytes = damage(random, bytes, corpus);
  return bytes;
}

function damage(random: Random, bytes: Uint8Array, corpus: readonly Uint8Array[]): Uint8Array {
  const at = random.below(bytes.length + 1);
  const length = random.below(Math.min(16, bytes.length - at) + 1);
  switch (random.below(8)) {
    case 0: // one bit
      if (at < bytes.length) bytes[at]! ^= 1 << random.below(8);
      return bytes;
    case 1: // a byte at its edge
      if (at < bytes.length) bytes[at] = random.pick(EDGES);
      return bytes;
    case 2: // a number at its edge
      bytes.fill(random.pick(EDGES), at, at + random.pick([2, 3, 4, 6, 8]));
      return bytes;
    case 3: // noise
      bytes.set(random.bytes(length), at);
      return bytes;
    case 4: // the end is missing
      return bytes.slice(0, at);
    case 5: // a piece is missing
      return joined(bytes.subarray(0, at), bytes.subarray(at + length));
    case 6: // a piece stands twice
      if (bytes.length > GROWTH_MAX) return bytes;
      return joined(bytes.subarray(0, at + length), bytes.subarray(at));
    default: {
      const other = random.pick(corpus);
      const from = random.below(other.length + 1);
      return joined(bytes.subarray(0, at), other.subarray(from)).slice(0, GROWTH_MAX);
    }
  }
}

function joined(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const whole = new Uint8Array(head.length + tail.length);
  whole.set(head);
  whole.set(tail, head.length);
  return whole;
}
