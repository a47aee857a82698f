import type { StackEvent } from "../../core/stack/ports.js";
import type { Stack } from "../../core/stack/stack.js";
import { Paths } from "../network/paths.js";
import type { Plan } from "../plan/plan.js";

/** Of what waits in the socket of a paused process; beyond, datagrams are dropped. */
export const PAUSED_PACKETS_MAX = 256;

/** One simulated node while it lives: its stack and the shell around it. Made at each start. */
export class Host {
  readonly node: number;
  stack!: Stack;
  /** Local clock = `clockUs` + what passed since virtual time `sinceUs`, faster by `driftPpm`. */
  private clockUs: number;
  private sinceUs: number;
  private driftPpm: number;
  readonly paths = new Paths();
  /** Events that wait for the end of the call to the stack. */
  readonly events: StackEvent[] = [];
  /** When applications want time, local clock; Infinity for never. */
  wakeUs = Number.POSITIVE_INFINITY;
  isSoon = false;
  isPaused = false;
  /** Virtual time at which it leaves for good, after having said so. */
  endUs = Number.POSITIVE_INFINITY;
  packetUs = 0;
  queuePackets = 0;
  /** The processor is at work until then; so many datagrams wait for it. */
  busyUs = 0;
  waiting = 0;
  /** Since the last report of its load, virtual time: the longest that a datagram waited, and the time at work. */
  longestWaitUs = 0;
  workedUs = 0;
  loadDueUs = Number.POSITIVE_INFINITY;
  /** Slots of datagrams that came while it was paused. */
  readonly held: number[] = [];

  constructor(plan: Plan, node: number, nowUs: number, clockUs: number) {
    this.node = node;
    this.clockUs = clockUs;
    this.sinceUs = nowUs;
    const { driftPpm, cpu } = plan.nodes[node]!;
    this.driftPpm = driftPpm;
    this.paths.isInUse = (path) => this.stack.pathsInUse.includes(path);
    if (cpu !== undefined) this.slow(nowUs, cpu.packetUs, cpu.queuePackets);
  }

  /** From applications: `handleWake` is due at `atUs` of the local clock, or as soon as the call to the stack is over. */
  wakeAt(atUs: number): void {
    this.wakeUs = Math.min(this.wakeUs, atUs);
  }

  soon(): void {
    this.isSoon = true;
  }

  localUs(nowUs: number): number {
    const passed = nowUs - this.sinceUs;
    return this.clockUs + passed + (this.driftPpm === 0 ? 0 : Math.floor((passed * this.driftPpm) / 1e6));
  }

  /** The first virtual microsecond at which the local clock shows `localUs` or more. */
  virtualUs(localUs: number): number {
    const passed = localUs - this.clockUs;
    if (this.driftPpm === 0) return this.sinceUs + passed;
    let guess = this.sinceUs + Math.ceil(passed / (1 + this.driftPpm / 1e6));
    while (this.localUs(guess) < localUs) guess += 1;
    return guess;
  }

  leap(nowUs: number, leapUs: number, driftPpm: number): void {
    this.clockUs = this.localUs(nowUs) + leapUs;
    this.sinceUs = nowUs;
    this.driftPpm = driftPpm;
  }

  slow(nowUs: number, packetUs: number, queuePackets: number): void {
    this.packetUs = packetUs;
    this.queuePackets = queuePackets;
    if (this.loadDueUs === Number.POSITIVE_INFINITY) this.loadDueUs = nowUs + 1_000_000;
  }
}
