import type { Happenings } from "./happenings.js";
import type { HonestPaths } from "./honest-paths.js";

/** How often an honest node of this shard was the first to doubt that another lives, and how often of one that did, and could be reached all the while. */
export class Suspicions {
  all = 0;
  ofTheLiving = 0;
  private readonly happenings: Happenings;
  private readonly paths: HonestPaths;

  constructor(happenings: Happenings, paths: HonestPaths) {
    this.happenings = happenings;
    this.paths = paths;
  }

  handleSuspicion(node: number, destination: number): void {
    if (!this.happenings.isHonest(node)) return;
    this.all += 1;
    if (this.happenings.isAlive(destination) && this.paths.wereJoined(node, destination)) this.ofTheLiving += 1;
  }
}
