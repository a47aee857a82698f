import { Trace } from "../trace/trace.js";
import { CONTROL_LEAST_BYTES, ControlFrame } from "../wire/control-frame.js";
import { PATH_TOKEN_BYTES } from "../wire/path-challenge.js";
import type { Link } from "./link.js";
import type { LinkSender } from "./link-sender.js";
import type { Plane } from "./plane.js";

/** Follows each neighbour to the path it is reached on: carries out what a link's PathCheck decides, and answers theirs. */
export class Whereabouts {
  private readonly plane: Plane;
  private readonly sender: LinkSender;

  constructor(plane: Plane, sender: LinkSender) {
    this.plane = plane;
    this.sender = sender;
  }

  /**
   * An authentic record came on `path`. The newest one tells where the neighbour is: if that is elsewhere, both places are
   * asked, and the link stays where it is until answer and silence have shown that it moved.
   */
  handleRecord(nowUs: number, link: Link, path: number, bytes: number): void {
    const number = link.session.openedCounter;
    const isNewest = number > link.newest;
    if (isNewest) link.newest = number;
    if (path === link.path) {
      if (isNewest) this.stay(link);
      return;
    }
    const { rttUs } = link.neighbour;
    const newToken = () => this.newToken();
    if (link.check.handleElsewhere(nowUs, { path, bytes, isNewest, rttUs, newToken })) this.poll(nowUs, link);
  }

  /** A copy was quicker than the original, but `path` is where the original came from. */
  handleReplay(link: Link, path: number): void {
    if (path === link.path) this.stay(link);
  }

  /** A question came on `path` in a record of `bytes`. Another address may be somebody's who asked for nothing. */
  handleChallenge(nowUs: number, link: Link, path: number, bytes: number, token: Uint8Array): void {
    if (!link.check.countAnswer(nowUs)) return;
    if (path !== link.path && link.check.spend(path, bytes, CONTROL_LEAST_BYTES)) {
      this.sender.sendToken(link, path, ControlFrame.pathResponse, token);
    }
    // The question for this path may have been copied to another one: whoever asked shall see, by the newest record, that
    // we are here too.
    this.sender.sendToken(link, link.path, ControlFrame.pathResponse, token);
  }

  handleResponse(nowUs: number, link: Link, path: number, token: Uint8Array): void {
    link.check.handleResponse(path, token);
    this.poll(nowUs, link);
  }

  /** Asks what is to be asked now; moves the link when that is settled. */
  poll(nowUs: number, link: Link): void {
    const { check } = link;
    const { state } = check;
    const step = check.handleTimeout(nowUs, CONTROL_LEAST_BYTES);
    if (step !== undefined && state.kind === "checking") {
      if (step.kind === "moved") this.move(nowUs, link, state.path);
      else {
        // Whatever comes back on the old path counts, so its token is nobody's concern, but must not be the other's.
        this.sender.sendToken(link, link.path, ControlFrame.pathChallenge, this.newToken());
        if (step.isNewToo) this.sender.sendToken(link, state.path, ControlFrame.pathChallenge, state.token);
      }
    }
    this.plane.watch(link);
  }

  /** The neighbour is still where it was. */
  private stay(link: Link): void {
    if (link.check.state.kind === "settled") return;
    link.check.handleHere();
    this.plane.watch(link);
  }

  private move(nowUs: number, link: Link, path: number): void {
    const from = link.path;
    link.path = path;
    link.neighbour.handleMoved();
    this.plane.ports.trace(Trace.linkMoved, link.id, path, from);
    this.plane.ports.sink.event({ kind: "linkMoved", link: link.id, path });
    this.sender.sendHello(nowUs, link);
  }

  private newToken(): Uint8Array {
    return this.plane.session.entropy(PATH_TOKEN_BYTES);
  }
}
