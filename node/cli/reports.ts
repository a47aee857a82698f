/** The answers of a daemon as text for people. `--json` prints the same reports as they are. */
import type { IdReport, PeerReport, RouteReport, StatusReport, Verdict } from "../control/protocol.js";
import { formatDuration, formatFields, formatMs, formatTable, paint } from "./output.js";

/** Said wherever a person might take the network for more than it is. */
export const ANONYMITY_NOTE = "none: relays can see which nodes talk to each other, until circuits exist";

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
  const drops = Object.entries(status.drops).filter(([, count]) => count > 0);
  const first = `${formatVerdict(status.verdict)}: ${status.reason}`;
  const fields = formatFields([
    ["NAC", status.nac ?? "not known yet"],
    ...(status.formerNac === null ? [] : [["former NAC", status.formerNac] as const]),
    ["UDP", status.udp.join(", ") || "not bound yet"],
    ["HTTP proxy", status.http.join(", ") || "off"],
    ["neighbours", String(status.neighbours)],
    ["routes", String(status.routes)],
    ["suite", status.epoch === null ? status.suite : `${status.suite}, epoch ${status.epoch}`],
    ["drops", drops.map(([reason, count]) => `${reason} ${count}`).join(", ") || "none"],
    ["anonymity", ANONYMITY_NOTE],
    ["process", `pid ${status.pid}, up ${formatDuration(status.upSeconds)}, ${status.directory}`],
  ]);
  return [first, ...(status.fix === null ? [] : [`  fix: ${status.fix}`]), fields].join("\n");
}

export function formatPeers(peers: readonly PeerReport[]): string {
  if (peers.length === 0) return "no link is up";
  return formatTable(
    ["link", "endpoint", "key", "direction", "found", "rtt", "loss", "cost", "up"],
    peers.map((peer) => [
      String(peer.link),
      peer.endpoint,
      peer.pinned ? "pinned" : "unpinned",
      peer.incoming ? "incoming" : "outgoing",
      peer.found,
      peer.rttMs === null ? "-" : formatMs(peer.rttMs),
      `${(peer.lossShare * 100).toFixed(1)} %`,
      String(peer.cost),
      formatDuration(peer.upSeconds),
    ]),
  );
}

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
