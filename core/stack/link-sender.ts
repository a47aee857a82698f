import { copyFew } from "../collections/bytes.js";
import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { TIME_UNKNOWN } from "../link/network-time.js";
import { CONTROL_BYTES_PER_10S, CONTROL_PARTS } from "../routing/control-budget.js";
import type { RekeyTypes } from "../session/rekey.js";
import { encodeBye } from "../wire/bye.js";
import { ControlFrame, LINK_DATAGRAM_BYTES, paddedControlBytes, RecordKind } from "../wire/control-frame.js";
import { Writer } from "../wire/cursor.js";
import { emptyHello, encodeHello } from "../wire/hello.js";
import { encodeMerge } from "../wire/merge.js";
import { END_PACKET_BYTES, NETWORK_HEADER_BYTES } from "../wire/network-header.js";
import { encodePathChallenge } from "../wire/path-challenge.js";
import { RECORD_HEADER_BYTES, RECORD_OVERHEAD_BYTES } from "../wire/record.js";
import { isCounterpart, MERGES_MAX, mergeProof } from "./doubles.js";
import type { Link } from "./link.js";
import type { LinkTable } from "./link-table.js";
import type { Plane } from "./plane.js";
import type { Load } from "./ports.js";

const LOAD_MAX = 255;
const QUEUE_DELAY_MS_MAX = 0xffff;

const REKEY_TYPES: RekeyTypes = { offer: ControlFrame.rekeyOffer, answer: ControlFrame.rekeyAnswer };

// Scratch of one call, shared by all stacks: what is said of the node itself is written here, sealed and sent at once.
const scratch = new Uint8Array(LINK_DATAGRAM_BYTES);
const writer = new Writer(scratch);
const hello = emptyHello();

/** All that leaves on links: packets of others, and what this node says of itself, each sealed into a record. */
export class LinkSender {
  private readonly plane: Plane;
  private readonly routerId: Uint8Array;
  private readonly links: LinkTable;
  private load: Load = { queueDelayUs: 0, busy: 0 };
  /** Of any link in ten seconds, without what two per cent of what it carries allow beyond. */
  readonly cap = new Cap("controlBytes", CONTROL_BYTES_PER_10S);

  constructor(plane: Plane, routerId: Uint8Array, links: LinkTable) {
    this.plane = plane;
    this.routerId = routerId;
    this.links = links;
  }

  /** How busy this node is, as its next hellos tell. */
  setLoad(load: Load): void {
    this.load = load;
  }

  /** Seals the network header and packet at `bytes[at + 13]`, in place. */
  sendForward(link: Link, bytes: Uint8Array, at: number): boolean {
    link.meter.carriedBytes += LINK_DATAGRAM_BYTES;
    return this.send(link, bytes, at, NETWORK_HEADER_BYTES + END_PACKET_BYTES);
  }

  /** Sends a key request or answer, which travel hop by hop. */
  sendKeyPacket(link: Link, kind: number, hops: number, packet: Uint8Array): boolean {
    const out = writer.reset(scratch, RECORD_HEADER_BYTES, LINK_DATAGRAM_BYTES);
    out.u8(kind).u8(hops).raw(packet);
    return this.send(link, scratch, 0, out.offset - RECORD_HEADER_BYTES);
  }

  /** Lets out what routing has ready for each link. */
  flushRoutes(nowUs: number): void {
    const routing = this.plane.routing;
    let idle = 0; // links in a row that had nothing to write after all
    for (let id = routing.pollLink(); id >= 0 && idle <= this.links.length; id = routing.pollLink()) {
      const link = this.links.get(id);
      const out = this.controlWriter();
      if (link !== undefined && routing.pollControl(nowUs, id, out)) {
        this.note(nowUs, link, Math.max(0, this.sendControl(link, out) - routing.snapshotBytes));
        idle = 0;
      } else idle += 1;
    }
  }

  sendHello(nowUs: number, link: Link): void {
    const routing = this.plane.routing;
    const out = this.controlWriter();
    copyFew(this.routerId, hello.routerId);
    const { time } = this.plane;
    hello.networkTimeMs = time.isDoubtful(nowUs) ? TIME_UNKNOWN : time.milliseconds(nowUs);
    hello.held = link.isHeld(nowUs);
    hello.stub = link.isStub || routing.isStub(link.id);
    hello.controlSent = link.routed ? routing.controlSent(link.id) : 0;
    hello.controlProcessed = link.routed ? routing.controlProcessed(link.id) : 0;
    copyFew(routing.tableDigest(link.id), hello.tableDigest);
    hello.queueDelayMs = Math.min(QUEUE_DELAY_MS_MAX, Math.ceil(this.load.queueDelayUs / 1000));
    hello.load = Math.min(LOAD_MAX, this.load.busy);
    encodeHello(out.u8(ControlFrame.hello), link.neighbour.nextHello(nowUs, hello, hello));
    this.writeMerges(link, out);
    const charged = routing.joinHello(nowUs, link.id, out);
    this.say(link, out);
    this.charge(nowUs, link, charged);
    this.plane.watch(link);
  }

  /** What the session has to say about its own keys. Hellos keep it in use, so it is never too late. */
  sendRekey(nowUs: number, link: Link): void {
    const out = this.controlWriter();
    if (link.session.pollRekey(nowUs, out, REKEY_TYPES)) this.say(link, out);
    this.plane.watch(link);
  }

  /** A question or an answer of a path check, on the path that it is about. */
  sendToken(link: Link, path: number, type: number, token: Uint8Array): void {
    const out = this.controlWriter();
    encodePathChallenge(out.u8(type), { token });
    this.say(link, out, path);
  }

  sendBye(link: Link, reason: number): void {
    const out = this.controlWriter();
    encodeBye(out.u8(ControlFrame.bye), { reason });
    this.say(link, out);
  }

  digest(into: Digest): void {
    into.number(this.load.queueDelayUs).number(this.load.busy);
  }

  /** Says under `link` which other links to the same neighbour are with us as well. */
  private writeMerges(link: Link, out: Writer): void {
    if (!this.links.hasDoubles || !link.isUp || link.isDraining) return;
    let count = 0;
    for (const other of this.links) {
      if (!isCounterpart(link, other)) continue;
      const proof = mergeProof(this.plane.session.suite, link, other, true);
      encodeMerge(out.u8(ControlFrame.merge), { index: other.session.peerIndex, proof });
      count += 1;
      if (count >= MERGES_MAX) return;
    }
  }

  private controlWriter(): Writer {
    const end = LINK_DATAGRAM_BYTES - (RECORD_OVERHEAD_BYTES - RECORD_HEADER_BYTES);
    return writer.reset(scratch, RECORD_HEADER_BYTES, end).u8(RecordKind.control);
  }

  /** What is not of routes is charged to the neighbour's budget with the next hello, and waits for nothing. */
  private say(link: Link, out: Writer, path = link.path): void {
    link.meter.saidBytes += this.sendControl(link, out, path);
  }

  /** @param charged  bytes that routing has charged already */
  private charge(nowUs: number, link: Link, charged: number): void {
    const { meter, id } = link;
    const { routing } = this.plane;
    const bytes = meter.saidBytes;
    meter.saidBytes = 0;
    if (this.note(nowUs, link, bytes) && link.routed) routing.linkRate(id, meter.carriedPerSecond);
    if (link.routed) routing.noteSaid(nowUs, id, Math.max(0, bytes - charged));
  }

  private note(nowUs: number, { meter }: Link, bytes: number): boolean {
    const isOver = meter.note(nowUs, bytes);
    const allowed = Math.floor((10 * meter.carriedPerSecond) / CONTROL_PARTS);
    this.cap.note(meter.bytes - Math.max(0, allowed - CONTROL_BYTES_PER_10S));
    return isOver;
  }

  /** Returns the size of the datagram. */
  private sendControl(link: Link, out: Writer, path = link.path): number {
    const bare = out.offset - RECORD_HEADER_BYTES + RECORD_OVERHEAD_BYTES;
    const bytes = paddedControlBytes(bare);
    out.zeros(bytes - bare);
    this.send(link, scratch, 0, out.offset - RECORD_HEADER_BYTES, path);
    return bytes;
  }

  private send(link: Link, bytes: Uint8Array, at: number, length: number, path = link.path): boolean {
    const total = link.session.seal(bytes, at, length);
    if (total === 0) return false;
    this.plane.ports.sink.transmit(path, bytes, at, total);
    return true;
  }
}
