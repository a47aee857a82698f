/**
 * A client, a relay and a host that keep their addresses and keys over any number of restarts, for tests that end them
 * in every way. A page is served by a web server inside the test.
 */
import { createSocket } from "node:dgram";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type DaemonPlan, type DaemonProcess, pinnedEndpoint, startDaemon } from "../../node/demo/daemon-process.js";
import { fetchThrough, type ProxyAnswer } from "../../node/demo/proxy-request.js";
import { NETWORK, removeFolder, stopAll, temporaryFolder } from "./daemons.js";
import { freePort } from "./web-servers.js";

export const ROLES = ["client", "relay", "host"] as const;
export type Role = (typeof ROLES)[number];

export class ShortLine {
  readonly base = temporaryFolder();
  readonly body: Buffer;
  name = "";
  private readonly daemons = new Map<Role, DaemonProcess>();
  private readonly server: Server;
  private proxyPort = 0;

  private readonly within: (role: Role) => readonly string[];

  /**
   * @param body    what the page is made of
   * @param within  a command that runs the daemon of that role, such as `env NAME=VALUE`
   */
  constructor(body: Buffer, within: (role: Role) => readonly string[] = () => []) {
    this.body = body;
    this.within = within;
    this.server = createServer((_request, response) => response.end(body));
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    const { port } = this.server.address() as AddressInfo;
    this.proxyPort = await freePort();
    const relay = await this.launch("relay", { peers: [] });
    const peers = [await pinnedEndpoint(relay)];
    const host = await this.launch("host", { peers, hosts: [`80=127.0.0.1:${port}`] });
    await this.launch("client", { peers, http: `127.0.0.1:${this.proxyPort}` });
    this.name = (await host.id()).name;
    await this.untilServed();
  }

  daemon(role: Role): DaemonProcess {
    return this.daemons.get(role)!;
  }

  /** The same daemon again, after it ended. */
  async restart(role: Role): Promise<DaemonProcess> {
    const { daemon } = await startDaemon(this.daemon(role).plan);
    this.daemons.set(role, daemon);
    return daemon;
  }

  fetch(timeoutMs = 10_000): Promise<ProxyAnswer> {
    return fetchThrough({ host: "127.0.0.1", port: this.proxyPort }, `http://${this.name}/`, { timeoutMs });
  }

  /** Asks until the whole page comes. Answers after how many milliseconds; throws after `timeoutMs`. */
  async untilServed(timeoutMs = 30_000): Promise<number> {
    const startMs = performance.now();
    for (;;) {
      const answer = await this.fetch().catch(() => undefined);
      if (answer?.status === 200 && answer.body.equals(this.body)) return performance.now() - startMs;
      if (performance.now() - startMs < timeoutMs) continue;
      const logs = ROLES.map((role) => `${role}:\n${this.daemon(role).logTail()}`).join("\n");
      throw new Error(`the page is not served again within ${timeoutMs} ms\n${logs}`);
    }
  }

  async stop(): Promise<void> {
    await stopAll([...this.daemons.values()]);
    this.server.closeAllConnections();
    this.server.close();
    removeFolder(this.base);
  }

  private async launch(role: Role, more: Partial<DaemonPlan>): Promise<DaemonProcess> {
    const directory = join(this.base, role);
    mkdirSync(directory, { mode: 0o700 });
    const config = { version: 1, network: { name: NETWORK }, link: { key: "persistent" } };
    writeFileSync(join(directory, "config.json"), JSON.stringify(config), { mode: 0o600 });
    const udp = `127.0.0.1:${await freeUdpPort()}`;
    const common = { name: role, base: this.base, network: NETWORK, udp, http: "off", peers: [], hosts: [] };
    const { daemon } = await startDaemon({ ...common, within: this.within(role), ...more });
    this.daemons.set(role, daemon);
    return daemon;
  }
}

/** A port that was free a moment ago. */
function freeUdpPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createSocket("udp4");
    probe.once("error", reject);
    probe.bind(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
