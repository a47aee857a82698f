/** Plays a recorded feed to feeders, in real time, as if its network were that of now. */
import { SLOT_MS } from "../../core/link/network-time.js";
import { type FeedRecording, NO_ROUTE } from "./feed-recording.js";
import type { Telling } from "./feed-teller.js";

const NAC_BYTES = 16;
/** How often the feeders are told what happened meanwhile. */
export const TICK_MS = 50;

/** What the player needs of a feeder. */
interface Listener {
  tell(tellings: readonly Telling[]): void;
}

export class FeedPlayer {
  /** Rows told so far, those of the beginning included. */
  told = 0;
  private readonly recording: FeedRecording;
  private readonly feeders: readonly Listener[];
  private readonly tellers: ReadonlySet<number>;
  private shiftSlots = 0;
  private startedMs = 0;
  private heldMs = Number.POSITIVE_INFINITY;
  private timer: NodeJS.Timeout | undefined;

  /** Each feeder plays the teller of its place. Throws RangeError when there are more feeders than tellers. */
  constructor(recording: FeedRecording, feeders: readonly Listener[]) {
    const { tellers } = recording.head;
    if (feeders.length > tellers.length) {
      throw new RangeError(`feeders: ${feeders.length}, and ${tellers.length} nodes were recorded`);
    }
    this.recording = recording;
    this.feeders = feeders;
    this.tellers = new Set(tellers);
  }

  get isOver(): boolean {
    return this.told === this.recording.atMs.length;
  }

  /** All routes that there were when the recording began. `nowMs` is since 1970: slots and epochs move there. */
  load(nowMs: number): void {
    const { wallSeconds } = this.recording.head;
    this.shiftSlots = Math.floor(nowMs / SLOT_MS) - Math.floor((wallSeconds * 1000) / SLOT_MS);
    this.advance(0);
  }

  /** What happened in the first `elapsedMs`, as far as it was not told yet. */
  advance(elapsedMs: number): void {
    const { atMs, teller, destination } = this.recording;
    const tellings: Telling[][] = this.feeders.map(() => []);
    for (; this.told < atMs.length && atMs[this.told]! <= elapsedMs; this.told += 1) {
      const at = this.told;
      // Those who were recorded are played by nodes with keys of their own.
      if (!this.tellers.has(destination[at]!)) tellings[teller[at]!]?.push(this.tellingOf(at));
    }
    tellings.forEach((all, i) => {
      this.feeders[i]!.tell(all); // also when nothing happened: who asks for a newer index is answered
    });
  }

  /** From now on, what happened after the beginning. */
  start(): void {
    this.startedMs = performance.now();
    this.timer = setInterval(() => this.advance(Math.min(performance.now() - this.startedMs, this.heldMs)), TICK_MS);
  }

  /** Nothing more happens; origins go on living, and answer. */
  hold(): void {
    this.heldMs = performance.now() - this.startedMs;
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private tellingOf(row: number): Telling {
    const { nacs, destination, metric, epoch, slot, repair } = this.recording;
    const nac = nacs.subarray(destination[row]! * NAC_BYTES, (destination[row]! + 1) * NAC_BYTES);
    const isLost = metric[row] === NO_ROUTE;
    return {
      nac,
      metric: metric[row]!,
      // Epochs are the seconds at which nodes started.
      epoch: isLost ? 0 : epoch[row]! + (this.shiftSlots * SLOT_MS) / 1000,
      slot: isLost ? 0 : slot[row]! + this.shiftSlots,
      repair: repair[row]!,
    };
  }
}
