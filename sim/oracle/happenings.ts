import { Barriers } from "../network/barriers.js";
import type { Action, Plan } from "../plan/plan.js";
import type { Passage } from "./live-graph.js";

const PAUSED = 1;
/** Once a liar, always one, restarts included. */
const LYING = 2;
const LIVING = 4;

/** What the plan did to the world so far, as far as promises depend on it: cuts, who stands still, who lies. */
export class Happenings implements Passage {
  /** Nodes that lie, in order. */
  readonly liars: number[] = [];
  /** Nodes that are paused now. */
  readonly asleep = new Set<number>();
  /** When the last action happened; -1 before the first. */
  lastUs = -1;
  liveCount = 0;

  private readonly actions: readonly Action[];
  private readonly barriers: Barriers;
  private readonly state: Uint8Array;
  /** When the node was last resumed; -1. */
  private readonly resumedUs: Float64Array;
  /** Last start and last end by the plan; -1 for never. */
  private readonly bornUs: Float64Array;
  private readonly diedUs: Float64Array;
  private next = 0;

  constructor(plan: Plan) {
    this.actions = plan.actions;
    this.barriers = new Barriers(plan.nodes.length);
    this.state = new Uint8Array(plan.nodes.length);
    this.resumedUs = new Float64Array(plan.nodes.length).fill(-1);
    this.bornUs = new Float64Array(plan.nodes.length).fill(-1);
    this.diedUs = new Float64Array(plan.nodes.length).fill(-1);
  }

  isAwake(node: number): boolean {
    return (this.state[node]! & PAUSED) === 0;
  }

  isHonest(node: number): boolean {
    return (this.state[node]! & LYING) === 0;
  }

  isOpen(from: number, to: number): boolean {
    return this.barriers.isOpen || !(this.barriers.isPartitioned(from, to) || this.barriers.isCut(from, to));
  }

  resumedAtUs(node: number): number {
    return this.resumedUs[node]!;
  }

  isAlive(node: number): boolean {
    return (this.state[node]! & LIVING) !== 0;
  }

  bornAtUs(node: number): number {
    return this.bornUs[node]!;
  }

  diedAtUs(node: number): number {
    return this.diedUs[node]!;
  }

  /**
   * All that happens before `nowUs`. To be called at ends of windows only: what shards see in between would depend on how
   * the nodes are shared out.
   */
  advance(nowUs: number): void {
    for (; this.next < this.actions.length && this.actions[this.next]!.atUs < nowUs; this.next += 1) {
      this.apply(this.actions[this.next]!);
    }
  }

  private apply(action: Action): void {
    this.lastUs = action.atUs;
    switch (action.do) {
      case "pause":
        this.state[action.node]! |= PAUSED;
        this.asleep.add(action.node);
        return;
      case "resume":
        return this.wake(action.node, action.atUs);
      case "start":
      case "restart":
        if (!this.isAlive(action.node)) this.liveCount += 1;
        this.bornUs[action.node] = action.atUs;
        this.state[action.node]! |= LIVING;
        return this.wake(action.node, -1); // a new life stands still only when it is paused
      case "crash":
      case "leave":
        if (this.isAlive(action.node)) this.liveCount -= 1;
        this.diedUs[action.node] = action.atUs;
        this.state[action.node]! &= ~LIVING;
        return this.wake(action.node, -1);
      case "byzantine":
        if (this.isHonest(action.node)) this.liars.push(action.node);
        this.state[action.node]! |= LYING;
        return;
      case "partition":
        return this.barriers.partition(action.id, action.from, action.to, action.oneWay);
      case "heal":
        return this.barriers.heal(action.id);
      case "cut":
        return this.barriers.cut(action.a, action.b, action.oneWay);
      case "mend":
        return this.barriers.mend(action.a, action.b);
      default:
    }
  }

  private wake(node: number, atUs: number): void {
    if (!this.isAwake(node)) this.resumedUs[node] = atUs;
    this.state[node]! &= ~PAUSED;
    this.asleep.delete(node);
  }
}
