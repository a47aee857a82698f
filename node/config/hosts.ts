/** Hosted ports in config.json, changed one at a time. */
import { ExitCode, Failure } from "../failure.js";
import { type Config, defaultConfig, keepHost, readConfig } from "./config-file.js";
import { type HostedPort, hostedPort, printTarget } from "./endpoint.js";

export function hostsIn(config: Config): HostedPort[] {
  return Object.entries(config.hosts).map(([port, target]) => hostedPort(port, target)!);
}

/** Keeps one more port. Throws a Failure, exit 8, when it is hosted already. */
export function addHost(configFile: string, { port, target }: HostedPort): void {
  const taken = (readConfig(configFile) ?? defaultConfig()).hosts[port];
  if (taken !== undefined) {
    const fix = `to change it:  mariana host rm ${port}  and add it again`;
    throw new Failure("host.taken", ExitCode.inUse, `overlay port ${port} is hosted already, by ${taken}`, fix);
  }
  keepHost(configFile, port, printTarget(target));
}

/** Forgets a port and returns what answered there. Throws a Failure, exit 3, when it is not in the file. */
export function removeHost(configFile: string, port: number): string {
  const target = readConfig(configFile)?.hosts[port];
  if (target === undefined) {
    const message = `overlay port ${port} is not hosted by ${configFile}`;
    const fix = "mariana host ls  shows the ports (one that came with --host ends with the daemon)";
    throw new Failure("host.unknown", ExitCode.config, message, fix);
  }
  keepHost(configFile, port, undefined);
  return target;
}
