import type { NacDictionary } from "../address/dictionary.js";
import type { Verdict } from "../routing/elements.js";
import { SECOND_US } from "../time/instant.js";
import { ELEMENT_BYTES } from "../wire/routes.js";
import { Challengers } from "./challengers.js";
import { walkToTag } from "./epoch-proof.js";
import type { ExpectedEpoch } from "./expected-epochs.js";
import {
  BOUND,
  countVoices,
  EPOCH,
  epochOf,
  generationOf,
  HELD,
  HeldRows,
  LIFE_ELEMENT,
  LIFE_HELD,
  LIFE_SLOT,
  METRIC_ELEMENT,
  metricOf,
  NEXT_KEY,
  putMetric,
  ROW_WORDS,
  SINCE,
  STATE,
  TAG,
  VOICES,
  voiceOf,
} from "./held-rows.js";
import type { MeteredWalks } from "./metered-walks.js";
import {
  Chain,
  EPOCH_SLOTS_MAX,
  METRICS,
  metricPosition,
  readWords,
  START_GRID,
  slotsBetween,
  type Walker,
} from "./step.js";

/** How long neighbours vote on a chain that is new here, seconds: a joiner's snapshots have all come by then. */
const BIRTH_SECONDS = 30;
/** What is written for others is no older than this many hashes: a route lives 184 slots at most. */
const WRITE_HASHES_MAX = 16_384;
const METRIC_HASHES_MAX = EPOCH_SLOTS_MAX * METRICS;
/** Down the life chain of a day; at each slot of the grid two more may tell that it ends here. */
const LIFE_END_HASHES = EPOCH_SLOTS_MAX + (2 * EPOCH_SLOTS_MAX) / START_GRID;

/** What a claim is to what is held. */
const Fit = { busy: -1, not: 0, fits: 1 } as const;
type Fit = (typeof Fit)[keyof typeof Fit];

/**
 * What is held of the chains of others, the best element of each, and whether what is claimed fits it. The same claim again
 * costs a comparison, a worse one a walk from what is held, a better one a walk down to it.
 */
export class HeldElements {
  readonly rows = new HeldRows();
  readonly challengers = new Challengers();
  private readonly dictionary: NacDictionary;
  private readonly walker: Walker;
  private readonly walks: MeteredWalks;
  private readonly claim = new Int32Array(4);
  private readonly tag = new Int32Array(2);
  private readonly current = new Int32Array(4);

  constructor(dictionary: NacDictionary, walker: Walker, walks: MeteredWalks) {
    this.dictionary = dictionary;
    this.walker = walker;
    this.walks = walks;
  }

  /** @param expected  the epoch that was proven to follow the held one, if there is such */
  checkMetric(
    nowUs: number,
    link: number,
    destination: number,
    epoch: number,
    generation: number,
    metric: number,
    bytes: Uint8Array,
    at: number,
    isTagged: boolean,
    expected: ExpectedEpoch | undefined,
  ): Verdict {
    if (metric >= METRICS) return "forged";
    readWords(bytes, at, this.claim, 0);
    if (isTagged) readWords(bytes, at + ELEMENT_BYTES, this.tag, 0, 2);
    const row = this.rows.find(destination);
    if (expected?.epoch === epoch && (row < 0 || epoch > epochOf(this.rows.words, row))) {
      return this.meet(nowUs, link, destination, generation, metric, isTagged, expected);
    }
    if (row < 0) {
      if (!isTagged || expected !== undefined) return "unproven"; // what is bound waits for its own epoch
      this.adopt(nowUs, link, destination, epoch, this.tag, generation, metric, HELD);
      return "sound";
    }
    const { words } = this.rows;
    const held = epochOf(words, row);
    if (epoch === held) {
      const isOther = isTagged && (words[row + TAG] !== this.tag[0] || words[row + TAG + 1] !== this.tag[1]);
      const fit = isOther ? Fit.not : this.compare(nowUs, link, words, row, destination, generation, metric);
      if (fit === Fit.busy) return "busy";
      if (fit === Fit.fits) {
        words[row + VOICES]! |= voiceOf(link);
        this.challengers.silence(destination, voiceOf(link));
        return "sound";
      }
    }
    const verdict = this.vote(nowUs, link, destination, row, epoch, generation, metric, isTagged);
    if (verdict === "sound" || verdict === "busy" || epoch === held) return verdict;
    return epoch > held ? "unproven" : "disputed"; // whoever has not heard of the newer epoch is no forger
  }

  /** The first element of an epoch that was proven: it must lead down to what the proof says it ends in. */
  private meet(
    nowUs: number,
    link: number,
    destination: number,
    generation: number,
    metric: number,
    isTagged: boolean,
    expected: ExpectedEpoch,
  ): Verdict {
    const { epoch, tag, startSlot, metricEnd } = expected;
    // Where the epoch began is not signed: whoever brought another start than this neighbour's may be the liar.
    const refusal = expected.link === link || expected.isBound ? "forged" : "unproven";
    if (isTagged && (tag[0] !== this.tag[0] || tag[1] !== this.tag[1])) return refusal;
    const steps = slotsBetween(generation, startSlot) * METRICS + METRICS - metric;
    if (steps < 1 || steps > METRIC_HASHES_MAX) return refusal;
    this.walker.enter(Chain.metric, this.dictionary, destination, epoch, tag[0]!, tag[1]!);
    this.walker.loadWords(this.claim, 0);
    const position = metricPosition(generation, metric);
    if (!this.walks.walk(nowUs, link, Chain.metric, destination, epoch, position, steps)) return "busy";
    if (!this.walker.holds(metricEnd, 0)) return refusal;
    const row = this.rows.find(destination);
    const since = row < 0 ? Math.floor(nowUs / SECOND_US) : this.rows.words[row + SINCE]!;
    const bound = expected.isBound || (row >= 0 && (this.rows.words[row + STATE]! & BOUND) !== 0) ? BOUND : 0;
    this.adopt(nowUs, link, destination, epoch, tag, generation, metric, HELD | bound);
    this.rows.words[this.rows.find(destination) + SINCE] = since;
    return "sound";
  }

  /** Holds the claim, and nothing else of the destination any more. */
  private adopt(
    nowUs: number,
    link: number,
    destination: number,
    epoch: number,
    tag: Int32Array,
    generation: number,
    metric: number,
    state: number,
  ): void {
    const row = this.rows.make(destination);
    const { words } = this.rows;
    words.fill(0, row, row + ROW_WORDS);
    words[row + EPOCH] = epoch;
    words[row + STATE] = state;
    words[row + VOICES] = voiceOf(link);
    words[row + SINCE] = Math.floor(nowUs / SECOND_US);
    words[row + TAG] = tag[0]!;
    words[row + TAG + 1] = tag[1]!;
    putMetric(words, row, generation, metric, this.claim);
    this.challengers.forget(destination);
  }

  /** Whether the claim is of the same chain; it is held instead if it is better. */
  private compare(
    nowUs: number,
    link: number,
    words: Int32Array,
    row: number,
    destination: number,
    generation: number,
    metric: number,
  ): Fit {
    const heldGeneration = generationOf(words, row);
    const heldMetric = metricOf(words, row);
    const ahead = slotsBetween(generation, heldGeneration) * METRICS + heldMetric - metric;
    if (Math.abs(ahead) > METRIC_HASHES_MAX) return Fit.not; // no epoch lasts so long
    const { walker, claim } = this;
    if (ahead === 0) return isSame(words, row + METRIC_ELEMENT, claim) ? Fit.fits : Fit.not;
    const epoch = epochOf(words, row);
    walker.enter(Chain.metric, this.dictionary, destination, epoch, words[row + TAG]!, words[row + TAG + 1]!);
    const isBetter = ahead > 0;
    if (isBetter) walker.loadWords(claim, 0);
    else walker.loadWords(words, row + METRIC_ELEMENT);
    const position = isBetter ? metricPosition(generation, metric) : metricPosition(heldGeneration, heldMetric);
    if (!this.walks.walk(nowUs, link, Chain.metric, destination, epoch, position, Math.abs(ahead))) return Fit.busy;
    if (!(isBetter ? walker.holds(words, row + METRIC_ELEMENT) : walker.holds(claim, 0))) return Fit.not;
    if (isBetter) putMetric(words, row, generation, metric, claim);
    return Fit.fits;
  }

  /**
   * The claim contradicts what is held. Once a descriptor vouches for that, or it has been held for half a minute, nothing
   * replaces it. Before, the chain that more neighbours vouch for is held; a neighbour that would be the only one to speak
   * against itself is not heard.
   */
  private vote(
    nowUs: number,
    link: number,
    destination: number,
    row: number,
    epoch: number,
    generation: number,
    metric: number,
    isTagged: boolean,
  ): Verdict {
    const { words } = this.rows;
    const isOld = Math.floor(nowUs / SECOND_US) - words[row + SINCE]! >= BIRTH_SECONDS;
    if (isOld || (words[row + STATE]! & BOUND) !== 0) return this.blame(link, row);
    const voice = voiceOf(link);
    const isAlone = words[row + VOICES] === voice;
    let other = this.challengers.find(destination, epoch, isTagged ? this.tag : undefined);
    if (other !== undefined) {
      const fit = this.compare(nowUs, link, other, 0, destination, generation, metric);
      if (fit === Fit.busy) return "busy";
      if (fit === Fit.not) other = undefined;
    }
    if (isAlone && (other === undefined || (other[VOICES]! & ~voice) === 0)) return "forged";
    if (other === undefined && isTagged) {
      other = this.challengers.open(destination, epoch);
      if (other !== undefined) {
        other[STATE] = HELD;
        other[TAG] = this.tag[0]!;
        other[TAG + 1] = this.tag[1]!;
        putMetric(other, 0, generation, metric, this.claim);
      }
    }
    if (other === undefined) return "disputed";
    other[VOICES]! |= voice;
    words[row + VOICES]! &= ~voice;
    if (countVoices(other[VOICES]!) <= countVoices(words[row + VOICES]!)) return "disputed";
    other[SINCE] = Math.floor(nowUs / SECOND_US);
    words.set(other, row);
    this.challengers.forget(destination);
    return "sound";
  }

  /**
   * Whose lie it is. A neighbour may have been taken in by somebody else's, or we may: it is blamed only for contradicting what
   * a descriptor vouches for, or what it vouched for itself.
   */
  private blame(link: number, row: number): Verdict {
    const { words } = this.rows;
    const isBound = (words[row + STATE]! & BOUND) !== 0;
    return isBound || (words[row + VOICES]! & voiceOf(link)) !== 0 ? "forged" : "disputed";
  }

  /** Of the life chain: against what is held of it, the first time against the tag. */
  checkLife(
    nowUs: number,
    link: number,
    destination: number,
    epoch: number,
    slot: number,
    bytes: Uint8Array,
    at: number,
  ): Verdict {
    const row = this.rows.find(destination);
    if (row < 0) return "unproven";
    const { words } = this.rows;
    const held = epochOf(words, row);
    if (epoch !== held) return epoch > held ? "unproven" : "disputed";
    const { walker, claim } = this;
    readWords(bytes, at, claim, 0);
    if ((words[row + STATE]! & LIFE_HELD) === 0) {
      if (this.walks.available(nowUs, link) < LIFE_END_HASHES) return "busy";
      const isTied = this.leadsToTag(nowUs, link, destination, epoch, slot, bytes, at + ELEMENT_BYTES);
      if (!isTied) return this.blame(link, row);
      words[row + STATE]! |= LIFE_HELD;
      readWords(bytes, at + ELEMENT_BYTES, words, row + NEXT_KEY, 3);
    } else {
      const ahead = slotsBetween(slot, words[row + LIFE_SLOT]! >>> 0);
      if (Math.abs(ahead) > EPOCH_SLOTS_MAX) return this.blame(link, row);
      const isBetter = ahead > 0;
      walker.enter(Chain.life, this.dictionary, destination, epoch, 0, 0);
      if (isBetter) walker.loadWords(claim, 0);
      else walker.loadWords(words, row + LIFE_ELEMENT);
      const position = isBetter ? slot : words[row + LIFE_SLOT]! >>> 0;
      if (!this.walks.walk(nowUs, link, Chain.life, destination, epoch, position, Math.abs(ahead))) return "busy";
      if (!(isBetter ? walker.holds(words, row + LIFE_ELEMENT) : walker.holds(claim, 0))) return this.blame(link, row);
      if (!isBetter) return "sound";
    }
    words[row + LIFE_SLOT] = slot;
    for (let i = 0; i < 4; i += 1) words[row + LIFE_ELEMENT + i] = claim[i]!;
    return "sound";
  }

  /** Down the life chain to where the tag says it ends: in a slot of the grid, since epochs begin there. Pays what it took. */
  private leadsToTag(
    nowUs: number,
    link: number,
    destination: number,
    epoch: number,
    slot: number,
    key: Uint8Array,
    keyAt: number,
  ): boolean {
    const { walker, current } = this;
    const { words } = this.rows;
    const row = this.rows.find(destination);
    for (let i = 0; i < 4; i += 1) current[i] = this.claim[i]!;
    let at = slot;
    let steps = slot % START_GRID;
    let hashes = 0;
    for (let walked = steps; walked < EPOCH_SLOTS_MAX; walked += START_GRID) {
      walker.enter(Chain.life, this.dictionary, destination, epoch, 0, 0);
      walker.loadWords(current, 0);
      walker.walk(at, steps);
      walker.storeWords(current, 0);
      walkToTag(walker, this.dictionary, destination, epoch, key, keyAt, at - steps);
      hashes += steps + 2;
      if (walker.word(0) === words[row + TAG] && walker.word(1) === words[row + TAG + 1]) {
        this.walks.pay(nowUs, link, hashes);
        return true;
      }
      at -= steps;
      steps = START_GRID;
    }
    this.walks.pay(nowUs, link, hashes);
    return false;
  }

  /** Leaves the element in the walker. False when nothing so good is held, or only what is far newer. */
  findMetric(destination: number, epoch: number, generation: number, metric: number): boolean {
    const row = this.rows.find(destination);
    if (row < 0 || metric >= METRICS) return false;
    const { words } = this.rows;
    if (epochOf(words, row) !== epoch) return false;
    const held = generationOf(words, row);
    const behind = slotsBetween(held, generation) * METRICS + metric - metricOf(words, row);
    if (behind < 0 || behind > WRITE_HASHES_MAX) return false;
    this.walker.enter(Chain.metric, this.dictionary, destination, epoch, words[row + TAG]!, words[row + TAG + 1]!);
    this.walker.loadWords(words, row + METRIC_ELEMENT);
    this.walker.walk(metricPosition(held, metricOf(words, row)), behind);
    return true;
  }

  findLife(destination: number, epoch: number, slot: number): boolean {
    const row = this.rows.find(destination);
    if (row < 0) return false;
    const { words } = this.rows;
    if (epochOf(words, row) !== epoch || (words[row + STATE]! & LIFE_HELD) === 0) return false;
    const held = words[row + LIFE_SLOT]! >>> 0;
    const behind = slotsBetween(held, slot);
    if (behind < 0 || behind > WRITE_HASHES_MAX) return false;
    this.walker.enter(Chain.life, this.dictionary, destination, epoch, 0, 0);
    this.walker.loadWords(words, row + LIFE_ELEMENT);
    this.walker.walk(held, behind);
    return true;
  }

  forget(destination: number): void {
    this.rows.forget(destination);
    this.challengers.forget(destination);
  }
}

function isSame(words: Int32Array, at: number, element: Int32Array): boolean {
  for (let i = 0; i < 4; i += 1) if (words[at + i] !== element[i]) return false;
  return true;
}
