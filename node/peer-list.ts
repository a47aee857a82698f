import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { type PeerAddress, printEndpoint } from "./config/endpoint.js";
import type { Driver } from "./driver.js";
import { systemCode } from "./failure.js";
import type { Log } from "./log.js";
import type { UdpPort } from "./udp.js";

const RESOLVE_RETRY_MS = 5_000;
const RESOLVE_RETRY_MS_MAX = 300_000;

/** The peers that this node shall keep links to, from their names to their addresses. */
export class PeerList {
  /** Those that cannot be dialled: as given, and why. */
  readonly unusable = new Map<string, string>();
  private readonly driver: Driver;
  private readonly udp: UdpPort;
  private readonly log: Log;
  private readonly timers = new Set<NodeJS.Timeout>();
  private isClosed = false;

  constructor(args: { driver: Driver; udp: UdpPort; log: Log }) {
    this.driver = args.driver;
    this.udp = args.udp;
    this.log = args.log;
  }

  /** A name is resolved first, and again with growing pauses while that fails: the network may come later than we do. */
  add(peer: PeerAddress, retryMs = RESOLVE_RETRY_MS): void {
    if (isIP(peer.host) !== 0) {
      this.dial(peer.host, peer);
      return;
    }
    lookup(peer.host).then(
      ({ address }) => {
        if (!this.isClosed) this.dial(address, peer);
      },
      (error: unknown) => {
        // The resolver's message holds the name that was asked for; its code does not.
        const code = systemCode(error) ?? "unknown";
        this.log.warn("peer.unresolved", { error: code });
        this.unusable.set(printEndpoint(peer), `its name cannot be resolved (${code}); tried again and again`);
        if (this.isClosed) return;
        const timer = setTimeout(() => {
          this.timers.delete(timer);
          this.add(peer, Math.min(retryMs * 2, RESOLVE_RETRY_MS_MAX));
        }, retryMs);
        timer.unref();
        this.timers.add(timer);
      },
    );
  }

  /** No name is asked for any more. */
  close(): void {
    this.isClosed = true;
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
  }

  private dial(address: string, peer: PeerAddress): void {
    this.driver.addPeer(address, peer.port, peer.pin);
    const path = this.udp.pathOf(address, peer.port);
    if (path >= 0) {
      this.unusable.delete(printEndpoint(peer));
      return;
    }
    const family = isIP(address) === 6 ? "IPv6" : "IPv4";
    this.unusable.set(printEndpoint(peer), `this node has no UDP socket for ${family}`);
  }
}
