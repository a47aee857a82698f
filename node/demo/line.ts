/**
 * A line of daemons: a client, relays in a row, a host. Each knows only its neighbour's address, so that every byte
 * between the ends crosses all the relays.
 */
import { type DaemonProcess, pinnedEndpoint, proxyOf, startDaemon } from "./daemon-process.js";

export interface LinePlan {
  readonly base: string;
  readonly network: string;
  /** Where the client's proxy listens, `HOST:PORT`. */
  readonly http: string;
  /** The client's SOCKS5 proxy likewise; off when left out. */
  readonly socks?: string;
  /** What the host serves, `PORT=HOST:PORT`. */
  readonly hosts: readonly string[];
  readonly relays?: number;
  /** Aborted when the line is not wanted any more. */
  readonly signal?: AbortSignal;
}

export interface Line {
  /** Client first, host last. */
  readonly daemons: readonly DaemonProcess[];
  readonly client: DaemonProcess;
  readonly relays: readonly DaemonProcess[];
  readonly host: DaemonProcess;
  /** The host's name, `<nac>.mariana`. */
  readonly name: string;
  readonly nac: string;
  readonly proxy: { readonly host: string; readonly port: number };
}

/** Starts the line, each daemon ready before the next. When one fails, those already started are ended. */
export async function startLine(plan: LinePlan): Promise<Line> {
  const started: DaemonProcess[] = [];
  const common = { base: plan.base, network: plan.network };
  const start = async (
    name: string,
    peers: string[],
    more: { http?: string; socks?: string; hosts?: readonly string[] } = {},
  ) => {
    const { http = "off", socks = "off", hosts = [] } = more;
    const { daemon, status } = await startDaemon({ ...common, name, peers, http, socks, hosts }, plan.signal);
    started.push(daemon);
    return { daemon, status };
  };
  try {
    const relays: DaemonProcess[] = [];
    let previous: string[] = [];
    for (let number = 1; number <= (plan.relays ?? 3); number++) {
      const { daemon } = await start(`relay-${number}`, previous);
      relays.push(daemon);
      previous = [await pinnedEndpoint(daemon)];
    }
    const first = [await pinnedEndpoint(relays[0]!)];
    const ends = [
      start("host", previous, { hosts: plan.hosts }),
      start("client", first, { http: plan.http, socks: plan.socks ?? "off" }),
    ] as const;
    await Promise.allSettled(ends); // when one fails the other must be known before it can be ended
    const [host, client] = await Promise.all(ends);
    const { nac, name } = await host.daemon.id();
    const daemons = [client.daemon, ...relays, host.daemon];
    return { daemons, client: client.daemon, relays, host: host.daemon, name, nac, proxy: proxyOf(client.status) };
  } catch (error) {
    await stopDaemons(started);
    throw error;
  }
}

/**
 * Ends those first whose proxies people use, so that what they break off is told through the others. Answers the exit codes
 * in the order of `daemons`.
 */
export async function stopDaemons(daemons: readonly DaemonProcess[]): Promise<(number | null)[]> {
  const isClient = ({ plan: { http, socks = "off" } }: DaemonProcess): boolean => http !== "off" || socks !== "off";
  await Promise.all(daemons.filter(isClient).map((daemon) => daemon.stop()));
  return Promise.all(daemons.map((daemon) => daemon.stop()));
}

/** Follows the routing tables from `from` towards `nac`; undefined where one of them knows no way. */
export async function followRoute(
  from: DaemonProcess,
  nac: string,
  daemons: readonly DaemonProcess[],
): Promise<DaemonProcess[] | undefined> {
  const endpoints = new Map<string, DaemonProcess>();
  await Promise.all(
    daemons.map(async (daemon) => {
      for (const endpoint of (await daemon.status()).udp) endpoints.set(endpoint, daemon);
    }),
  );
  const path = [from];
  for (let at = from; path.length <= daemons.length; ) {
    const [routes, peers, id] = await Promise.all([at.routes(), at.peers(), at.id()]);
    if (id.nac === nac) return path;
    const route = routes.find((candidate) => candidate.nac === nac);
    const peer = route && peers.find((candidate) => candidate.link === route.nextHop);
    const next = peer && endpoints.get(peer.endpoint);
    if (next === undefined) return undefined;
    path.push(next);
    at = next;
  }
  return undefined; // longer than there are daemons: the tables do not agree yet
}

/** Waits until `from` can follow the tables all the way to `nac`. Throws when the time runs out. */
export async function waitForRoute(
  from: DaemonProcess,
  nac: string,
  daemons: readonly DaemonProcess[],
  timeoutSeconds = 30,
  signal?: AbortSignal,
): Promise<DaemonProcess[]> {
  const deadline = performance.now() + timeoutSeconds * 1000;
  while (performance.now() < deadline) {
    signal?.throwIfAborted();
    const path = await followRoute(from, nac, daemons);
    if (path !== undefined) return path;
  }
  throw new Error(`${from.name} found no route to ${nac} in ${timeoutSeconds} s`);
}
