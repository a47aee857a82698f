import type { NacDictionary } from "../address/dictionary.js";
import { sameBytes } from "../collections/bytes.js";
import type { CryptoSuite } from "../crypto/suite.js";
import { EPOCH_PROOF_BYTES, type Verdict } from "../routing/elements.js";
import { anchorOf, decodeEpochProof, walkToTag } from "./epoch-proof.js";
import { BOUND, epochOf, generationOf, type HeldRows, STATE, TAG } from "./held-rows.js";
import type { MeteredWalks } from "./metered-walks.js";
import { ONE_TIME_HASHES_MAX, type OneTimeKeys } from "./one-time-key.js";
import { gridSlot } from "./own-chain.js";
import { EPOCH_SLOTS_MAX, readWords, START_GRID, type Walker } from "./step.js";

/** Epochs that were proven and not met yet, and proofs kept for those who ask; beyond, the one that was put first goes. */
const EXPECTED_MAX = 1_024;
const KEPT_MAX = 8_192;
/** Two for each slot of the grid in which the held epoch may have begun. */
const TAG_HASHES = (2 * EPOCH_SLOTS_MAX) / START_GRID;

/** An epoch whose elements may come. */
export interface ExpectedEpoch {
  readonly epoch: number;
  /** Who brought the proof; -1 for a descriptor. */
  readonly link: number;
  /** A descriptor vouches for it. */
  readonly isBound: boolean;
  readonly startSlot: number;
  /** Two words and four. */
  readonly tag: Int32Array;
  readonly metricEnd: Int32Array;
  /** The 344 bytes; none with a descriptor. */
  readonly proof: Uint8Array | undefined;
}

/** The epochs that the held ones, or descriptors, vouch for. */
export class ExpectedEpochs {
  private readonly suite: CryptoSuite;
  private readonly dictionary: NacDictionary;
  private readonly rows: HeldRows;
  private readonly walker: Walker;
  private readonly walks: MeteredWalks;
  private readonly keys: OneTimeKeys;
  private readonly expected = new Map<number, ExpectedEpoch>();
  private readonly kept = new Map<number, { readonly epoch: number; readonly proof: Uint8Array }>();

  constructor(
    suite: CryptoSuite,
    dictionary: NacDictionary,
    rows: HeldRows,
    walker: Walker,
    walks: MeteredWalks,
    keys: OneTimeKeys,
  ) {
    this.suite = suite;
    this.dictionary = dictionary;
    this.rows = rows;
    this.walker = walker;
    this.walks = walks;
    this.keys = keys;
  }

  of(destination: number): ExpectedEpoch | undefined {
    return this.expected.get(destination);
  }

  check(nowUs: number, link: number, destination: number, epoch: number, bytes: Uint8Array, at: number): Verdict {
    const proof = decodeEpochProof(bytes, at);
    if (proof === undefined) return "forged";
    const row = this.rows.find(destination);
    if (row < 0) return "unproven";
    const { words } = this.rows;
    const held = epochOf(words, row);
    if (epoch === held) return "sound";
    if (epoch !== held + 1) return "disputed"; // of an epoch that was missed nothing is held
    const known = this.expected.get(destination);
    const copy = bytes.slice(at, at + EPOCH_PROOF_BYTES);
    if (known?.link === link && sameBytes(known.proof, copy)) return "sound";
    if (known?.isBound === true) return "disputed"; // a descriptor says more
    if (!this.walks.pay(nowUs, link, TAG_HASHES)) return "busy";
    if (!this.opensTag(destination, row, proof.previousLife, proof.previousKey))
      return (words[row + STATE]! & BOUND) !== 0 ? "forged" : "disputed"; // what is held may be the lie
    if (!this.walks.pay(nowUs, link, ONE_TIME_HASHES_MAX)) return "busy";
    const anchor = anchorOf(this.suite, this.dictionary, destination, epoch, proof.tag, proof.metricEnd);
    const signer = this.keys.signerOf(destination, held, anchor, proof.signature, 0);
    if (!sameBytes(signer, proof.previousKey)) return "forged";
    this.expect(destination, epoch, proof.startSlot, proof.tag, proof.metricEnd, link, copy);
    return "sound";
  }

  /** The held epoch began in a slot of the grid, at most a day before its newest generation: which one, nobody says. */
  private opensTag(destination: number, row: number, life: Uint8Array, key: Uint8Array): boolean {
    const { walker } = this;
    const { words } = this.rows;
    const newest = gridSlot(generationOf(words, row));
    for (let age = 0; age < EPOCH_SLOTS_MAX; age += START_GRID) {
      walker.load(life, 0);
      walkToTag(walker, this.dictionary, destination, epochOf(words, row), key, 0, newest - age);
      if (walker.word(0) === words[row + TAG] && walker.word(1) === words[row + TAG + 1]) return true;
    }
    return false;
  }

  /** From a proof that holds, or with link -1 from a descriptor. */
  expect(
    destination: number,
    epoch: number,
    startSlot: number,
    tag: Uint8Array,
    metricEnd: Uint8Array,
    link: number,
    proof: Uint8Array | undefined,
  ): void {
    const tagWords = new Int32Array(2);
    const endWords = new Int32Array(4);
    readWords(tag, 0, tagWords, 0, 2);
    readWords(metricEnd, 0, endWords, 0);
    this.expected.delete(destination);
    dropFirst(this.expected, EXPECTED_MAX);
    const isBound = link < 0;
    this.expected.set(destination, { epoch, link, isBound, startSlot, tag: tagWords, metricEnd: endWords, proof });
  }

  /** Its first element came and was sound: the proof is kept for others. */
  meet(destination: number): void {
    const met = this.expected.get(destination);
    this.expected.delete(destination);
    if (met?.proof === undefined) return;
    this.kept.delete(destination);
    dropFirst(this.kept, KEPT_MAX);
    this.kept.set(destination, { epoch: met.epoch, proof: met.proof });
  }

  prove(destination: number, epoch: number, into: Uint8Array, at: number): boolean {
    const kept = this.kept.get(destination);
    if (kept?.epoch !== epoch) return false;
    into.set(kept.proof, at);
    return true;
  }

  forget(destination: number): void {
    this.expected.delete(destination);
    this.kept.delete(destination);
  }
}

function dropFirst(map: Map<number, unknown>, limit: number): void {
  if (map.size < limit) return;
  for (const first of map.keys()) {
    map.delete(first);
    return;
  }
}
