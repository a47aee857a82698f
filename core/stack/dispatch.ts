import type { Digest } from "../collections/digest.js";
import { Forwarder, takeHop } from "../forwarding/forwarder.js";
import { LoopbackQueue } from "../forwarding/loopback-queue.js";
import { RouteWait } from "../forwarding/route-wait.js";
import { LINK_DATAGRAM_BYTES } from "../wire/control-frame.js";
import {
  decodeNetworkHeader,
  encodeNetworkHeader,
  HOP_LIMIT,
  NAC_OFFSET,
  NETWORK_HEADER_BYTES,
  NetworkHeader,
} from "../wire/network-header.js";
import { RECORD_HEADER_BYTES } from "../wire/record.js";
import type { Addresses } from "./addresses.js";
import { PACKET_OFFSET } from "./end-session.js";
import type { Links } from "./links.js";
import { type Plane, type Timed, timed } from "./plane.js";

// Scratch of one call, shared by all stacks.
const scratch = new Uint8Array(LINK_DATAGRAM_BYTES);

/** Stands for the link of packets that this node sent to itself. */
export const OWN_LINK = -1;

/** Gets a packet for a NAC of ours, at `bytes[at, at + END_PACKET_BYTES)`, that came by `link`. */
type PacketHandler = (nowUs: number, link: number, destination: number, bytes: Uint8Array, at: number) => void;

/** Which way packets go: those of others to the next hop, those for us up, our own out, round, or into the wait for a route. */
export class Dispatch {
  private readonly plane: Plane;
  private readonly addresses: Addresses;
  private readonly links: () => Links;
  private readonly onPacket: PacketHandler;
  private readonly forwarder = new Forwarder();
  private readonly routeWait = new RouteWait();
  private readonly waiting: Timed;
  private readonly loopback = new LoopbackQueue();
  private readonly looping: Timed;
  private readonly header = new NetworkHeader();

  constructor(args: { plane: Plane; addresses: Addresses; links: () => Links; onPacket: PacketHandler }) {
    const { plane } = args;
    this.plane = plane;
    this.addresses = args.addresses;
    this.links = args.links;
    this.onPacket = args.onPacket;
    this.waiting = timed(plane, this.routeWait, (now) => this.releaseWaiting(now));
    this.looping = timed(plane, this.loopback, (now) => this.drainLoopback(now));
  }

  /** Packets wait for a route, or for their turn. */
  get isWaiting(): boolean {
    return this.routeWait.waiting > 0 || !this.loopback.isEmpty;
  }

  /** Packets that wait for a route. */
  get waitingCount(): number {
    return this.routeWait.waiting;
  }

  /** The network header stands at `bytes[at]`, `length` bytes with its packet. */
  handleForward(nowUs: number, link: number, bytes: Uint8Array, at: number, length: number): void {
    const { header } = this;
    if (!decodeNetworkHeader(bytes, at, length, header)) return this.plane.drop("malformed");
    const destination = this.plane.ports.dictionary.find(bytes, at + NAC_OFFSET);
    const nextHop = destination < 0 ? -1 : this.plane.routing.nextHop(destination);
    const decision = this.forwarder.decide(this.addresses.isLocal(destination), nextHop, header.hopsLeft);
    switch (decision.kind) {
      case "local":
        return this.onPacket(nowUs, link, destination, bytes, at + NETWORK_HEADER_BYTES);
      case "relay":
        takeHop(bytes, at);
        this.plane.routing.want(nowUs, destination);
        if (!this.links().forward(decision.link, bytes, at - RECORD_HEADER_BYTES)) this.plane.drop("linkDown");
        return;
      case "drop":
        if (decision.reason === "noRoute" && this.plane.routing.knows(destination)) {
          this.plane.routing.want(nowUs, destination);
        }
        return this.plane.drop(decision.reason);
    }
  }

  /** Sends the packet that stands at `bytes[PACKET_OFFSET]`; the space before it is used for headers. */
  send(nowUs: number, destination: number, bytes: Uint8Array): void {
    if (this.addresses.isLocal(destination)) {
      this.plane.isWaiting = true;
      if (!this.loopback.add(destination, bytes, PACKET_OFFSET)) this.plane.drop("waitLimit");
      return;
    }
    this.plane.routing.want(nowUs, destination);
    const { routing } = this.plane;
    const next = routing.nextHop(destination);
    const link = next < 0 ? routing.hostLink : next; // a stub's own packets go where all is known; never those of others
    if (link < 0) {
      const nac = this.plane.ports.dictionary.bytesOf(destination);
      return this.waitForRoute(nowUs, nac, bytes, PACKET_OFFSET);
    }
    encodeNetworkHeader(bytes, RECORD_HEADER_BYTES, HOP_LIMIT, 0);
    this.plane.ports.dictionary.write(destination, bytes, RECORD_HEADER_BYTES + NAC_OFFSET);
    if (!this.links().forward(link, bytes, 0)) this.plane.drop("linkDown");
  }

  /** Sends a whole packet. */
  sendFlight(nowUs: number, destination: number, flight: Uint8Array): void {
    scratch.set(flight, PACKET_OFFSET);
    this.send(nowUs, destination, scratch);
  }

  waitForRoute(nowUs: number, nac: Uint8Array, bytes: Uint8Array, at: number): void {
    this.plane.isWaiting = true;
    if (!this.routeWait.add(nowUs, nac, bytes, at)) this.plane.drop("waitLimit");
    this.plane.watch(this.waiting);
  }

  /** After an input: what waited for a route goes out when there is one now. */
  settle(nowUs: number): void {
    if (this.routeWait.waiting > 0) this.releaseWaiting(nowUs);
    this.drainLoopback(nowUs);
  }

  /** Hands over what this node sent to itself. */
  drainLoopback(nowUs: number): void {
    if (this.loopback.isEmpty) return;
    this.loopback.drain(nowUs, (destination, bytes) => this.onPacket(nowUs, OWN_LINK, destination, bytes, 0));
    this.plane.watch(this.looping);
  }

  digest(into: Digest): void {
    this.routeWait.digest(into);
    this.loopback.digest(into);
  }

  private releaseWaiting(nowUs: number): void {
    const expired = this.routeWait.release(
      nowUs,
      (nacs, at) => {
        const destination = this.plane.ports.dictionary.find(nacs, at);
        return destination >= 0 && this.addresses.isReachable(destination) ? destination : -1;
      },
      (destination, packet) => this.sendFlight(nowUs, destination, packet),
    );
    for (let i = 0; i < expired; i += 1) this.plane.drop("noRoute");
    this.plane.watch(this.waiting);
  }
}
