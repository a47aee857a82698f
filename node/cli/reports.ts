/** The answers of a daemon as text for people. `--json` prints the same reports as they are. */
import type {
  HostReport,
  IdReport,
  PeerReport,
  RouteReport,
  StatusReport,
  StreamReport,
  Verdict,
} from "../control/protocol.js";
import type { HostChange } from "./host.js";
import type { HostCheck } from "./host-check.js";
import { formatBytes, formatDuration, formatFields, formatMs, formatTable, paint } from "./output.js";

/** Said wherever a person might take the network for more than it is. */
export const ANONYMITY_NOTE = "none: relays can see which nodes talk to each other, until circuits exist";

const NONE = "none";
/** A bound that was filled to nine tenths once is worth a look. */
const CAP_NOTEWORTHY = 0.9;
const LAG_NOTEWORTHY_MS = 50;
const VERDICT_COLOURS = { starting: "yellow", ready: "green", degraded: "red" } as const;

export function formatId(id: IdReport): string {
  return formatFields([
    ["NAC", id.nac],
    ["name", id.name],
    ["long name", id.longName],
    ["link key", id.linkKeyHash ?? "fresh at each start; a running daemon shows it"],
    ["config", id.configFile],
    ["key", id.keyFile],
  ]);
}

export function formatStatus(status: StatusReport): string {
  const first = `${formatVerdict(status.verdict)}: ${status.reason}`;
  const fields = formatFields([
    ["NAC", status.nac ?? "not known yet"],
    ...(status.formerNac === null ? [] : [["former NAC", status.formerNac] as const]),
    ["UDP", status.udp.join(", ") || "not bound yet"],
    ["HTTP proxy", status.http.join(", ") || "off"],
    ["SOCKS proxy", status.socks.join(", ") || "off"],
    ["neighbours", String(status.neighbours)],
    ...status.peersUnusable.map(({ peer, reason }) => ["no peer", `${peer}: ${reason}`] as const),
    ["routes", String(status.routes)],
    ["suite", status.epoch === null ? status.suite : `${status.suite}, epoch ${status.epoch}`],
    ["drops", counted(status.drops)],
    ...interesting(status),
    ["anonymity", ANONYMITY_NOTE],
    ["process", `pid ${status.pid}, up ${formatDuration(status.upSeconds)}, ${status.directory}`],
  ]);
  return [first, ...(status.fix === null ? [] : [`  fix: ${status.fix}`]), fields].join("\n");
}

/** Only what is out of the ordinary: all of it is in --json. */
function interesting(status: StatusReport): (readonly [string, string])[] {
  const { started: _started, done: _done, ...troubles } = status.handshakes;
  const full = Object.entries(status.caps).filter(([, { limit, peak }]) => peak >= limit * CAP_NOTEWORTHY);
  const fields = [
    ["handshakes", counted(troubles)],
    ["refusals", counted(status.refusals)],
    ["liveness", counted(status.liveness)],
    ["chains", chainsText(status)],
    ["storms", counted(status.storms)],
    ["queues", counted(status.queues)],
    ["near a bound", full.map(([name, { limit, peak }]) => `${name} ${peak} of ${limit}`).join(", ") || NONE],
    ["replays", status.replays > 0 ? String(status.replays) : NONE],
    ["loop lag", status.loopLagMs.p99 >= LAG_NOTEWORTHY_MS ? `p99 ${formatMs(status.loopLagMs.p99)}` : NONE],
  ] as const;
  return fields.filter(([, text]) => text !== NONE).map(([name, text]) => [name, text]);
}

/** Claims that did not hold, or that our own chains are not made yet. */
function chainsText({ chains }: StatusReport): string {
  if (chains === null) return NONE;
  const { sound: _sound, ...refused } = chains.verdicts;
  return chains.ready ? counted(refused) : "being made: not announced yet";
}

/** `reason count` of those that are not zero. */
function counted(counts: Readonly<Record<string, number>>): string {
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  return some.map(([reason, count]) => `${reason} ${count}`).join(", ") || NONE;
}

export function formatPeers(peers: readonly PeerReport[]): string {
  if (peers.length === 0) return "no link is up";
  return formatTable(
    ["link", "endpoint", "key", "direction", "found", "rtt", "loss", "cost", "busy", "up"],
    peers.map((peer) => [
      String(peer.link),
      peer.endpoint,
      peer.pinned ? "pinned" : "unpinned",
      peer.incoming ? "incoming" : "outgoing",
      peer.found,
      peer.rttMs === null ? "-" : formatMs(peer.rttMs),
      `${(peer.lossShare * 100).toFixed(1)} %`,
      String(peer.cost),
      `${Math.round(peer.busyShare * 100)} %`,
      formatDuration(peer.upSeconds),
    ]),
  );
}

export function formatStreams(streams: readonly StreamReport[]): string {
  if (streams.length === 0) return "no stream is open";
  return formatTable(
    ["id", "with", "port", "direction", "in", "out", "age"],
    streams.map((stream) => [
      String(stream.id),
      stream.nac ?? "-",
      String(stream.port),
      stream.direction,
      formatBytes(stream.bytesIn),
      formatBytes(stream.bytesOut),
      formatDuration(stream.ageSeconds),
    ]),
  );
}

export function formatHosts(hosts: readonly HostReport[]): string {
  if (hosts.length === 0) return "no port is hosted";
  return formatTable(
    ["port", "target", "from", "live"],
    hosts.map(({ port, target, from, live }) => [String(port), target, from, live ? "yes" : "no"]),
  );
}

export function formatChange({ port, target, live, running, targetDown }: HostChange): string {
  const isAdded = targetDown !== undefined;
  const what = `overlay port ${port}: ${target} ${isAdded ? "is kept" : "is forgotten"}`;
  if (!running) return `${what}; no daemon runs, so it counts from the next start`;
  if (isAdded && !live) return `${what}, but a --host of this run answers there until the daemon ends`;
  return `${what}, and the daemon goes by it from now on`;
}

export function formatChecks(checks: readonly HostCheck[]): string {
  if (checks.length === 0) return "no port is hosted";
  return checks
    .flatMap(({ port, target, protocol, findings }) => [
      `${port}  ${target}  ${findings.length === 0 ? VERDICT_OF[protocol ?? "none"] : `${findings.length} to mend`}`,
      ...findings.flatMap(({ message, fix }) => [`  ${message}`, `    fix: ${fix}`]),
    ])
    .join("\n");
}

const VERDICT_OF = {
  http: "good",
  tcp: "answers, but not as HTTP: nothing else was looked at",
  udp: "UDP: nothing was asked",
  none: "",
} as const;

export function formatRoutes(routes: readonly RouteReport[]): string {
  if (routes.length === 0) return "no route is known";
  return formatTable(
    ["NAC", "metric", "next hop", "backups"],
    routes.map((route) => [
      route.nac,
      String(route.metric),
      route.nextHop === null ? "-" : `link ${route.nextHop}`,
      route.backups.map((link) => `link ${link}`).join(", ") || "-",
    ]),
  );
}

/** What `up` shows once all sockets are bound. */
export function formatStarted(id: IdReport, status: StatusReport): string {
  const proxy = status.http[0];
  const lines = [
    `${formatVerdict(status.verdict)}: ${status.reason}`,
    formatFields([
      ["NAC", id.nac],
      ["name", id.name],
      ["share", id.longName],
      ["link key", id.linkKeyHash ?? "-"],
      ["UDP", status.udp.join(", ")],
      ["HTTP proxy", status.http.join(", ") || "off"],
      ["SOCKS proxy", status.socks.join(", ") || "off"],
      ["config", id.configFile],
      ["key", id.keyFile],
      ["anonymity", ANONYMITY_NOTE],
    ]),
  ];
  if (proxy !== undefined) lines.push(`try:  curl -x http://${proxy} http://NAC.mariana/`);
  lines.push("Ctrl-C ends it.");
  return lines.join("\n");
}

function formatVerdict(verdict: Verdict): string {
  return paint(VERDICT_COLOURS[verdict], verdict);
}
