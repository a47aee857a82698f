import type { Digest } from "../collections/digest.js";
import { ControlMeter } from "../link/control-meter.js";
import type { Dialer } from "../link/dialer.js";
import { Neighbour } from "../link/neighbour.js";
import { PathCheck } from "../link/path-check.js";
import type { Session } from "../session/session.js";
import { NEVER } from "../time/instant.js";
import { Writer } from "../wire/cursor.js";
import { ROUTER_ID_BYTES } from "../wire/hello.js";
import type { Plane, Timed } from "./plane.js";

/** One end of a link: one session with a neighbour, over one path at a time. */
export class Link implements Timed {
  readonly id: number;
  /** Our number for its session, as a signed word, which is a small integer to the engine. */
  readonly index: number;
  /** Where the neighbour is; another one once it has shown that it moved. */
  path: number;
  /** Who opened it, if others did: links of one crowd come from one machine, as far as the shell can tell. It stays after a move. */
  readonly crowd: number;
  timer: number;
  readonly bornUs: number;
  readonly session: Session;
  readonly neighbour: Neighbour;
  readonly check = new PathCheck();
  readonly meter: ControlMeter;
  /** The highest packet number that was opened. */
  newest = -1;
  /** Who dials again when the link is lost: its own, or that of a peer who was quicker. */
  dialer: Dialer | undefined;
  /** Dialers whose own link was one too many: they dial again when this one is lost. */
  readonly sated: Dialer[] = [];
  /** The neighbour showed the link key that we were told, here or in a link that was merged into this one. */
  isPinned: boolean;
  /** The first hello named the router at the other end. */
  hasName = false;
  /** The two words of its id: each hello is compared with them. */
  private idHigh = 0;
  private idLow = 0;
  /** Routing knows the link. */
  routed = false;
  /** It dropped too often of late: when it is up, it is to stay so this long before it is routed. */
  private holdUs: number;
  private admitAtUs: number;
  /** The neighbour's last hello says that it holds the link; and that we are a stub there. */
  isHeldThere = false;
  isHosted = false;
  /** One neighbour too many: it is told of ourselves alone, and may advertise itself alone. */
  isStub = false;
  /** The shell was told that the link is up. */
  wasUp = false;
  /** The neighbour opened another one since, or was restarted: its death says no more than that. */
  isSuperseded = false;
  /** When it gives way to its successor. */
  retireAtUs: number = NEVER;
  /** Merged into another link: nothing new is sent on it, and it ends then. */
  drainedUs: number = NEVER;
  private readonly onTimeout: (nowUs: number, link: Link) => void;

  constructor(args: {
    id: number;
    path: number;
    crowd: number;
    plane: Plane;
    session: Session;
    dialer: Dialer | undefined;
    nowUs: number;
    holdUs: number;
    onTimeout: (nowUs: number, link: Link) => void;
  }) {
    this.id = args.id;
    this.path = args.path;
    this.crowd = args.crowd;
    const { session, dialer } = args;
    this.session = session;
    this.index = session.localIndex | 0;
    this.dialer = dialer;
    this.isPinned = session.initiator && dialer?.pin !== undefined;
    this.bornUs = args.nowUs;
    this.holdUs = args.holdUs;
    this.admitAtUs = args.holdUs > 0 ? NEVER : 0;
    this.meter = new ControlMeter(args.nowUs);
    this.neighbour = new Neighbour(args.nowUs, args.plane.ports.random32);
    this.onTimeout = args.onTimeout;
    this.timer = args.plane.enrol(this);
  }

  /** 8 bytes: the router at the other end. Zeros before it is named. */
  get routerId(): Uint8Array {
    const id = new Uint8Array(ROUTER_ID_BYTES);
    new Writer(id).u32(this.idHigh).u32(this.idLow);
    return id;
  }

  name(routerId: Uint8Array): void {
    this.hasName = true;
    this.idHigh = wordAt(routerId, 0);
    this.idLow = wordAt(routerId, 4);
  }

  isNamed(routerId: Uint8Array): boolean {
    return this.idHigh === wordAt(routerId, 0) && this.idLow === wordAt(routerId, 4);
  }

  isSameRouter(other: Link): boolean {
    return this.hasName && other.hasName && this.idHigh === other.idHigh && this.idLow === other.idLow;
  }

  get isUp(): boolean {
    return this.neighbour.isUp;
  }

  /** A word of the router id. */
  get mark(): number {
    return this.idLow;
  }

  /** It was another neighbour that dropped. */
  endHold(): void {
    this.holdUs = 0;
    this.admitAtUs = 0;
  }

  /** It came up: from now on it has to stay so. */
  beginHold(nowUs: number): void {
    if (this.holdUs > 0) this.admitAtUs = nowUs + this.holdUs;
  }

  isHeld(nowUs: number): boolean {
    return nowUs < this.admitAtUs;
  }

  /** Both ends want routes over it, which it has not yet. */
  isToBeRouted(nowUs: number): boolean {
    return !this.routed && this.isUp && !this.isDraining && !this.isHeldThere && !this.isHeld(nowUs);
  }

  /** Opened by the neighbour. */
  get isIncoming(): boolean {
    return !this.session.initiator;
  }

  get isDraining(): boolean {
    return this.drainedUs !== NEVER;
  }

  digestHold(into: Digest): void {
    into.number(this.admitAtUs).number(this.isHeldThere ? 1 : 0);
    into.number(this.isHosted ? 1 : 0).number(this.isStub ? 1 : 0);
  }

  get nextTimeoutUs(): number {
    const { neighbour, session, check } = this;
    const endUs = Math.min(this.retireAtUs, this.drainedUs);
    return Math.min(neighbour.nextTimeoutUs, session.nextTimeoutUs, check.nextTimeoutUs, endUs);
  }

  handleTimeout(nowUs: number): void {
    this.onTimeout(nowUs, this);
  }
}

/** By number. */
export function linksAmong(all: readonly Timed[]): Link[] {
  return all.filter((one) => one instanceof Link).sort((a, b) => a.id - b.id);
}

/** A configured peer: its dialer, and the session number of the handshake under way. */
export class Peer implements Timed {
  readonly dialer: Dialer;
  timer: number;
  /** The number proposed in our INIT; 0 while none is under way. */
  index = 0;
  private readonly onTimeout: (nowUs: number, peer: Peer) => void;

  constructor(plane: Plane, dialer: Dialer, onTimeout: (nowUs: number, peer: Peer) => void) {
    this.dialer = dialer;
    this.onTimeout = onTimeout;
    this.timer = plane.enrol(this);
  }

  get nextTimeoutUs(): number {
    return this.dialer.nextTimeoutUs;
  }

  handleTimeout(nowUs: number): void {
    this.onTimeout(nowUs, this);
  }
}

/** Signed: such a word is a small integer to the engine, whatever its upper bit. */
function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}
