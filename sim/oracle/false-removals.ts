import type { Census } from "../engine/census.js";
import type { Happenings } from "./happenings.js";
import type { HonestPaths } from "./honest-paths.js";

/** A route that is gone for less is one that is being replaced. */
export const EXPLORING_US = 5_000_000;
/** Losses that are watched. Beyond: not looked at; whoever loses so many at once has lost its links. */
const WATCHED_MAX = 262_144;

/**
 * Living nodes taken for dead, each time that an honest node of this shard does so: it had a route and was without one for
 * more than 5 s, though links between honest nodes that live led there at each of the last 20 whole seconds. Exploration
 * after a change is over sooner, and whoever was cut off in these 20 s has reason to forget.
 */
export class FalseRemovals {
  count = 0;
  private readonly census: Census;
  private readonly happenings: Happenings;
  private readonly paths: HonestPaths;
  /** Node * nodes + destination, and when the route was lost, in this order. */
  private readonly lost = new Map<number, number>();

  constructor(census: Census, happenings: Happenings, paths: HonestPaths) {
    this.census = census;
    this.happenings = happenings;
    this.paths = paths;
  }

  handleRoute(nowUs: number, node: number, destination: number, hop: number): void {
    const { happenings, lost } = this;
    if (hop >= 0) {
      if (lost.size > 0) lost.delete(node * this.census.nodes + destination);
      return;
    }
    if (!happenings.isAlive(destination) || !happenings.isHonest(node) || !happenings.isHonest(destination)) return;
    const pair = node * this.census.nodes + destination;
    lost.delete(pair); // to the end
    if (lost.size < WATCHED_MAX) lost.set(pair, nowUs);
  }

  handleSecond(nowUs: number): void {
    const { nodes } = this.census;
    for (const [pair, lostUs] of this.lost) {
      if (lostUs + EXPLORING_US > nowUs) return;
      this.lost.delete(pair);
      const node = Math.floor(pair / nodes);
      const destination = pair % nodes;
      const isOfThisLife = this.happenings.bornAtUs(node) < lostUs && this.happenings.bornAtUs(destination) < lostUs;
      if (isOfThisLife && this.paths.wereJoined(node, destination)) this.count += 1;
    }
  }
}
