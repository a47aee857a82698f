import type { Plan } from "../plan/plan.js";
import { addressOf } from "./datagram.js";
import { PairIndex } from "./pair-index.js";

/**
 * Stations: whatever has an address in a realm, that is the interfaces of nodes, then the outer side of each realm's NAT.
 * All addresses that a station will ever have are known from the start; at any time one of them is its own.
 */
export class Stations {
  readonly count: number;
  /** Stations below are interfaces; station `interfaces + r` is the NAT of realm r, if that has one. */
  readonly interfaces: number;
  /** First interface of each node; the others follow. */
  readonly firstOf: Int32Array;
  /** -1 for a NAT. */
  readonly node: Int32Array;
  /** The realm in which it stands; -1: there is no such station. */
  readonly realm: Int32Array;
  readonly region: Int32Array;
  /** Model of its access line, -1 for none. */
  readonly access: Int32Array;
  readonly address: Float64Array;
  private readonly book: PairIndex;
  private readonly memberStart: Int32Array;
  private readonly members: Int32Array;

  constructor(plan: Plan) {
    const { nodes, realms } = plan;
    this.interfaces = nodes.reduce((sum, node) => sum + node.interfaces.length, 0);
    this.count = this.interfaces + realms.length;
    this.firstOf = new Int32Array(nodes.length);
    this.node = new Int32Array(this.count).fill(-1);
    this.realm = new Int32Array(this.count).fill(-1);
    this.region = new Int32Array(this.count);
    this.access = new Int32Array(this.count).fill(-1);
    this.address = new Float64Array(this.count).fill(-1);
    this.book = new PairIndex(this.count);

    let station = 0;
    nodes.forEach((node, number) => {
      this.firstOf[number] = station;
      for (const at of node.interfaces) {
        this.node[station] = number;
        this.place(station, at.realm, node.region, at.access, at.address);
        station += 1;
      }
    });
    realms.forEach((realm, number) => {
      const { nat } = realm;
      if (nat !== undefined) this.place(this.natOf(number), realm.parent, realm.region, nat.access, nat.address);
    });
    for (const action of plan.actions) {
      if (action.do === "move") this.own(this.firstOf[action.node]! + action.interface, action.address);
      if (action.do === "reboot") this.own(this.natOf(action.realm), action.address);
    }

    this.memberStart = new Int32Array(realms.length + 1);
    for (let i = 0; i < this.interfaces; i += 1) this.memberStart[this.realm[i]! + 1]! += 1;
    for (let r = 0; r < realms.length; r += 1) this.memberStart[r + 1]! += this.memberStart[r]!;
    this.members = new Int32Array(this.interfaces);
    const filled = this.memberStart.slice();
    for (let i = 0; i < this.interfaces; i += 1) {
      const realm = this.realm[i]!;
      this.members[filled[realm]!] = i;
      filled[realm]! += 1;
    }
  }

  natOf(realm: number): number {
    return this.interfaces + realm;
  }

  /** Whoever has, had or will have the address; -1 for nobody. */
  ownerOf(address: number): number {
    return this.book.get(address | 0, Math.floor(address / 4_294_967_296));
  }

  /** Whoever has the address of the endpoint now; -1 for nobody. */
  at(endpoint: number): number {
    const address = addressOf(endpoint);
    const station = this.ownerOf(address);
    return station >= 0 && this.address[station] === address ? station : -1;
  }

  /** The interfaces in a realm are `member(realm, 0)` to `member(realm, membersOf(realm) - 1)`. */
  membersOf(realm: number): number {
    return this.memberStart[realm + 1]! - this.memberStart[realm]!;
  }

  member(realm: number, index: number): number {
    return this.members[this.memberStart[realm]! + index]!;
  }

  private place(station: number, realm: number, region: number, access: number, address: number): void {
    this.realm[station] = realm;
    this.region[station] = region;
    this.access[station] = access;
    this.address[station] = address;
    this.own(station, address);
  }

  private own(station: number, address: number): void {
    const owner = this.ownerOf(address);
    if (owner >= 0 && owner !== station) throw new RangeError(`Stations: the address ${address} is given twice`);
    this.book.set(address | 0, Math.floor(address / 4_294_967_296), station);
  }
}
