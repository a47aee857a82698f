import { sameBytes } from "../collections/bytes.js";
import type { Dialer } from "../link/dialer.js";
import { Neighbour } from "../link/neighbour.js";
import type { Session } from "../session/session.js";
import { NEVER } from "../time/instant.js";
import type { Plane, Timed } from "./plane.js";

/** One end of a link: one session with a neighbour, over one path. */
export class Link implements Timed {
  readonly id: number;
  readonly path: number;
  readonly timer: number;
  readonly bornUs: number;
  readonly session: Session;
  readonly neighbour: Neighbour;
  /** Who dials again when the link is lost: its own, or that of a peer who was quicker. */
  dialer: Dialer | undefined;
  routerId: Uint8Array | undefined;
  /** Routing was told that the link is up. */
  routed = false;
  /** When it gives way to its successor. */
  retireAtUs: number = NEVER;
  private readonly onTimeout: (nowUs: number, link: Link) => void;

  constructor(args: {
    id: number;
    path: number;
    plane: Plane;
    session: Session;
    dialer: Dialer | undefined;
    nowUs: number;
    onTimeout: (nowUs: number, link: Link) => void;
  }) {
    this.id = args.id;
    this.path = args.path;
    this.session = args.session;
    this.dialer = args.dialer;
    this.bornUs = args.nowUs;
    this.neighbour = new Neighbour(args.nowUs, args.plane.ports.random32);
    this.onTimeout = args.onTimeout;
    this.timer = args.plane.enrol(this);
  }

  get isUp(): boolean {
    return this.neighbour.state.kind === "up";
  }

  /** Opened by the neighbour. */
  get isIncoming(): boolean {
    return !this.session.initiator;
  }

  /** We opened it and the neighbour showed the link key that we were told. */
  get isPinned(): boolean {
    return !this.isIncoming && this.dialer?.pin !== undefined;
  }

  get nextTimeoutUs(): number {
    return Math.min(this.neighbour.nextTimeoutUs, this.session.nextTimeoutUs, this.retireAtUs);
  }

  handleTimeout(nowUs: number): void {
    this.onTimeout(nowUs, this);
  }
}

/** A configured peer: its dialer, and the session number of the handshake under way. */
export class Peer implements Timed {
  readonly dialer: Dialer;
  readonly timer: number;
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

/** Two links that are up to the same router over the same path. */
export function isDouble(link: Link, other: Link): boolean {
  return other !== link && other.isUp && other.path === link.path && sameBytes(other.routerId, link.routerId);
}
