import type { Nat as NatPlan } from "../plan/plan.js";
import { scaled, weather } from "../random/weather.js";
import { addressOf, endpointOf, PORTS, portOf } from "./datagram.js";
import { Leases } from "./leases.js";
import { PairIndex } from "./pair-index.js";

/** Ports that a NAT gives by itself: not the well-known ones. */
const FIRST_PORT = 1024;
const OWN_PORTS = PORTS - FIRST_PORT;
/** However many a plan allows: some of the 64,512 ports stay free, so that one is found soon, also for a rebind. */
export const NAT_MAPPINGS_MAX = 60_000;
/** Remotes that a NAT remembers for each mapping it has room for; beyond, the one idle for longest is a stranger again. */
const REMOTES_PER_MAPPING = 16;

export const NO_MAPPING = -1;
export const FILTERED = -2;

/**
 * A NAT after RFC 4787, one UDP mapping table.
 *
 *   mapping    when two remotes see the same external port: always (REQ-1), same address, same address and port
 *   filtering  who may answer: anybody, addresses that were sent to, endpoints that were sent to
 *   port       the internal port if it is free, the next in turn, or any; never one that another mapping has
 *
 * A mapping lives while the inside uses it (REQ-6), or also while the outside does, for `timeoutUs` each time (REQ-5); the
 * remotes of a mapping count for as long. With `mappingsMax` mappings the one idle for longest makes room.
 */
export class Nat {
  address: number;
  private readonly plan: NatPlan;
  private readonly key: number;
  /** (inside endpoint, what of the remote matters): the port, and a serial that names the mapping for ever. */
  private readonly mappings: Leases;
  private readonly byPort = new PairIndex();
  /** (serial, remote); undefined when anybody may answer. */
  private readonly remotes: Leases | undefined;
  private serial = 0;
  private nextPort = FIRST_PORT;
  private draws = 0;

  /** `key`: of the weather that random ports are drawn from. */
  constructor(plan: NatPlan, key: number) {
    this.plan = plan;
    this.key = key;
    this.address = plan.address;
    const max = Math.max(1, Math.min(plan.mappingsMax, NAT_MAPPINGS_MAX));
    this.mappings = new Leases(max, plan.timeoutUs);
    this.mappings.onEnd = (slot) => this.byPort.delete(this.mappings.c(slot), 0);
    this.remotes = plan.filtering === "endpoint" ? undefined : new Leases(max * REMOTES_PER_MAPPING, plan.timeoutUs);
  }

  get size(): number {
    return this.mappings.size;
  }

  /** From inside: the external endpoint that `to` sees. Times never go back from one call to the next. */
  outward(nowUs: number, from: number, to: number): number {
    this.mappings.expire(nowUs);
    const remote = scopeOf(this.plan.mapping, to);
    let slot = this.mappings.find(from, remote);
    if (slot >= 0) this.mappings.use(slot, nowUs);
    else slot = this.map(from, remote, nowUs);
    if (this.remotes !== undefined) this.welcome(this.remotes, this.mappings.d(slot), to, nowUs);
    return endpointOf(this.address, this.mappings.c(slot));
  }

  /** From outside: the internal endpoint that has `port`, or NO_MAPPING, FILTERED. */
  inward(nowUs: number, from: number, port: number): number {
    this.mappings.expire(nowUs);
    const slot = this.mappingOf(port);
    if (slot < 0) return NO_MAPPING;
    if (this.remotes !== undefined) {
      this.remotes.expire(nowUs);
      const remote = this.remotes.find(this.mappings.d(slot), scopeOf(this.plan.filtering, from));
      if (remote < 0) return FILTERED;
      if (this.plan.inboundRefresh) this.remotes.use(remote, nowUs);
    }
    if (this.plan.inboundRefresh) this.mappings.use(slot, nowUs);
    return this.mappings.a(slot);
  }

  /** Who has `port`, without using the mapping; NO_MAPPING for nobody. */
  peek(port: number): number {
    const slot = this.mappingOf(port);
    return slot < 0 ? NO_MAPPING : this.mappings.a(slot);
  }

  /** Every mapping gets another port. Those outside who answer to the old one reach nobody, or somebody else. */
  rebind(nowUs: number): void {
    this.mappings.expire(nowUs);
    for (let slot = this.mappings.oldest; slot >= 0; slot = this.mappings.after(slot)) {
      const port = this.freePort();
      this.byPort.delete(this.mappings.c(slot), 0);
      this.mappings.put(slot, port, this.mappings.d(slot));
      this.byPort.set(port, 0, slot);
    }
  }

  /** Switched off and on: all is forgotten. */
  reboot(address: number): void {
    this.mappings.clear();
    this.remotes?.clear();
    this.nextPort = FIRST_PORT;
    this.address = address;
  }

  private mappingOf(port: number): number {
    const newest = this.mappings.newest;
    return newest >= 0 && this.mappings.c(newest) === port ? newest : this.byPort.get(port, 0);
  }

  private map(from: number, remote: number, nowUs: number): number {
    const slot = this.mappings.add(from, remote, nowUs);
    const own = portOf(from);
    const keepsPort = this.plan.portChoice === "preserve" && !this.byPort.has(own, 0);
    const port = keepsPort ? own : this.freePort();
    this.byPort.set(port, 0, slot);
    this.serial += 1;
    this.mappings.put(slot, port, this.serial);
    return slot;
  }

  private welcome(remotes: Leases, serial: number, to: number, nowUs: number): void {
    remotes.expire(nowUs);
    const remote = scopeOf(this.plan.filtering, to);
    const known = remotes.find(serial, remote);
    if (known >= 0) remotes.use(known, nowUs);
    else remotes.add(serial, remote, nowUs);
  }

  /** There is always one: mappings are fewer than ports. */
  private freePort(): number {
    let port = this.nextPort;
    if (this.plan.portChoice === "random") {
      this.draws += 1;
      port = FIRST_PORT + scaled(weather(this.key, this.draws, 1), OWN_PORTS);
    }
    while (this.byPort.has(port, 0)) port = port === PORTS - 1 ? FIRST_PORT : port + 1;
    this.nextPort = port === PORTS - 1 ? FIRST_PORT : port + 1;
    return port;
  }
}

/** What of a remote endpoint matters. */
function scopeOf(behaviour: NatPlan["mapping"], endpoint: number): number {
  if (behaviour === "endpoint") return 0;
  return behaviour === "address" ? addressOf(endpoint) : endpoint;
}
