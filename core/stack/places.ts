import type { Digest } from "../collections/digest.js";
import { nextFull } from "../link/degree.js";
import type { Transit } from "../routing/transit.js";
import type { Link } from "./link.js";
import type { LinkTable } from "./link-table.js";
import type { Plane } from "./plane.js";

/**
 * Neighbours that are told all. Further ones are stubs: they are told of us and of what they ask for, and advertise themselves
 * alone. Without that a node with 1,000 neighbours would tell each of them each change of the whole network.
 */
const FULL_NEIGHBOURS: Readonly<Record<Transit, number>> = { always: 64, lastResort: 16 };

/** Who of the neighbours is told all, and who is a stub (link/degree.ts). */
export class Places {
  private readonly plane: Plane;
  private readonly links: LinkTable;
  private readonly fullMax: number;
  /** Places that became free and were given to a stub. */
  private given = 0;

  constructor(plane: Plane, links: LinkTable, transit: Transit | undefined) {
    this.plane = plane;
    this.links = links;
    this.fullMax = FULL_NEIGHBOURS[transit ?? "always"];
  }

  /** The link was named: it becomes a stub if all places are taken, unless it takes another's, or we dialled it. */
  assign(link: Link): void {
    const same = this.links.find((other) => other !== link && other.isSameRouter(link));
    if (same !== undefined) link.isStub = same.isStub;
    else link.isStub = link.isIncoming && this.full(link).length >= this.fullMax;
  }

  /** The link is gone: a stub takes its place, if it had one. */
  handleDown(nowUs: number, link: Link): void {
    if (link.isStub || this.full(link).length >= this.fullMax) return;
    const stubs = [...this.links].filter((one) => one !== link && one.isStub && one.routed);
    const chosen = nextFull(
      stubs.map(candidateOf),
      this.full(link).map(candidateOf),
      this.given,
      this.random(stubs.length),
    );
    if (chosen === undefined) return;
    this.given += 1;
    chosen.link.isStub = false;
    this.tellRouting(nowUs, chosen.link);
  }

  /** What the two ends of a link are to each other. */
  tellRouting(nowUs: number, { id, isStub, isHosted }: Link): void {
    this.plane.routing.setRoles(nowUs, id, isStub, isHosted);
  }

  digest(into: Digest): void {
    into.number(this.given);
  }

  private full(but: Link): Link[] {
    return [...this.links].filter(
      (one) => one !== but && one.hasName && !one.isStub && !one.isDraining && !one.isSuperseded,
    );
  }

  /** Drawn only where there is a choice. */
  private random(choices: number): number {
    return choices > 1 ? this.plane.ports.random32() : 0;
  }
}

function candidateOf(link: Link): { readonly link: Link; readonly rttUs: number; readonly crowd: number } {
  return { link, rttUs: link.neighbour.rttUs, crowd: link.crowd };
}
