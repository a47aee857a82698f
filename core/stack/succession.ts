import { NEVER, SECOND_US } from "../time/instant.js";
import type { Merge } from "../wire/merge.js";
import { isCounterpart, isMergeProof, isOursKept, isSuccessor } from "./doubles.js";
import type { Link } from "./link.js";
import type { LinkOwner } from "./link-handshakes.js";
import type { LinkSender } from "./link-sender.js";
import type { LinkTable } from "./link-table.js";
import type { Plane, SessionIndex } from "./plane.js";

/** A link whose successor is up stays for this long, so that routes move over before it goes. */
const OVERLAP_US = 5 * SECOND_US;
/** A link that was merged into another one still takes what is on its way. */
const DRAIN_US = SECOND_US;

/**
 * Which of several links to one router stays. The younger of two from the same end takes the place of the older one; of two
 * that were opened from both ends one is merged into the other, once each end has proven that both are with it.
 */
export class Succession {
  private readonly plane: Plane;
  private readonly routerId: Uint8Array;
  private readonly links: LinkTable;
  private readonly index: SessionIndex<LinkOwner>;
  private readonly sender: LinkSender;

  constructor(args: {
    plane: Plane;
    routerId: Uint8Array;
    links: LinkTable;
    index: SessionIndex<LinkOwner>;
    sender: LinkSender;
  }) {
    this.plane = args.plane;
    this.routerId = args.routerId;
    this.links = args.links;
    this.index = args.index;
    this.sender = args.sender;
  }

  /** `link` came up, perhaps beside others to the same router. */
  handleUp(nowUs: number, link: Link): void {
    for (const other of this.links) {
      if (isSuccessor(link, other)) this.succeed(nowUs, other);
      else if (isCounterpart(link, other)) this.sender.sendHello(nowUs, other); // with the proof that both are with us
    }
  }

  /** The neighbour on `carrier` says that one more link is with it. If it proves that, one of the two is enough. */
  handleMerge(nowUs: number, carrier: Link, said: Merge): void {
    const owner = this.index.get(said.index);
    if (owner?.kind !== "link" || !carrier.isUp || carrier.isDraining || !isCounterpart(carrier, owner.link)) return;
    const other = owner.link;
    if (!isMergeProof(this.plane.session.suite, carrier, other, said.proof)) return this.plane.drop("protocol");
    const [ours, theirs] = carrier.isIncoming ? [other, carrier] : [carrier, other];
    const isOurs = isOursKept(this.routerId, theirs.routerId);
    this.sender.sendHello(nowUs, carrier); // our proof, while both still stand
    this.merge(nowUs, isOurs ? ours : theirs, isOurs ? theirs : ours);
  }

  /** The hello that is due now tells whether anybody still holds the link: without an answer it is dead in a moment. */
  supersede(nowUs: number, older: Link): void {
    older.isSuperseded = true;
    older.neighbour.doubt(nowUs);
    this.plane.watch(older);
  }

  /** The overlap of `link` is over. True when it may go: a successor still stands. */
  isOver(link: Link): boolean {
    link.retireAtUs = NEVER;
    return this.links.find((other) => isSuccessor(link, other)) !== undefined;
  }

  /** The opener has a younger link: as successor of a session that is used up, or because he lost this one. */
  private succeed(nowUs: number, older: Link): void {
    if (!older.isIncoming) older.retireAtUs = nowUs + OVERLAP_US;
    this.supersede(nowUs, older);
  }

  /** `spare` ends in favour of `kept`, which inherits what was proven about it and whoever looks after it. */
  private merge(nowUs: number, kept: Link, spare: Link): void {
    kept.isPinned ||= spare.isPinned;
    for (const dialer of [spare.dialer, ...spare.sated.splice(0)]) {
      if (dialer === undefined) continue;
      if (kept.dialer === undefined) kept.dialer = dialer;
      else kept.sated.push(dialer);
    }
    spare.dialer = undefined;
    spare.drainedUs = nowUs + DRAIN_US;
    unroute(this.plane, nowUs, spare, true);
    this.plane.watch(spare);
  }
}

/** Nothing more goes over the link, and what it taught is dropped. `isMerged`: its neighbour is with us over another one. */
export function unroute(plane: Plane, nowUs: number, link: Link, isMerged = false): void {
  if (!link.routed) return;
  link.routed = false;
  plane.time.forget(link.id);
  plane.routing.linkDown(nowUs, link.id, isMerged);
}
