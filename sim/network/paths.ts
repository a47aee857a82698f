/** As many as node/udp.ts has. At the bound the oldest path that nobody uses is given away. */
export const PATHS_MAX = 4096;
/** Turns of the clock hand that a remote outlives without another datagram, as in node/udp.ts: heard only, or answered. */
const HEARD_TURNS = 1;
const ANSWERED_TURNS = 8;
const CHAINS_MIN = 16;
const NONE = -1;

// Rows of `rows`, by path.
const ENDPOINT = 0;
const INTERFACE = 1;
const TURNS = 2;
/** The next path of its chain. */
const CHAIN = 3;
/** The node last heard from there. */
const PEER = 4;
const ROW = 5;

/**
 * Paths of one simulated node: small integers for (interface, remote endpoint), given and taken back by the rules of the
 * real UDP port (node/udp.ts), so that a flood from strangers does to a simulated node what it does to a daemon.
 * test/contract holds the two against each other.
 *
 * Thousands of nodes do not fit into a processor's cache: what is asked together lies together, in plain arrays, since
 * those of the typed kind have their bytes elsewhere.
 */
export class Paths {
  /** Asked before a path is given to another remote: true while a link or a dial needs it. */
  isInUse: (path: number) => boolean = () => false;
  /** Datagrams from a new remote while every path was in use. */
  full = 0;

  private readonly rows: number[] = [];
  /** At least twice as many chains as there are paths. */
  private heads: number[] = new Array<number>(CHAINS_MIN).fill(NONE);
  private count = 0;
  private last = NONE;
  private hand = 0;

  /** Paths given so far are numbered below. */
  get size(): number {
    return this.count;
  }

  /** The path to a remote from our interface `i`, made when new; -1 when every path is in use. */
  pathOf(i: number, endpoint: number): number {
    if (this.last >= 0 && this.isPath(this.last, i, endpoint)) return this.last;
    const { rows } = this;
    let path = this.heads[this.chainOf(i, endpoint)]!;
    while (path >= 0 && !this.isPath(path, i, endpoint)) path = rows[path * ROW + CHAIN]!;
    if (path >= 0) {
      if (rows[path * ROW + TURNS] === 0) rows[path * ROW + TURNS] = HEARD_TURNS;
      this.last = path;
      return path;
    }
    path = this.takePath();
    if (path < 0) {
      this.full += 1;
      return NONE;
    }
    if (!this.isPath(path, i, endpoint)) rows[path * ROW + PEER] = NONE;
    rows[path * ROW + ENDPOINT] = endpoint;
    rows[path * ROW + INTERFACE] = i;
    rows[path * ROW + TURNS] = HEARD_TURNS;
    this.chain(path);
    this.last = path;
    return path;
  }

  /** Something is sent on the path: it is remembered for longer. */
  answer(path: number): void {
    this.rows[path * ROW + TURNS] = ANSWERED_TURNS;
  }

  endpointOf(path: number): number {
    return this.rows[path * ROW + ENDPOINT]!;
  }

  interfaceOf(path: number): number {
    return this.rows[path * ROW + INTERFACE]!;
  }

  /** -1 for none. */
  peerOf(path: number): number {
    return this.rows[path * ROW + PEER]!;
  }

  setPeer(path: number, node: number): void {
    this.rows[path * ROW + PEER] = node;
  }

  private isPath(path: number, i: number, endpoint: number): boolean {
    return this.rows[path * ROW + ENDPOINT] === endpoint && this.rows[path * ROW + INTERFACE] === i;
  }

  /** A number never given yet, else one taken from a remote that is out of turns; -1 if none. */
  private takePath(): number {
    const { rows } = this;
    if (this.count < PATHS_MAX) {
      rows.push(NONE, 0, 0, NONE, NONE);
      this.count += 1;
      if (this.count * 2 > this.heads.length) this.rechain();
      return this.count - 1;
    }
    for (let step = 0; step < (ANSWERED_TURNS + 1) * PATHS_MAX; step += 1) {
      const path = this.hand;
      this.hand = (this.hand + 1) % PATHS_MAX;
      if (rows[path * ROW + TURNS] !== 0) rows[path * ROW + TURNS]! -= 1;
      else if (!this.isInUse(path)) {
        this.unchain(path);
        return path;
      }
    }
    return NONE;
  }

  private chain(path: number): void {
    const { rows, heads } = this;
    const chain = this.chainOf(this.interfaceOf(path), this.endpointOf(path));
    rows[path * ROW + CHAIN] = heads[chain]!;
    heads[chain] = path;
  }

  private unchain(path: number): void {
    const { rows, heads } = this;
    const chain = this.chainOf(this.interfaceOf(path), this.endpointOf(path));
    if (heads[chain] === path) {
      heads[chain] = rows[path * ROW + CHAIN]!;
      return;
    }
    let before = heads[chain]!;
    while (rows[before * ROW + CHAIN] !== path) before = rows[before * ROW + CHAIN]!;
    rows[before * ROW + CHAIN] = rows[path * ROW + CHAIN]!;
  }

  private chainOf(i: number, endpoint: number): number {
    let h = Math.imul(endpoint | 0, 0x9e3779b1) ^ Math.imul(Math.floor(endpoint / 4_294_967_296) * 8 + i, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
    return (h ^ (h >>> 16)) & (this.heads.length - 1);
  }

  /** Twice as many chains; the newest path is not in one yet. */
  private rechain(): void {
    this.heads = new Array<number>(this.heads.length * 2).fill(NONE);
    for (let path = 0; path < this.count - 1; path += 1) this.chain(path);
  }
}
