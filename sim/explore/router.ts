import type { NacDictionary } from "../../core/address/dictionary.js";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import type { Decision } from "../../core/routing/decision.js";
import type { RouteTable } from "../../core/routing/route-table.js";
import { Routing } from "../../core/routing/routing.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { traceNothing } from "../../core/trace/trace.js";
import { Reader, Writer } from "../../core/wire/cursor.js";
import { mutateRouting, type RoutingInside } from "../fault/mutations.js";
import type { Mutation } from "../plan/plan.js";
import type { RelativeDigest } from "./relative-digest.js";

/** Control frames of a record: 1,200 bytes less what seals it. */
const RECORD_ROOM = 1170;
/** Each record is copied out of it before the next is written: one serves all. */
const OUT = new Uint8Array(RECORD_ROOM);
/** Links answer within so much, as far as the core knows. */
const RTT_US = 20 * MILLISECOND_US;
/** Network time stands still: indexes of new origins begin in this slot. */
const SLOT = 1000;

// How long the core minds what happened: batches, answers of the origin, requests passed on, copies sent again.
const BATCH_US = 50 * MILLISECOND_US;
const RAISE_US = 500 * MILLISECOND_US;
const REQUEST_US = 2 * SECOND_US;
const COPY_US = RTT_US;

/** What passes between two ends at a hello. */
export interface Greeting {
  readonly sent: number;
  readonly processed: number;
  readonly digest: Uint8Array;
}

/**
 * The routing of one node: the core's own, with all its control frames. This is the only file of the exploration that knows how the
 * core is called, and what there is in it.
 */
export class Router {
  private readonly routing: Routing;
  private readonly inside: Inside;

  constructor(args: {
    dictionary: NacDictionary;
    routerId: Uint8Array;
    isLastResort: boolean;
    /** In place of chance: spreads requests in the background. */
    spread: number;
    mutation: Exclude<Mutation, "death"> | undefined;
  }) {
    const { dictionary, routerId, isLastResort, spread, mutation } = args;
    const ports = { dictionary, allocate: heapAllocator, random: () => spread, trace: traceNothing };
    this.routing = new Routing(ports, { routerId, transit: isLastResort ? "lastResort" : "always" });
    this.inside = insideOf(this.routing);
    if (mutation !== undefined) mutateRouting(this.inside, mutation);
  }

  get nextTimeoutUs(): number {
    return this.routing.nextTimeoutUs;
  }

  /** Link, or -1. */
  nextHop(destination: number): number {
    return this.routing.nextHop(destination);
  }

  /** Link cost included; undefined without a route. */
  metric(destination: number): number | undefined {
    return this.routing.route(destination)?.metric;
  }

  originate(nowUs: number, destination: number, epoch: number): void {
    this.routing.setSlot(nowUs, SLOT, nowUs);
    this.routing.originate(nowUs, destination, epoch);
  }

  handleTimeout(nowUs: number): void {
    this.routing.handleTimeout(nowUs);
  }

  linkUp(nowUs: number, link: number, routerId: Uint8Array, cost: number): void {
    this.routing.linkUp(nowUs, link, routerId, cost);
    this.routing.linkRtt(link, RTT_US);
  }

  linkDown(nowUs: number, link: number): void {
    this.routing.linkDown(nowUs, link);
  }

  /** Throws when the core refuses what another core wrote. */
  handleRecord(nowUs: number, link: number, record: Uint8Array): void {
    const reader = new Reader(record);
    while (reader.remaining > 0) {
      const type = reader.u8();
      if (!this.routing.handleFrame(nowUs, link, type, reader)) throw new Error(`a frame of type ${type} is refused`);
    }
  }

  greet(link: number): Greeting {
    const { routing } = this;
    return {
      sent: routing.controlSent(link),
      processed: routing.controlProcessed(link),
      digest: routing.tableDigest(link).slice(),
    };
  }

  handleGreeting(nowUs: number, link: number, { sent, processed, digest }: Greeting): void {
    if (!this.routing.handleHello(nowUs, link, sent, processed, digest)) throw new Error("a hello is refused");
  }

  /** Takes the records that are to leave now. */
  flush(nowUs: number, send: (link: number, record: Uint8Array) => void): void {
    const { routing } = this;
    for (let link = routing.pollLink(); link >= 0; link = routing.pollLink()) {
      const out = new Writer(OUT);
      if (routing.pollControl(nowUs, link, out)) send(link, OUT.slice(0, out.offset));
    }
  }

  /** All that this node told on the link was processed by `other` on its own, and the other way round. */
  isLevelWith(other: Router, link: number, otherLink: number): boolean {
    const mine = this.routing;
    const theirs = other.routing;
    return (
      mine.controlSent(link) === theirs.controlProcessed(otherLink) &&
      theirs.controlSent(otherLink) === mine.controlProcessed(link)
    );
  }

  /** The neighbour is known to have processed all that it was told, and no table is searched. */
  isSettled(link: number): boolean {
    const neighbour = this.inside.table.byLink[link];
    if (neighbour === undefined) return true;
    return neighbour.stream.sent === neighbour.stream.acknowledged && neighbour.search === undefined;
  }

  /** What it believes that the neighbour offers is what the neighbour offered. */
  believes(link: number, other: Router, otherLink: number): boolean {
    const learned = sumOf(this.inside.table.byLink[link]?.learned);
    const announced = sumOf(other.inside.table.byLink[otherLink]?.announced);
    return learned.high === announced.high && learned.low === announced.low;
  }

  /** The core's own digest, and what it leaves out: of two runs with different inputs, that may be all the difference. */
  digest(into: RelativeDigest): void {
    this.routing.digest(into);
    into.number(this.routing.nextTimeoutUs);
    const { origins, requests, neighbours } = this.inside;
    for (const origin of origins.values()) into.ago(origin.raisedUs, RAISE_US);
    for (const request of requests.values()) {
      into
        .number(request.hops)
        .number(request.isOwn ? 1 : 0)
        .number(request.asked)
        .number(request.repeatAtUs);
      into.ago(request.forwardedUs, REQUEST_US);
    }
    for (const neighbour of neighbours) {
      const { stream } = neighbour;
      into.ago(neighbour.lastBatchUs, BATCH_US).number(neighbour.isDraining ? 1 : 0);
      for (const { hops, destination, epoch, index } of neighbour.requests) {
        into.number(hops).number(destination).number(epoch).number(index);
      }
      into.number(stream.statusWaitUs).number(stream.kept.length);
      for (const { isMissing, atUs, length } of stream.kept) {
        into
          .number(isMissing ? 1 : 0)
          .number(length)
          .ago(atUs, COPY_US);
      }
    }
  }
}

/** Fields of the core that are nobody else's business. Their names are the core's; a test notices when one of them moves. */
interface Inside extends RoutingInside {
  readonly neighbours: readonly {
    readonly lastBatchUs: number;
    readonly isDraining: boolean;
    readonly requests: readonly { hops: number; destination: number; epoch: number; index: number }[];
    readonly stream: {
      readonly statusWaitUs: number;
      readonly kept: readonly { readonly isMissing: boolean; readonly atUs: number; readonly length: number }[];
    };
  }[];
  readonly requests: ReadonlyMap<
    number,
    {
      readonly hops: number;
      readonly isOwn: boolean;
      readonly asked: number;
      readonly forwardedUs: number;
      readonly repeatAtUs: number;
    }
  >;
  readonly origins: ReadonlyMap<number, { readonly raisedUs: number }>;
}

function insideOf(routing: Routing): Inside {
  const { table, decision, origins } = routing as unknown as {
    table: RouteTable;
    decision: Decision;
    origins: Pick<Inside, "origins">;
  };
  const { selection } = decision as unknown as Pick<Inside, "selection">;
  const { neighbours } = table as unknown as Pick<Inside, "neighbours">;
  const { requests } = decision as unknown as { requests: { open: Inside["requests"] } };
  return { table, decision, selection, neighbours, requests: requests.open, origins: origins.origins };
}

function sumOf(digest: unknown): { readonly high: number; readonly low: number } {
  return digest === undefined ? { high: 0, low: 0 } : (digest as { high: number; low: number });
}
