import { MILLISECOND_US, NEVER, SECOND_US } from "../../core/time/instant.js";
import type { RelativeDigest } from "./relative-digest.js";

/** A link whose other end is gone is found dead after this long at the latest: two hellos and their probes. */
const NOTICE_US = 4 * SECOND_US;
/** The ends of a new session come up within so long of each other: what comes sooner waits in the pool of unknown sessions. */
const MEET_US = 250 * MILLISECOND_US;
/** No message travels longer. */
const TRAVEL_US = SECOND_US;

interface Message {
  readonly bytes: Uint8Array;
  readonly session: number;
  readonly sentUs: number;
}

/** One node's side of an edge. */
export interface End {
  readonly node: number;
  /** The node's own number of the link. */
  readonly link: number;
  isUp: boolean;
  /** Of the link session that is or was up. */
  session: number;
  /** The handshake is over, and the session comes up at this end by then; NEVER when none waits. */
  upByUs: number;
  /** The link is dead, and is found so by then; NEVER while it is alive. */
  noticeByUs: number;
  /** The neighbour's life that the session is with. */
  peerLife: number;
  /** What travels to this end. */
  messages: Message[];
}

/** What cables know of the node at an end. */
export interface Life {
  readonly isAlive: boolean;
  /** Counts its starts. */
  readonly life: number;
}

/**
 * The cables between the nodes of a small network, whole or cut, and what is on them: handshakes, sessions, and queues from which any
 * message may be taken. Nodes are indexes; the two ends of edge `e` are `2e` and `2e + 1`.
 */
export class Cables {
  readonly ends: readonly End[];
  /** Numbers of a node's ends, by link. */
  readonly endsOf: readonly (readonly number[])[];
  private readonly lives: readonly Life[];
  private readonly isWhole: boolean[];
  /** The newest of each edge. */
  private readonly session: number[];

  constructor(edges: readonly { readonly a: number; readonly b: number }[], lives: readonly Life[]) {
    this.lives = lives;
    this.isWhole = edges.map(() => true);
    this.session = edges.map(() => 0);
    const endsOf: number[][] = lives.map(() => []);
    this.endsOf = endsOf;
    this.ends = edges.flatMap(({ a, b }, edge) =>
      [a, b].map((node, side) => {
        const link = endsOf[node]!.push(edge * 2 + side) - 1;
        const far = { upByUs: NEVER, noticeByUs: NEVER, peerLife: 0, messages: [] };
        return { node, link, isUp: false, session: 0, ...far };
      }),
    );
  }

  /** A handshake over a cable that is whole, between nodes that live; a session that outlived the cut goes on. */
  establish(nowUs: number, edge: number): void {
    const [a, b] = [this.ends[edge * 2]!, this.ends[edge * 2 + 1]!];
    const bothLive = this.lives[a.node]!.isAlive && this.lives[b.node]!.isAlive;
    if (!this.isWhole[edge] || !bothLive) return;
    const outlived = a.isUp && b.isUp && a.session === b.session && a.peerLife === this.lives[b.node]!.life;
    if (!outlived) this.session[edge]! += 1;
    for (const end of [a, b]) {
      end.noticeByUs = NEVER;
      end.upByUs = outlived ? NEVER : nowUs + MEET_US;
    }
  }

  takeUp(number: number): void {
    const end = this.ends[number]!;
    end.isUp = true;
    end.upByUs = NEVER;
    end.session = this.session[number >> 1]!;
    end.peerLife = this.lives[this.peerOf(number)]!.life;
    end.messages = end.messages.filter(({ session }) => session === end.session);
  }

  takeDown(number: number): void {
    const end = this.ends[number]!;
    end.isUp = false;
    end.noticeByUs = NEVER;
    end.messages = end.messages.filter(({ session }) => session !== end.session);
  }

  cut(nowUs: number, edge: number): void {
    this.isWhole[edge] = false;
    for (const end of [edge * 2, edge * 2 + 1]) {
      this.ends[end]!.messages = [];
      this.fallSilent(nowUs, end);
    }
  }

  mend(nowUs: number, edge: number): void {
    this.isWhole[edge] = true;
    this.establish(nowUs, edge);
  }

  /** The node is dead: its ends are gone, those of its neighbours hear nothing more. */
  abandon(nowUs: number, node: number): void {
    for (const end of this.endsOf[node]!) {
      Object.assign(this.ends[end]!, { isUp: false, upByUs: NEVER, noticeByUs: NEVER, messages: [] });
      this.fallSilent(nowUs, end ^ 1);
    }
  }

  /** From the end `from`; lost where the other one takes nothing. */
  send(nowUs: number, from: number, bytes: Uint8Array): void {
    const to = this.ends[from ^ 1]!;
    if (!this.isWhole[from >> 1] || !this.lives[to.node]!.isAlive) return;
    const { session } = this.ends[from]!;
    if (session === to.session ? to.isUp : to.upByUs !== NEVER) {
      to.messages.push({ bytes, session, sentUs: nowUs });
    }
  }

  /** Takes the message at `place` off the cable, if the end has its session; undefined, and nothing changes, if not. */
  receive(number: number, place: number): Uint8Array | undefined {
    const end = this.ends[number]!;
    const message = end.messages[place];
    if (message === undefined || !end.isUp || message.session !== end.session) return undefined;
    end.messages.splice(place, 1);
    return message.bytes;
  }

  /** False when there is no such message. */
  lose(number: number, place: number): boolean {
    const { messages } = this.ends[number]!;
    if (messages[place] === undefined) return false;
    messages.splice(place, 1);
    return true;
  }

  // Getters.

  isCut(edge: number): boolean {
    return !this.isWhole[edge];
  }

  /** The node that something which travels to or waits at an end comes from. */
  peerOf(end: number): number {
    return this.ends[end ^ 1]!.node;
  }

  /** Both ends, when they are up in one session. */
  sessionOf(edge: number): readonly [End, End] | undefined {
    const a = this.ends[edge * 2]!;
    const b = this.ends[edge * 2 + 1]!;
    return this.isWhole[edge] && a.isUp && b.isUp && a.session === b.session ? [a, b] : undefined;
  }

  /** Over cables that are whole, through nodes that live. */
  reachedFrom(from: number): ReadonlySet<number> {
    const reached = new Set<number>();
    const open = this.lives[from]!.isAlive ? [from] : [];
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      reached.add(node);
      for (const end of this.endsOf[node]!) {
        const peer = this.peerOf(end);
        if (this.isWhole[end >> 1] && this.lives[peer]!.isAlive && !reached.has(peer)) open.push(peer);
      }
    }
    return reached;
  }

  /** Some message is on its way. */
  get isTravelling(): boolean {
    const { ends } = this;
    for (let end = 0; end < ends.length; end += 1) if (ends[end]!.messages.length > 0) return true;
    return false;
  }

  /** Some message would travel for longer than any does, if nothing happened before. */
  isOverdue(atUs: number): boolean {
    const { ends } = this;
    for (let end = 0; end < ends.length; end += 1) {
      for (const { sentUs } of ends[end]!.messages) if (atUs > sentUs + TRAVEL_US) return true;
    }
    return false;
  }

  /** When an end comes up or is found dead at the latest; NEVER when none waits. */
  nextMoment(): number {
    const { ends } = this;
    let nextUs = NEVER;
    for (let end = 0; end < ends.length; end += 1) {
      const { upByUs, noticeByUs } = ends[end]!;
      if (upByUs < nextUs) nextUs = upByUs;
      if (noticeByUs < nextUs) nextUs = noticeByUs;
    }
    return nextUs;
  }

  digest(nowUs: number, into: RelativeDigest): void {
    for (const [number, { isUp, session, upByUs, noticeByUs, peerLife, messages }] of this.ends.entries()) {
      const newest = this.session[number >> 1]!;
      into
        .number(isUp ? 1 + newest - session : 0)
        .number(upByUs)
        .number(noticeByUs)
        .number(isUp ? peerLife : 0);
      into.number(messages.length);
      for (const message of messages) {
        into
          .bytes(message.bytes)
          .number(newest - message.session)
          .span(nowUs - message.sentUs);
      }
    }
    for (const isWhole of this.isWhole) into.number(isWhole ? 1 : 0);
  }

  /** Nothing comes from the other end any more. */
  private fallSilent(nowUs: number, number: number): void {
    const end = this.ends[number]!;
    end.upByUs = NEVER;
    if (end.isUp) end.noticeByUs = Math.min(end.noticeByUs, nowUs + NOTICE_US);
  }
}
