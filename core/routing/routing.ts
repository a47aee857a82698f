import type { NacDictionary } from "../address/dictionary.js";
import type { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import type { TableAllocator } from "../collections/table-allocator.js";
import { NEVER } from "../time/instant.js";
import { Trace, type TraceSink } from "../trace/trace.js";
import { paddedControlBytes } from "../wire/control-frame.js";
import { type Reader, Writer } from "../wire/cursor.js";
import { ROUTER_ID_BYTES, TABLE_DIGEST_BYTES } from "../wire/hello.js";
import { RECORD_OVERHEAD_BYTES } from "../wire/record.js";
import { encodeRouteRequest, ROUTE_REQUEST_BYTES } from "../wire/route-request.js";
import { Share } from "./control-budget.js";
import { STALL_US } from "./control-stream.js";
import { Decision } from "./decision.js";
import { type Elements, type ElementsReport, noElements } from "./elements.js";
import { type Feasibility, isFeasible } from "./feasible.js";
import { BREACHES } from "./ingress.js";
import { Intake } from "./intake.js";
import { type Neighbour, wordAt } from "./neighbour.js";
import { type EpochUsed, Origins } from "./origins.js";
import { RouteTable } from "./route-table.js";
import type { TableCounts } from "./table-search.js";
import { type Transit, transitCost } from "./transit.js";

const COST_MAX = 4;

export interface RoutingPorts {
  readonly dictionary: NacDictionary;
  readonly trace: TraceSink;
  readonly allocate: TableAllocator;
  /** Hash chains that prove adverts; without them all are believed. */
  readonly elements?: Elements | undefined;
  /** Uniform u32; spreads background requests. */
  readonly random: () => number;
  /** An epoch of an own destination is about to be told to somebody; the shell stores it first. */
  readonly epochUsed?: EpochUsed;
  /** A bound made us ignore what a neighbour taught. */
  readonly ignored?: () => void;
}

export interface RoutingConfig {
  /** 8 bytes, random, one per node and start. */
  readonly routerId: Uint8Array;
  /** The rule that keeps routes free of loops; only a test gives another. */
  readonly isFeasible?: Feasibility;
  /** "always" unless given. */
  readonly transit?: Transit | undefined;
  /** Every origin proves every 15 s that it lives, and is believed dead 45 s after the slot of its last proof; see liveness.ts. */
  readonly isStrict?: boolean | undefined;
}

export interface Route {
  /** Link cost included; 0 for a destination of our own. */
  readonly metric: number;
  /** Link, or -1 for a destination of our own. */
  readonly nextHop: number;
  /** Links to go on with, best first, at most two. */
  readonly backups: readonly number[];
  readonly epoch: number;
  readonly slot: number;
  readonly repair: number;
}

/**
 * Routes of one node: a distance vector without loops, told to each neighbour as numbered changes.
 *
 * The owner hands in what links do and what neighbours say, then writes out what `pollLink` and `pollControl` give until
 * `pollLink` answers -1, and calls `handleTimeout` at `nextTimeoutUs`.
 */
export class Routing {
  /** Frames refused: not of the protocol, or promising what cannot be. */
  malformed = 0;
  /** When `handleTimeout` is due. Kept, because it is asked for after each input and most of them do not move it. */
  nextTimeoutUs: number = NEVER;

  /** After a pause of our own nobody else is stalled for a while. */
  private excusedUntilUs = -NEVER;
  private readonly table: RouteTable;
  private readonly decision: Decision;
  private readonly origins: Origins;
  private readonly intake: Intake;
  private readonly dictionary: NacDictionary;
  private readonly trace: TraceSink;
  private readonly routerId: Uint8Array;
  private readonly elements: Elements;
  private readonly helloDigest = new Uint8Array(TABLE_DIGEST_BYTES);

  constructor(ports: RoutingPorts, config: RoutingConfig) {
    if (config.routerId.length !== ROUTER_ID_BYTES) {
      throw new RangeError(`Routing: a router id has ${ROUTER_ID_BYTES} bytes, not ${config.routerId.length}`);
    }
    const elements = ports.elements ?? noElements;
    const isStrict = config.isStrict ?? false;
    this.routerId = config.routerId.slice();
    this.dictionary = ports.dictionary;
    this.trace = ports.trace;
    this.elements = elements;
    this.table = new RouteTable(config.routerId, ports.dictionary, ports.allocate);
    this.decision = new Decision({
      table: this.table,
      dictionary: ports.dictionary,
      isFeasible: config.isFeasible ?? isFeasible,
      transitCost: transitCost(config.transit ?? "always"),
      elements,
      isStrict,
      trace: ports.trace,
      random: ports.random,
      onIgnored: ports.ignored ?? (() => undefined),
    });
    const { table, decision } = this;
    this.origins = new Origins({ table, decision, elements, isStrict, epochUsed: ports.epochUsed });
    this.intake = new Intake({
      table: this.table,
      decision: this.decision,
      origins: this.origins,
      dictionary: ports.dictionary,
      elements,
    });
  }

  /** Link towards the destination, or -1: unknown, unreachable, or our own. */
  nextHop(destination: number): number {
    return destination < 0 ? -1 : this.table.records.next(destination);
  }

  /** Somebody announced the destination once. (It may be interned for another node that shares the dictionary.) */
  knows(destination: number): boolean {
    return destination >= 0 && this.table.knows(destination);
  }

  /** The newest epoch heard of for the destination; 0 when it is unknown. A restart raises it. */
  epochOf(destination: number): number {
    return this.table.knows(destination) ? this.table.records.epoch(destination) : 0;
  }

  /** How the chains of an own destination are; undefined where there are none. */
  chains(destination: number): ElementsReport | undefined {
    return this.elements.report(destination);
  }

  /** Destinations with a next hop. */
  get count(): number {
    return this.table.count;
  }

  /** Entries ignored because a neighbour taught too many destinations. */
  get ignored(): number {
    return this.decision.ignored;
  }

  route(destination: number): Route | undefined {
    const { table } = this;
    if (!table.knows(destination)) return undefined;
    const nextHop = table.records.next(destination);
    if (nextHop < 0 && !table.isLocal(destination)) return undefined;
    const index = table.chosenIndex(destination);
    return {
      metric: table.records.metric(destination),
      nextHop,
      backups: this.decision.selection.backups(destination),
      epoch: table.records.epoch(destination),
      slot: Math.floor(index / 256),
      repair: index % 256,
    };
  }

  /** In the order in which this node first heard of the destinations. */
  forEachRoute(visit: (destination: number, route: Route) => void): void {
    for (let i = 0; i < this.table.listed; i += 1) {
      const destination = this.table.order[i]!;
      const route = this.route(destination);
      if (route !== undefined) visit(destination, route);
    }
  }

  /** Newest control message number sent on the link; 0 when it is down. */
  controlSent(link: number): number {
    return this.table.byLink[link]?.stream.sent ?? 0;
  }

  controlProcessed(link: number): number {
    return this.table.byLink[link]?.stream.processed ?? 0;
  }

  /** For each HELLO: the 8 bytes that say what we announced on the link, valid until the next call; zeros while it is down. */
  tableDigest(link: number): Uint8Array {
    const neighbour = this.table.byLink[link];
    const out = new Writer(this.helloDigest);
    if (neighbour === undefined) out.zeros(TABLE_DIGEST_BYTES);
    else {
      const { listed, counts, frames } = this.table;
      if (neighbour.announced.isAuditDue(listed) && neighbour.recountAnnounced()) counts.miscounts += 1;
      frames.trim();
      neighbour.announced.write(out);
    }
    return this.helloDigest;
  }

  /** What the digests of neighbours' tables came to. */
  get tables(): TableCounts {
    return this.table.counts;
  }

  /** ROUTES entries written, and how many of them named their NAC by a short id. */
  get entries(): { readonly all: number; readonly short: number } {
    const { entries, shortEntries } = this.decision.announcements;
    return { all: entries, short: shortEntries };
  }

  /** What neighbours sent beyond their rates: messages that had to wait, requests and questions that were dropped. */
  get refusals(): { readonly messages: number; readonly requests: number; readonly questions: number } {
    const { hurried } = this.intake;
    return { messages: hurried, requests: this.decision.requests.refused, questions: this.tables.refused };
  }

  get caps(): readonly Cap[] {
    return this.decision.caps;
  }

  /** The neighbour has processed nothing for ten seconds though something is outstanding: its session should end. */
  isStalled(nowUs: number, link: number): boolean {
    if (nowUs < this.excusedUntilUs) return false; // it is we who stood still
    return this.table.byLink[link]?.stream.isStalled(nowUs) ?? false;
  }

  /** The network's time slot, before any other input of the same instant, and when it began on our clock. */
  setSlot(nowUs: number, slot: number, startUs: number): void {
    this.decision.liveness.setSlot(slot, startUs);
    this.origins.handleSlot(nowUs, startUs);
    this.refresh();
  }

  /** This node did nothing for a while: nobody is declared dead until it has read what was said meanwhile. */
  handlePause(nowUs: number): void {
    this.excusedUntilUs = nowUs + STALL_US;
    this.decision.liveness.handlePause(nowUs);
    this.refresh();
  }

  /** Network time is known again after a pause, and `setSlot` was called: whoever gave this node up hears that it lives. */
  handleReturn(nowUs: number): void {
    this.origins.handleReturn(nowUs);
    this.refresh();
  }

  /** What became of doubts, suspicions and proofs. */
  get liveness(): Readonly<Record<string, number>> {
    const { liveness, epochs } = this.decision;
    return { ...liveness.counts, ...this.intake.counts, ...epochs.counts };
  }

  /** A hello is about to leave on `link`: what waits for company goes with it. Returns the bytes that were charged for it. */
  joinHello(nowUs: number, link: number, out: Writer): number {
    const neighbour = this.table.byLink[link];
    if (neighbour === undefined) return 0;
    this.decision.announcements.joinHello(nowUs, neighbour);
    if (neighbour.batchAtUs > nowUs) return 0;
    const start = out.offset;
    return this.pollControl(nowUs, link, out) ? this.chargedBytes(out.offset - start) : 0;
  }

  /**
   * We are `destination`, in this epoch: announced to all neighbours as soon as its chains are made. `isFresh`: nobody here knows its last
   * epoch, so that whichever one others know may vouch for this one.
   */
  originate(nowUs: number, destination: number, epoch: number, isFresh = false): void {
    this.origins.originate(nowUs, destination, epoch, isFresh);
    this.refresh();
  }

  withdraw(nowUs: number, destination: number): void {
    this.origins.withdraw(nowUs, destination);
    this.refresh();
  }

  /** A packet of ours was sent to the destination, or could not be for want of a route. */
  want(nowUs: number, destination: number): void {
    this.decision.want(nowUs, destination);
    this.refresh();
  }

  /**
   * A link session came up. `link` is a small dense integer, free to be used again after `linkDown`. Throws RangeError for
   * a link that is up already and for a cost outside 1 .. 4.
   */
  linkUp(nowUs: number, link: number, neighbourRouterId: Uint8Array, cost: number): void {
    checkCost(cost);
    if (this.table.byLink[link] !== undefined) throw new RangeError(`Routing: link ${link} is up already`);
    const isLower = compareIds(neighbourRouterId, this.routerId) < 0;
    this.origins.handleLinkUp(nowUs);
    const neighbour = this.table.addNeighbour(link, isLower, neighbourRouterId, cost);
    const { announcements, wanted } = this.decision;
    announcements.tellSnapshot(nowUs, neighbour, this.origins.destinations, wanted.destinations);
    this.refresh();
  }

  /**
   * The session ended: all it taught is dropped, routes over it switch to their backups in this call. With `isMerged` the
   * neighbour proved that it is with us over another link: then what is lost with this one is not taken for dead.
   */
  linkDown(nowUs: number, link: number, isMerged = false): void {
    const neighbour = this.table.byLink[link];
    if (neighbour === undefined) return;
    this.trace(Trace.routesReset, link, neighbour.stream.processed, 0);
    this.origins.handleLinkDown();
    this.table.detach(neighbour);
    this.decision.handleDown(nowUs, neighbour, isMerged);
    this.table.release(neighbour);
    this.refresh();
  }

  linkCost(nowUs: number, link: number, cost: number): void {
    checkCost(cost);
    const neighbour = this.table.byLink[link];
    if (neighbour === undefined || neighbour.cost === cost) return;
    this.decision.handleCost(nowUs, neighbour, cost);
    this.refresh();
  }

  /**
   * The neighbour is a stub here, or we are one there. A stub is told of our own destinations and of what it asks for, and
   * of what it says only what it says of itself counts. False takes that back: both tell all.
   */
  setRoles(nowUs: number, link: number, isStub: boolean, isHost: boolean): void {
    const neighbour = this.table.byLink[link];
    if (neighbour === undefined) return;
    const isStubNow = isStub || neighbour.messages.standing !== "believed";
    if (neighbour.isStub === isStubNow && neighbour.isHost === isHost) return;
    const wasStub = neighbour.isStub;
    const wasSpared = neighbour.isSpared;
    neighbour.isStub = isStubNow;
    neighbour.isHost = isHost;
    if (isStubNow && !wasStub) this.decision.dropHearsay(nowUs, neighbour);
    if (neighbour.isSpared) neighbour.endSnapshot();
    else if (wasSpared) neighbour.beginSnapshot(nowUs);
    this.wake(nowUs, neighbour);
  }

  /** The neighbour is told little and hardly believed. */
  isStub(link: number): boolean {
    return this.table.byLink[link]?.isStub ?? false;
  }

  /** The neighbour broke the rules too often: its session should end, and none follow for a while. */
  isBanned(link: number): boolean {
    return this.table.byLink[link]?.messages.standing === "banned";
  }

  /** A neighbour of whom we are a stub: what of our own has no route may go by it. -1 when there is none. */
  get hostLink(): number {
    return this.table.neighbours.find(({ isHost }) => isHost)?.link ?? -1;
  }

  /** How often neighbours broke the rules, and how often what was to be told had to wait. */
  get storms(): Readonly<Record<string, number>> {
    const { breaches, neighbours } = this.table;
    const counts: Record<string, number> = { heldChanges: this.decision.heldChanges };
    for (const [i, breach] of BREACHES.entries()) counts[`${breach}Breaches`] = breaches[i]!;
    counts.stubs = neighbours.filter(({ isStub }) => isStub).length;
    counts.hosts = neighbours.filter(({ isHost }) => isHost).length;
    return counts;
  }

  /** Of the record that `pollControl` wrote last, the bytes that belong to a snapshot: they are counted apart. */
  get snapshotBytes(): number {
    return this.decision.announcements.snapshotBytes;
  }

  /** So many bytes of hellos and the like were sent on the link; the neighbour's share of them is charged. */
  noteSaid(nowUs: number, link: number, bytes: number): void {
    this.table.byLink[link]?.budget.charge(nowUs, bytes);
  }

  /** What the link carries for others: bytes in a second, as measured of late. */
  linkRate(link: number, bytesPerSecond: number): void {
    this.table.byLink[link]?.budget.setCarried(bytesPerSecond);
  }

  /** The link's smoothed round trip, microseconds: paces repairs. */
  linkRtt(link: number, rttUs: number): void {
    const neighbour = this.table.byLink[link];
    if (neighbour !== undefined) neighbour.stream.rttUs = rttUs;
  }

  /** A hello says how much the neighbour sent, and how much of ours it processed. False when that cannot be. */
  handleHello(nowUs: number, link: number, peerSent: number, peerProcessed: number, peerDigest: Uint8Array): boolean {
    const neighbour = this.table.byLink[link];
    if (neighbour === undefined) return true;
    const { stream } = neighbour;
    const isNews = stream.isNews(peerSent, peerProcessed);
    stream.handleHead(nowUs, peerSent, false);
    const isSound = stream.acknowledge(nowUs, peerProcessed);
    const isWhole = stream.processed === peerSent && neighbour.held === undefined;
    if (isWhole && !this.decision.isFull(neighbour)) {
      neighbour.compare(nowUs, wordAt(peerDigest, 0), wordAt(peerDigest, 4));
    }
    // Most hellos say nothing new: then nothing is due by them.
    if (isNews || neighbour.search !== undefined) this.wake(nowUs, neighbour);
    return this.judge(isSound);
  }

  /**
   * A control frame of the routing room (`ControlFrame.routes` .. `routeRequest`), its type byte consumed. False when it is
   * malformed. Frames on a link that is not up are ignored: repairs bring them again.
   */
  handleFrame(nowUs: number, link: number, type: number, input: Reader): boolean {
    const neighbour = this.table.byLink[link];
    const isSound = this.intake.handleFrame(nowUs, neighbour, type, input);
    if (neighbour !== undefined) {
      if (!isSound) neighbour.blame(nowUs, "malformed");
      if (neighbour.messages.standing !== "believed") this.setRoles(nowUs, link, true, neighbour.isHost);
      this.wake(nowUs, neighbour);
    }
    return this.judge(isSound);
  }

  /** The next link with something to write now, or -1. */
  pollLink(): number {
    return this.table.nextReady();
  }

  /**
   * Writes control frames that are due on `link`, as many as fit; at most one new ROUTES message. True when anything was
   * written. What did not fit keeps the link in `pollLink`: give it the room of a fresh record then.
   */
  pollControl(nowUs: number, link: number, out: Writer): boolean {
    const neighbour = this.table.byLink[link];
    if (neighbour === undefined) return false;
    const start = out.offset;
    if (neighbour.budget.opensUs(Share.retraction) <= nowUs) neighbour.stream.write(nowUs, out);
    if (neighbour.budget.opensUs(Share.answer) <= nowUs) {
      this.writeRequests(neighbour, out);
      this.decision.epochs.write(neighbour, out);
      neighbour.search?.write(nowUs, out);
      neighbour.answers?.write(out);
    }
    const entries = this.decision.announcements.write(nowUs, neighbour, out);
    if (entries > 0) this.trace(Trace.routesSent, link, entries, 0);
    neighbour.isReady = false;
    if (out.offset > start) {
      neighbour.budget.charge(nowUs, this.chargedBytes(out.offset - start));
    }
    this.wake(nowUs, neighbour);
    return out.offset > start;
  }

  handleTimeout(nowUs: number): void {
    this.decision.handleTimeout(nowUs);
    this.origins.handleTimeout(nowUs);
    for (const neighbour of this.table.takeDue(nowUs)) {
      this.intake.process(nowUs, neighbour);
      this.wake(nowUs, neighbour);
    }
    this.refresh();
  }

  digest(into: Digest): void {
    into.bytes(this.routerId);
    this.table.digest(into);
    this.decision.digest(into);
    this.origins.digest(into);
  }

  /** Of so many bytes of frames, as a record of their own, what counts: all but the snapshot's. */
  private chargedBytes(written: number): number {
    const bytes = paddedControlBytes(written + 1 + RECORD_OVERHEAD_BYTES); // 1: the kind of the record
    return Math.max(0, bytes - this.snapshotBytes);
  }

  private writeRequests(neighbour: Neighbour, out: Writer): void {
    const { requests } = neighbour;
    for (const { hops, destination, epoch, index, life } of requests.values()) {
      if (out.room < ROUTE_REQUEST_BYTES) return;
      const nac = this.dictionary.bytesOf(destination);
      encodeRouteRequest(out, { hops, nac, epoch, slot: Math.floor(index / 256), repair: index % 256, life });
      requests.delete(destination);
    }
  }

  private wake(nowUs: number, neighbour: Neighbour): void {
    const { stream, budget } = neighbour;
    const isAnswerDue =
      neighbour.requests.size > 0 ||
      neighbour.epochRequests.length > 0 ||
      neighbour.search?.isDue(nowUs) ||
      neighbour.answers?.isDue;
    const mayAnswer = isAnswerDue && budget.opensUs(Share.answer) <= nowUs;
    const mayRepair = stream.isDue(nowUs) && budget.opensUs(Share.retraction) <= nowUs;
    if (mayAnswer || mayRepair || this.decision.announcements.isDue(nowUs, neighbour)) this.table.makeReady(neighbour);
    this.table.watch(neighbour);
    this.refresh();
  }

  private refresh(): void {
    const { decision, origins, table } = this;
    this.nextTimeoutUs = Math.min(decision.nextTimeoutUs, origins.nextTimeoutUs, table.nextTimeoutUs);
  }

  private judge(isSound: boolean): boolean {
    if (!isSound) this.malformed += 1;
    return isSound;
  }
}

function checkCost(cost: number): void {
  if (!Number.isInteger(cost) || cost < 1 || cost > COST_MAX) {
    throw new RangeError(`Routing: a link costs 1 to ${COST_MAX}, not ${cost}`);
  }
}

function compareIds(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < ROUTER_ID_BYTES; i += 1) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}
