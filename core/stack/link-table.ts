import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import type { Link } from "./link.js";
import type { PeerStatus } from "./ports.js";

/**
 * Of links opened by others there are no more: an ordinary node holds 8, a public relay 64, and each may be replaced once.
 * At the bound the crowd that has most gives one to a crowd that has fewer; when all have the same the new one is refused.
 * Links to configured peers always find room: there are two per peer at most.
 */
const INCOMING_MAX = 128;

/** All links of this node by their numbers; the lowest free number is the next. */
export class LinkTable implements Iterable<Link> {
  readonly incomingCap = new Cap("linksIncoming", INCOMING_MAX);
  /** Two links or more name the same router, which is rare and never for long. */
  hasDoubles = false;
  private readonly links: (Link | undefined)[] = [];
  /** By path, of which the shell has so many: the link that was heard there last. */
  private readonly heard: (Link | undefined)[] = [];

  /** The number of the next link. */
  get freeId(): number {
    const id = this.links.indexOf(undefined);
    return id < 0 ? this.links.length : id;
  }

  /** The most links there ever were at once. */
  get length(): number {
    return this.links.length;
  }

  /** By number. Links may be deleted meanwhile. */
  *[Symbol.iterator](): Generator<Link> {
    for (const link of this.links) if (link !== undefined) yield link;
  }

  get(id: number): Link | undefined {
    return this.links[id];
  }

  holds(link: Link): boolean {
    return this.links[link.id] === link;
  }

  lastHeard(path: number): Link | undefined {
    return this.heard[path];
  }

  noteHeard(path: number, link: Link): void {
    while (this.heard.length < path) this.heard.push(undefined);
    this.heard[path] = link;
  }

  set(link: Link): void {
    this.links[link.id] = link;
    this.incomingCap.note(this.incomingCount);
  }

  delete(link: Link): void {
    this.links[link.id] = undefined;
    for (let path = 0; path < this.heard.length; path += 1) if (this.heard[path] === link) this.heard[path] = undefined;
    if (this.hasDoubles) this.hasDoubles = this.links.some((one) => one !== undefined && this.isDouble(one));
  }

  /** `link` was named. */
  noteDouble(link: Link): void {
    this.hasDoubles ||= this.isDouble(link);
  }

  find(isMeant: (link: Link) => boolean): Link | undefined {
    return this.links.find((link) => link !== undefined && isMeant(link));
  }

  /** No room for one more link opened by others. */
  get isFull(): boolean {
    return this.incomingCount >= INCOMING_MAX;
  }

  /**
   * The link that gives way to one more of `crowd`: of the largest crowd, if that has more than `crowd` even then. First one
   * on its way out or not up yet, else the youngest: whoever came early keeps its place. A peer of ours is never taken.
   */
  surplusFor(crowd: number): Link | undefined {
    const counts = new Map<number, number>();
    for (const link of this) if (isGuest(link)) counts.set(link.crowd, (counts.get(link.crowd) ?? 0) + 1);
    let largest = crowd;
    let most = (counts.get(crowd) ?? 0) + 1;
    for (const [one, count] of counts) {
      if (count <= most) continue;
      largest = one;
      most = count;
    }
    if (largest === crowd) return undefined;
    let found: Link | undefined;
    for (const link of this) {
      if (!isGuest(link) || link.crowd !== largest) continue;
      if (found === undefined || isLessUseful(link, found)) found = link;
    }
    return found;
  }

  get upCount(): number {
    let count = 0;
    for (const link of this.links) if (link?.isUp && !link.isDraining) count += 1;
    return count;
  }

  /** The paths that links hold or are about to move to, some of them twice. */
  get pathsInUse(): number[] {
    const paths: number[] = [];
    for (const link of this) {
      paths.push(link.path);
      if (link.check.state.kind === "checking") paths.push(link.check.state.path);
    }
    return paths;
  }

  status(nowUs: number): PeerStatus[] {
    const all: PeerStatus[] = [];
    for (const link of this) {
      const { neighbour } = link;
      if (neighbour.state.kind !== "up" || link.isDraining) continue;
      all.push({
        link: link.id,
        path: link.path,
        pinned: link.isPinned,
        incoming: link.isIncoming,
        found: link.dialer === undefined ? "incoming" : "config",
        rttUs: neighbour.rttUs,
        lossPerMille: neighbour.lossPerMille,
        cost: neighbour.cost,
        queueDelayMs: neighbour.queueDelayMs,
        load: neighbour.load,
        controlPeakPerSecond: Math.round(link.meter.peakBytes / 10),
        upUs: nowUs - neighbour.state.sinceUs,
      });
    }
    return all;
  }

  digest(into: Digest): void {
    into.number(this.links.length);
    for (const link of this) {
      into.number(link.id).number(link.path).number(link.crowd).number(link.bornUs).number(link.retireAtUs);
      into.number(link.routed ? 1 : 0).bytes(link.routerId);
      link.digestHold(into);
      into
        .number(link.newest)
        .number(link.drainedUs)
        .number(link.isPinned ? 1 : 0)
        .number(link.isSuperseded ? 1 : 0);
      into.number(link.sated.length);
      link.session.digest(into);
      link.neighbour.digest(into);
      link.check.digest(into);
      link.meter.digest(into);
    }
  }

  private isDouble(link: Link): boolean {
    return this.find((other) => other !== link && other.isSameRouter(link)) !== undefined;
  }

  private get incomingCount(): number {
    let count = 0;
    for (const link of this.links) if (link?.isIncoming) count += 1;
    return count;
  }
}

/** Opened by somebody whom we do not keep a link to ourselves. */
function isGuest(link: Link): boolean {
  return link.isIncoming && link.dialer === undefined && link.sated.length === 0;
}

function isLessUseful(link: Link, other: Link): boolean {
  const [isIdle, isOtherIdle] = [!link.isUp || link.isDraining, !other.isUp || other.isDraining];
  return isIdle === isOtherIdle ? link.bornUs >= other.bornUs : isIdle;
}
