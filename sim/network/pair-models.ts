import type { Plan } from "../plan/plan.js";
import { PairIndex } from "./pair-index.js";

/**
 * Which model a datagram meets between two nodes where their ways join: the one that a fault put there, the one the plan
 * names for the pair, else the LAN's or the internet's default.
 *
 * Delay: a pair that the plan names has the delay of its model. All others in the internet have half the round trip of
 * their regions on top, degraded ones too: a worse line makes the earth no smaller.
 */
export class PairModels {
  /** Changes whenever an answer may be another than before. */
  version = 0;
  /** Of the latest `modelFor`. */
  extraUs = 0;

  private readonly plan: Plan;
  private readonly named: PairIndex;
  private readonly degraded = new PairIndex();

  constructor(plan: Plan) {
    this.plan = plan;
    this.named = new PairIndex(plan.pairs.length * 2);
    for (const { a, b, model, oneWay } of plan.pairs) {
      this.named.set(a, b, model);
      if (!oneWay) this.named.set(b, a, model);
    }
  }

  /** `to` is -1 when nobody knows who is behind a NAT. */
  modelFor(from: number, to: number, realm: number, fromRegion: number, toRegion: number): number {
    this.extraUs = realm === 0 ? halfRttUs(this.plan, fromRegion, toRegion) : 0;
    const usual = realm === 0 ? this.plan.defaultModel : this.plan.realms[realm]!.lan;
    if (to < 0) return usual;
    const named = this.named.get(from, to);
    if (named >= 0) this.extraUs = 0;
    const degraded = this.degraded.get(from, to);
    if (degraded >= 0) return degraded;
    return named >= 0 ? named : usual;
  }

  isNamed(from: number, to: number): boolean {
    return this.named.has(from, to);
  }

  /** `model` -1: what it met before. */
  degrade(a: number, b: number, model: number, oneWay: boolean): void {
    this.version += 1;
    this.put(a, b, model);
    if (!oneWay) this.put(b, a, model);
  }

  private put(a: number, b: number, model: number): void {
    if (model < 0) this.degraded.delete(a, b);
    else this.degraded.set(a, b, model);
  }
}

/** One way between two regions, rounded down. */
export function halfRttUs(plan: Plan, a: number, b: number): number {
  const { names, rttUs } = plan.regions;
  return Math.floor((rttUs[a * names.length + b] ?? 0) / 2);
}
