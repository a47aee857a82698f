import { type HostedPort, hostedPort, printTarget } from "./config/endpoint.js";
import { addHost, removeHost } from "./config/hosts.js";
import type { ControlRequest, HostReport } from "./control/protocol.js";
import type { Hosting } from "./hosting.js";

/** Which ports are hosted: those of config.json, which commands change while we run, and those of this run's flags. */
export class HostList {
  private readonly configFile: string;
  private readonly hosting: Hosting;
  private readonly onChange: () => void;
  private kept: HostedPort[];
  private readonly ofFlags: readonly HostedPort[];

  /** `onChange` is called for the first list, too. */
  constructor(args: {
    configFile: string;
    kept: readonly HostedPort[];
    ofFlags: readonly HostedPort[];
    hosting: Hosting;
    onChange: () => void;
  }) {
    this.configFile = args.configFile;
    this.kept = [...args.kept];
    this.ofFlags = args.ofFlags;
    this.hosting = args.hosting;
    this.onChange = args.onChange;
    this.apply();
  }

  report(): HostReport[] {
    const live = this.hosting.hosts;
    const reportOf = (from: HostReport["from"]) => (hosted: HostedPort) => {
      return { port: hosted.port, target: printTarget(hosted.target), from, live: live.includes(hosted) };
    };
    const all = [...this.kept.map(reportOf("config")), ...this.ofFlags.map(reportOf("flag"))];
    return all.sort((a, b) => a.port - b.port);
  }

  add({ port, target }: ControlRequest): HostReport {
    const hosted = hostedPort(String(port), target ?? "");
    if (hosted === undefined) throw new Error(`"${port}" and "${target}" are no port and target`);
    addHost(this.configFile, hosted);
    this.kept.push(hosted);
    this.apply();
    return this.report().find((host) => host.port === port && host.from === "config")!;
  }

  remove({ port }: ControlRequest): HostReport {
    const target = removeHost(this.configFile, port ?? 0);
    this.kept = this.kept.filter((hosted) => hosted.port !== port);
    this.apply();
    return { port: port!, target, from: "config", live: false };
  }

  /** For the same port the flag wins. */
  private apply(): void {
    const all = [...this.kept, ...this.ofFlags].map((hosted) => [hosted.port, hosted] as const);
    this.hosting.setHosts([...new Map(all).values()]);
    this.onChange();
  }
}
