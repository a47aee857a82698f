import type { NacDictionary } from "../../core/address/dictionary.js";
import {
  type Elements,
  EPOCH_PROOF_BYTES,
  LIFE_PROOF_BYTES,
  TAG_BYTES,
  type Verdict,
} from "../../core/routing/elements.js";
import { ELEMENT_BYTES } from "../../core/wire/routes.js";
import { begin, lanes, settle } from "./mixing.js";

/** What an element is of; the metric chain's are told apart by metric and generation. */
const Kind = { metric: 0x100, life: 0x200, tag: 0x300, key: 0x400, epoch: 0x500 } as const;

/**
 * Hash chains for large simulations: as many bytes, and what is wrong in any place fails, but an element follows from (NAC, epoch,
 * place) and checking it is making it again. So nothing is held for any destination (the epoch that must be proven from is routing's to
 * say), and whoever has the code can make every element. That a node only makes what it could hash from what it heard, liars' roles keep to by themselves; what else they
 * write (other places' elements, chance) is refused as by the real ones.
 *
 * One object serves all nodes of a worker.
 */
export class ModelledElements implements Elements {
  readonly provesEpochs = true;
  private readonly dictionary: NacDictionary;
  private readonly seed: number;
  /** Of each own destination that lost count, the epoch that it took then. As many as there are nodes. */
  private readonly fresh = new Map<number, number>();

  /** @param seed  of the run, u32 */
  constructor(dictionary: NacDictionary, seed: number) {
    this.dictionary = dictionary;
    this.seed = seed;
  }

  writeMetric(
    destination: number,
    epoch: number,
    generation: number,
    metric: number,
    into: Uint8Array,
    at: number,
  ): boolean {
    this.mix(destination, epoch, Kind.metric | metric, generation);
    write(into, at, ELEMENT_BYTES);
    return true;
  }

  writeTag(destination: number, epoch: number, into: Uint8Array, at: number): boolean {
    this.mix(destination, epoch, Kind.tag, 0);
    write(into, at, TAG_BYTES);
    return true;
  }

  writeLife(destination: number, epoch: number, slot: number, into: Uint8Array, at: number): boolean {
    this.mix(destination, epoch, Kind.life, slot);
    write(into, at, ELEMENT_BYTES);
    this.mix(destination, epoch, Kind.key, 0);
    write(into, at + ELEMENT_BYTES, LIFE_PROOF_BYTES - ELEMENT_BYTES);
    return true;
  }

  checkMetric(
    _nowUs: number,
    _link: number,
    destination: number,
    epoch: number,
    generation: number,
    metric: number,
    bytes: Uint8Array,
    at: number,
    isTagged = false,
    known = -1,
  ): Verdict {
    if (known >= 0 && epoch > known) return "unproven";
    this.mix(destination, epoch, Kind.metric | metric, generation);
    if (!isSame(bytes, at, ELEMENT_BYTES)) return "forged";
    if (!isTagged) return "sound";
    return this.isTag(destination, epoch, bytes, at + ELEMENT_BYTES) ? "sound" : "forged";
  }

  checkLife(
    _nowUs: number,
    _link: number,
    destination: number,
    epoch: number,
    slot: number,
    bytes: Uint8Array,
    at: number,
  ): Verdict {
    this.mix(destination, epoch, Kind.life, slot);
    return isSame(bytes, at, ELEMENT_BYTES) ? "sound" : "forged";
  }

  proveEpoch(destination: number, epoch: number, into: Uint8Array, at: number, previous = epoch - 1): boolean {
    if (previous !== epoch - 1 && this.fresh.get(destination) !== epoch) return false;
    this.mix(destination, epoch, Kind.epoch, 0);
    for (let i = 0; i < EPOCH_PROOF_BYTES; i += TAG_BYTES) write(into, at + i, TAG_BYTES);
    return true;
  }

  checkEpoch(
    _nowUs: number,
    _link: number,
    destination: number,
    epoch: number,
    bytes: Uint8Array,
    at: number,
  ): Verdict {
    this.mix(destination, epoch, Kind.epoch, 0);
    for (let i = 0; i < EPOCH_PROOF_BYTES; i += TAG_BYTES) if (!isSame(bytes, at + i, TAG_BYTES)) return "disputed";
    return "sound";
  }

  isOwnEpoch(
    destination: number,
    epoch: number,
    _generation: number,
    bytes: Uint8Array,
    at: number,
    isTagged: boolean,
  ): boolean {
    return isTagged && this.isTag(destination, epoch, bytes, at + ELEMENT_BYTES);
  }

  originate(destination: number, epoch: number, _startSlot: number, isFresh = false): boolean {
    if (isFresh) this.fresh.set(destination, epoch);
    return false;
  }

  isReady(): boolean {
    return true;
  }

  /** No epoch of a model ends. */
  lastSlot(): number {
    return Number.MAX_SAFE_INTEGER;
  }

  work(): boolean {
    return false;
  }

  forget(): void {}

  forgetLink(): void {}

  report(): undefined {}

  private isTag(destination: number, epoch: number, bytes: Uint8Array, at: number): boolean {
    this.mix(destination, epoch, Kind.tag, 0);
    return isSame(bytes, at, TAG_BYTES);
  }

  /** Leaves 64 bits in the lanes, from which the bytes follow. */
  private mix(destination: number, epoch: number, kind: number, place: number): void {
    const { dictionary } = this;
    let a = Math.imul(this.seed ^ dictionary.word(destination, 0) ^ kind, 0xcc9e2d51);
    let b = Math.imul(epoch ^ dictionary.word(destination, 1), 0x85ebca6b);
    a = Math.imul((a ^ (a >>> 15)) + dictionary.word(destination, 2), 0xc2b2ae35) ^ b;
    b = Math.imul((b ^ (b >>> 13)) + dictionary.word(destination, 3), 0xcc9e2d51) ^ Math.imul(place, 0x9e3779b1);
    begin(a, b);
    settle();
  }
}

/** Up to 16 bytes: the lanes, and the lanes once more under constants. */
function write(into: Uint8Array, at: number, length: number): void {
  for (let i = 0; i < length; i += 4) {
    const word = wordOf(i);
    into[at + i] = word >>> 24;
    into[at + i + 1] = word >>> 16;
    into[at + i + 2] = word >>> 8;
    into[at + i + 3] = word;
  }
}

function isSame(bytes: Uint8Array, at: number, length: number): boolean {
  for (let i = 0; i < length; i += 4) {
    const p = at + i;
    const word = (bytes[p]! << 24) | (bytes[p + 1]! << 16) | (bytes[p + 2]! << 8) | bytes[p + 3]!;
    if (word !== wordOf(i)) return false;
  }
  return true;
}

function wordOf(place: number): number {
  return place === 0 ? lanes.a : place === 4 ? lanes.b : place === 8 ? lanes.a ^ 0x5bd1e995 : lanes.b ^ 0x27d4eb2f;
}
