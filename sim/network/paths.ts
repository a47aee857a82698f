/** As many as node/udp.ts has. At the bound the oldest path that nobody uses is given away. */
export const PATHS_MAX = 4096;
/** Turns of the clock hand that a remote outlives without another datagram, as in node/udp.ts: heard only, or answered. */
const HEARD_TURNS = 1;
const ANSWERED_TURNS = 8;
const ROOM_MIN = 8;

/**
 * Paths of one simulated node: small integers for (interface, remote endpoint), given and taken back by the rules of the
 * real UDP port (node/udp.ts), so that a flood from strangers does to a simulated node what it does to a daemon.
 * test/contract holds the two against each other.
 */
export class Paths {
  /** Asked before a path is given to another remote: true while a link or a dial needs it. */
  isInUse: (path: number) => boolean = () => false;
  /** Datagrams from a new remote while every path was in use. */
  full = 0;

  private endpoints: Float64Array = new Float64Array(ROOM_MIN);
  private interfaces: Uint8Array = new Uint8Array(ROOM_MIN);
  private turns: Uint8Array = new Uint8Array(ROOM_MIN);
  private chainNext: Int32Array = new Int32Array(ROOM_MIN).fill(-1);
  /** Twice as many chains as there is room for paths. */
  private chainHead: Int32Array = new Int32Array(ROOM_MIN * 2).fill(-1);
  private count = 0;
  private last = -1;
  private hand = 0;

  /** Paths given so far are numbered below. */
  get size(): number {
    return this.count;
  }

  /** The path to a remote from our interface `i`, made when new; -1 when every path is in use. */
  pathOf(i: number, endpoint: number): number {
    if (this.last >= 0 && this.isPath(this.last, i, endpoint)) return this.last;
    let path = this.chainHead[this.chainOf(i, endpoint)]!;
    while (path >= 0 && !this.isPath(path, i, endpoint)) path = this.chainNext[path]!;
    if (path >= 0) {
      if (this.turns[path] === 0) this.turns[path] = HEARD_TURNS;
      this.last = path;
      return path;
    }
    path = this.takePath();
    if (path < 0) {
      this.full += 1;
      return -1;
    }
    this.endpoints[path] = endpoint;
    this.interfaces[path] = i;
    this.turns[path] = HEARD_TURNS;
    this.chain(path);
    this.last = path;
    return path;
  }

  /** Something is sent on the path: it is remembered for longer. */
  answer(path: number): void {
    this.turns[path] = ANSWERED_TURNS;
  }

  endpointOf(path: number): number {
    return this.endpoints[path]!;
  }

  interfaceOf(path: number): number {
    return this.interfaces[path]!;
  }

  private isPath(path: number, i: number, endpoint: number): boolean {
    return this.endpoints[path] === endpoint && this.interfaces[path] === i;
  }

  /** A number never given yet, else one taken from a remote that is out of turns; -1 if none. */
  private takePath(): number {
    if (this.count < PATHS_MAX) {
      if (this.count === this.endpoints.length) this.double();
      this.count += 1;
      return this.count - 1;
    }
    for (let step = 0; step < (ANSWERED_TURNS + 1) * PATHS_MAX; step += 1) {
      const path = this.hand;
      this.hand = (this.hand + 1) % PATHS_MAX;
      if (this.turns[path] !== 0) this.turns[path]! -= 1;
      else if (!this.isInUse(path)) {
        this.unchain(path);
        return path;
      }
    }
    return -1;
  }

  private chain(path: number): void {
    const chain = this.chainOf(this.interfaces[path]!, this.endpoints[path]!);
    this.chainNext[path] = this.chainHead[chain]!;
    this.chainHead[chain] = path;
  }

  private unchain(path: number): void {
    const chain = this.chainOf(this.interfaces[path]!, this.endpoints[path]!);
    if (this.chainHead[chain] === path) {
      this.chainHead[chain] = this.chainNext[path]!;
      return;
    }
    let before = this.chainHead[chain]!;
    while (this.chainNext[before] !== path) before = this.chainNext[before]!;
    this.chainNext[before] = this.chainNext[path]!;
  }

  private chainOf(i: number, endpoint: number): number {
    let h = Math.imul(endpoint | 0, 0x9e3779b1) ^ Math.imul(Math.floor(endpoint / 4_294_967_296) * 8 + i, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
    return (h ^ (h >>> 16)) & (this.chainHead.length - 1);
  }

  private double(): void {
    const { endpoints, interfaces, turns } = this;
    const room = endpoints.length * 2;
    this.endpoints = new Float64Array(room);
    this.endpoints.set(endpoints);
    this.interfaces = new Uint8Array(room);
    this.interfaces.set(interfaces);
    this.turns = new Uint8Array(room);
    this.turns.set(turns);
    this.chainNext = new Int32Array(room).fill(-1);
    this.chainHead = new Int32Array(room * 2).fill(-1);
    for (let path = 0; path < this.count; path += 1) this.chain(path);
  }
}
