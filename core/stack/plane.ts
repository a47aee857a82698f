import type { NetworkTime } from "../link/network-time.js";
import type { Routing } from "../routing/routing.js";
import type { HandshakeFault, SessionContext } from "../session/context.js";
import type { DeadlineHeap } from "../time/deadline-heap.js";
import { NEVER } from "../time/instant.js";
import { Trace } from "../trace/trace.js";
import type { DropCounters, DropReason } from "./drops.js";
import { noHandshakes } from "./handshake-counters.js";
import type { StackPorts } from "./ports.js";

/**
 * Something with a deadline of its own. It enrols when it is made and is released when it is over; its timer number is
 * its place in the stack's heap of deadlines meanwhile.
 */
export interface Timed {
  /** -1 once it is released: the number may be another's. */
  timer: number;
  readonly nextTimeoutUs: number;
  handleTimeout(nowUs: number): void;
}

/** A timer, never released, for `state`, which keeps its own deadline. Watch it again whenever that may have moved. */
export function timed(
  plane: Plane,
  state: { readonly nextTimeoutUs: number },
  onTimeout: (nowUs: number) => void,
): Timed {
  return new TimedState(plane, state, onTimeout);
}

class TimedState implements Timed {
  timer: number;
  private readonly plane: Plane;
  private readonly state: { readonly nextTimeoutUs: number };
  private readonly onTimeout: (nowUs: number) => void;

  constructor(plane: Plane, state: { readonly nextTimeoutUs: number }, onTimeout: (nowUs: number) => void) {
    this.plane = plane;
    this.state = state;
    this.onTimeout = onTimeout;
    this.timer = plane.enrol(this);
  }

  get nextTimeoutUs(): number {
    return this.state.nextTimeoutUs;
  }

  handleTimeout(nowUs: number): void {
    this.onTimeout(nowUs);
    this.plane.watch(this);
  }
}

/** What both planes of the stack share: links below, ends above. */
export class Plane {
  readonly ports: StackPorts;
  readonly session: SessionContext;
  readonly routing: Routing;
  readonly time: NetworkTime;
  readonly drops: DropCounters;
  readonly handshakes = noHandshakes();
  replays = 0;
  /** Something of our own waits for a route, or for its turn: `Ends.settle` looks after it. */
  isWaiting = false;

  private readonly heap: DeadlineHeap;
  private readonly timed: (Timed | undefined)[] = [];
  private readonly freeTimers: number[] = [];

  constructor(args: {
    ports: StackPorts;
    session: SessionContext;
    routing: Routing;
    time: NetworkTime;
    drops: DropCounters;
    heap: DeadlineHeap;
  }) {
    this.ports = args.ports;
    this.session = args.session;
    this.routing = args.routing;
    this.time = args.time;
    this.drops = args.drops;
    this.heap = args.heap;
  }

  drop(reason: DropReason): void {
    const number = this.drops.count(reason);
    this.ports.trace(Trace.packetDropped, number, 0, 0);
  }

  /** Bytes of a handshake that were not used, by their fault and by what is lost with them. */
  refuse(fault: HandshakeFault, reason: DropReason = "handshake"): void {
    this.handshakes[fault] += 1;
    this.drop(reason);
  }

  /** The timer number of `timed`, its own until `release`. Nothing is due before the first `watch`. */
  enrol(timed: Timed): number {
    const timer = this.freeTimers.pop() ?? this.timed.length;
    this.timed[timer] = timed;
    return timer;
  }

  /** To be called whenever `nextTimeoutUs` may have moved. What was released stays released. */
  watch(timed: Timed): void {
    if (timed.timer >= 0) this.heap.set(timed.timer, timed.nextTimeoutUs);
  }

  release(timed: Timed): void {
    const { timer } = timed;
    if (timer < 0) return;
    timed.timer = -1;
    this.heap.set(timer, NEVER);
    this.timed[timer] = undefined;
    this.freeTimers.push(timer);
  }

  /** The Timed that is due, or undefined. */
  due(nowUs: number): Timed | undefined {
    const timer = this.heap.due(nowUs);
    return timer < 0 ? undefined : this.timed[timer];
  }

  /** All that is due at or before `untilUs`, in no order that means anything. */
  dueBy(untilUs: number): Timed[] {
    return this.heap.dueBy(untilUs).map((timer) => this.timed[timer]!);
  }
}

/** Session numbers of one plane: random, never 0, each with its owner. */
export class SessionIndex<Owner> {
  /** By the number as a signed word, which is a small integer to the engine. */
  private readonly owners = new Map<number, Owner>();
  private readonly draw: () => number;

  constructor(draw: () => number) {
    this.draw = draw;
  }

  get size(): number {
    return this.owners.size;
  }

  isFree(index: number): boolean {
    return index !== 0 && !this.owners.has(index | 0);
  }

  /** A free number; not reserved until `set`. */
  propose(): number {
    let index = this.draw();
    while (!this.isFree(index)) index = this.draw();
    return index;
  }

  set(index: number, owner: Owner): void {
    this.owners.set(index | 0, owner);
  }

  get(index: number): Owner | undefined {
    return this.owners.get(index | 0);
  }

  delete(index: number): void {
    this.owners.delete(index | 0);
  }
}
