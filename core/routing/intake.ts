import type { NacDictionary } from "../address/dictionary.js";
import { ControlFrame } from "../wire/control-frame.js";
import { Reader } from "../wire/cursor.js";
import { decodeRouteHead } from "../wire/route-head.js";
import { decodeRouteRequest } from "../wire/route-request.js";
import { decodeRouteStatus } from "../wire/route-status.js";
import { decodeRouteEntry, decodeRoutesHead, ENTRY_RETRACTION, emptyRouteEntry } from "../wire/routes.js";
import { DESTINATIONS_MAX, type Decision } from "./decision.js";
import type { Neighbour } from "./neighbour.js";
import type { Origins } from "./origins.js";
import type { RouteTable } from "./route-table.js";

/** What neighbours say: control frames are checked, put in order, and handed to those whom they concern. */
export class Intake {
  private readonly table: RouteTable;
  private readonly decision: Decision;
  private readonly origins: Origins;
  private readonly dictionary: NacDictionary;
  private readonly entry = emptyRouteEntry();
  private readonly body = new Reader(new Uint8Array(0));

  constructor(table: RouteTable, decision: Decision, origins: Origins, dictionary: NacDictionary) {
    this.table = table;
    this.decision = decision;
    this.origins = origins;
    this.dictionary = dictionary;
  }

  /** False when the frame is malformed. Without a neighbour the frame is checked and ignored: repairs bring it again. */
  handleFrame(nowUs: number, neighbour: Neighbour | undefined, type: number, input: Reader): boolean {
    switch (type) {
      case ControlFrame.routes:
        return this.handleRoutes(nowUs, neighbour, input);
      case ControlFrame.routeStatus: {
        const status = decodeRouteStatus(input);
        return status !== undefined && (neighbour?.stream.handleStatus(nowUs, status) ?? true);
      }
      case ControlFrame.routeHead: {
        const sent = decodeRouteHead(input);
        if (sent !== undefined) neighbour?.stream.handleHead(nowUs, sent, true);
        return sent !== undefined;
      }
      case ControlFrame.routeRequest:
        return this.handleRequest(nowUs, neighbour, input);
      default:
        return false;
    }
  }

  private handleRoutes(nowUs: number, neighbour: Neighbour | undefined, input: Reader): boolean {
    const head = decodeRoutesHead(input);
    if (head === undefined) return false;
    const start = input.offset;
    for (let i = 0; i < head.count; i += 1) if (!decodeRouteEntry(input, this.entry)) return false;
    if (neighbour === undefined) return true;
    const body = input.bytes.subarray(start, input.offset);
    if (neighbour.stream.receive(nowUs, head.number, body) !== "next") return true;
    this.learnAll(nowUs, neighbour, body);
    for (let next = neighbour.stream.next(); next !== undefined; next = neighbour.stream.next()) {
      this.learnAll(nowUs, neighbour, next);
    }
    return true;
  }

  private learnAll(nowUs: number, neighbour: Neighbour, body: Uint8Array): void {
    const { body: input, entry } = this;
    input.bytes = body;
    input.offset = 0;
    input.end = body.length;
    input.ok = true;
    while (input.remaining > 0 && decodeRouteEntry(input, entry)) {
      let destination = this.dictionary.find(entry.bytes, entry.nacAt);
      if (destination < 0) {
        // A stranger to all of us: interned only for a route, and not without bound.
        if ((entry.flags & ENTRY_RETRACTION) !== 0) continue;
        if (!this.decision.mayTeachMore(neighbour)) continue;
        if (this.dictionary.size >= DESTINATIONS_MAX) {
          this.decision.ignored += 1;
          continue;
        }
        destination = this.dictionary.intern(entry.bytes, entry.nacAt);
      }
      if (this.table.isLocal(destination)) this.origins.handleHeard(nowUs, destination, entry.epoch);
      else this.decision.learn(nowUs, neighbour, destination, entry);
    }
  }

  private handleRequest(nowUs: number, neighbour: Neighbour | undefined, input: Reader): boolean {
    const request = decodeRouteRequest(input);
    if (request === undefined) return false;
    if (neighbour === undefined) return true;
    const destination = this.dictionary.find(request.nac);
    if (destination < 0 || !this.table.knows(destination)) return true;
    const index = request.slot * 256 + request.repair;
    const { table, decision } = this;
    const isLocal = table.isLocal(destination);
    if (isLocal) this.origins.handleHeard(nowUs, destination, request.epoch);
    const epoch = table.epoch[destination]!;
    const has = table.chosenIndex(destination);
    if (has >= 0 && (epoch > request.epoch || (epoch === request.epoch && has >= index))) {
      if (table.next[destination] !== neighbour.link) decision.announcements.answer(nowUs, neighbour, destination);
    } else if (isLocal) {
      decision.requests.pass(nowUs, neighbour, destination, request.epoch, index, 1);
      this.origins.wantRaise(nowUs, destination);
    } else {
      decision.requests.pass(nowUs, neighbour, destination, request.epoch, index, request.hops);
    }
    return true;
  }
}
