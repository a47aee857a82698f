import { SECOND_US } from "../../core/time/instant.js";
import { EventHeap } from "./event-heap.js";
import type { Packets } from "./packets.js";

/** Windows that the ring reaches ahead; what is due later waits in a heap. */
const RING = 4_096;
const NONE = -1;
const FAR = -2;

/**
 * What is due, by window: a ring of lists for the near future, heaps for the far. Each second is cut into the same number of
 * windows, none longer than the least delay between islands. A node has one timer, which is moved and not piled up.
 */
export class Calendar {
  readonly perSecond: number;
  private readonly packets: Packets;
  private readonly packetHead = new Int32Array(RING).fill(NONE);
  private readonly timerHead = new Int32Array(RING).fill(NONE);
  private readonly farPackets = new EventHeap();
  private readonly farTimers = new EventHeap();
  /** By node. */
  readonly timerUs: Float64Array;
  private readonly place: Int32Array;
  private readonly before: Int32Array;
  private readonly behind: Int32Array;
  /** The window that runs, or ran last. */
  private current = -1;

  constructor(packets: Packets, nodes: number, lookaheadUs: number) {
    this.packets = packets;
    this.perSecond = Math.min(SECOND_US, Math.max(10, Math.ceil(SECOND_US / Math.max(1, lookaheadUs))));
    this.timerUs = new Float64Array(nodes).fill(Number.POSITIVE_INFINITY);
    this.place = new Int32Array(nodes).fill(NONE);
    this.before = new Int32Array(nodes);
    this.behind = new Int32Array(nodes);
  }

  windowOf(timeUs: number): number {
    return Math.floor((timeUs * this.perSecond) / SECOND_US);
  }

  /** The first microsecond of a window. */
  startOf(window: number): number {
    return Math.ceil((window * SECOND_US) / this.perSecond);
  }

  addPacket(slot: number): void {
    const { packets } = this;
    const window = this.windowOf(packets.dueUs[slot]!);
    if (window - this.current >= RING) {
      this.farPackets.push(packets.dueUs[slot]!, packets.key[slot]!, slot);
      return;
    }
    const place = window & (RING - 1);
    packets.next[slot] = this.packetHead[place]!;
    this.packetHead[place] = slot;
  }

  /** The node's timer rings then, and not before. */
  setTimer(node: number, dueUs: number): void {
    const window = this.windowOf(dueUs);
    this.timerUs[node] = dueUs;
    if (window - this.current >= RING) {
      this.unlink(node);
      this.place[node] = FAR;
      this.farTimers.push(dueUs, node, node);
      return;
    }
    const place = window & (RING - 1);
    if (this.place[node] === place) return;
    this.unlink(node);
    const head = this.timerHead[place]!;
    this.place[node] = place;
    this.before[node] = NONE;
    this.behind[node] = head;
    if (head !== NONE) this.before[head] = node;
    this.timerHead[place] = node;
  }

  clearTimer(node: number): void {
    this.unlink(node);
    this.timerUs[node] = Number.POSITIVE_INFINITY;
  }

  /** The next window in which something is due; Infinity when nothing is. */
  nextWindow(): number {
    let next = Number.POSITIVE_INFINITY;
    while (this.farTimers.size > 0 && !this.isFarTimer()) this.farTimers.shift();
    if (this.farTimers.size > 0) next = this.windowOf(this.farTimers.timeUs);
    if (this.farPackets.size > 0) next = Math.min(next, this.windowOf(this.farPackets.timeUs));
    const end = Math.min(next, this.current + RING);
    for (let window = Math.max(0, this.current); window < end; window += 1) {
      const place = window & (RING - 1);
      if (this.packetHead[place] !== NONE || this.timerHead[place] !== NONE) return window;
    }
    return next;
  }

  /** Takes out all that is due in `window` before `endUs`. */
  take(window: number, endUs: number, packet: (slot: number) => void, timer: (node: number) => void): void {
    this.current = window;
    const { packets, farPackets, farTimers } = this;
    const place = window & (RING - 1);
    let slot = this.packetHead[place]!;
    this.packetHead[place] = NONE;
    while (slot !== NONE) {
      const next = packets.next[slot]!;
      if (packets.dueUs[slot]! < endUs) packet(slot);
      else this.addPacket(slot);
      slot = next;
    }
    while (farPackets.size > 0 && farPackets.timeUs < endUs) {
      const far = farPackets.id;
      farPackets.shift();
      packet(far);
    }
    let node = this.timerHead[place]!;
    while (node !== NONE) {
      const next = this.behind[node]!;
      if (this.timerUs[node]! < endUs) {
        this.unlink(node);
        timer(node);
      }
      node = next;
    }
    while (farTimers.size > 0 && farTimers.timeUs < endUs) {
      const far = farTimers.id;
      const isDue = this.isFarTimer();
      farTimers.shift();
      if (!isDue) continue;
      this.place[far] = NONE;
      timer(far);
    }
  }

  /** Is the first of the far timers still one? */
  private isFarTimer(): boolean {
    const node = this.farTimers.id;
    return this.place[node] === FAR && this.timerUs[node] === this.farTimers.timeUs;
  }

  private unlink(node: number): void {
    const place = this.place[node]!;
    this.place[node] = NONE;
    if (place < 0) return;
    const before = this.before[node]!;
    const behind = this.behind[node]!;
    if (before === NONE) this.timerHead[place] = behind;
    else this.behind[before] = behind;
    if (behind !== NONE) this.before[behind] = before;
  }
}
