import { parseNac, printNac } from "../../core/address/nac.js";
import { parseName } from "../../core/address/name.js";
import { printHex } from "../../core/address/text.js";
import type { Directory } from "../config/directory.js";
import { askDaemon } from "../control/client.js";
import type { PingReport } from "../control/protocol.js";
import { usage } from "./usage.js";

/** The first may have to wait for a route (the stack gives up after 10 s and says so), a key and a handshake. */
const FIRST_TIMEOUT_MS = 12_000;
const NEXT_TIMEOUT_MS = 3_000;
const INTERVAL_MS = 200;

export interface PingSummary {
  readonly sent: number;
  readonly received: number;
  /** Null when nothing came back. */
  readonly rttMs: { readonly min: number; readonly p50: number; readonly max: number } | null;
  /** Why the first one that was lost came to nothing; absent when all came back. */
  readonly reason?: string;
}

const REASONS: Readonly<Record<string, string>> = {
  noRoute: "no route to it",
  noKey: "nobody could give its key, or it is not the key that the long name stands for",
  handshake: "the handshake with it came to nothing",
  timeout: "it did not answer in time",
  busy: "the daemon has too many pings under way",
  closed: "the daemon is stopping",
};

/** Pings `count` times, one after the other; `handleOne` hears each outcome. */
export async function pingMany(
  directory: Directory,
  target: string,
  count: number,
  handleOne: (number: number, outcome: PingReport) => void,
): Promise<PingSummary> {
  const plain = parseNac(target);
  const { nac, hash } =
    (plain === undefined ? parseName(target) : { nac: plain, hash: undefined }) ??
    usage(`"${target}" is neither a NAC nor a name under .mariana`);
  const whom = { nac: printNac(nac), ...(hash === undefined ? {} : { nacHash: printHex(hash) }) };
  const times: number[] = [];
  let reason: string | undefined;
  for (let sent = 1; sent <= count; sent += 1) {
    if (sent > 1) await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
    const timeoutMs = sent === 1 ? FIRST_TIMEOUT_MS : NEXT_TIMEOUT_MS;
    const outcome = await askDaemon<PingReport>(directory.socket, { command: "ping", ...whom, timeoutMs });
    if ("rttMs" in outcome) times.push(outcome.rttMs);
    else reason ??= REASONS[outcome.reason] ?? outcome.reason;
    handleOne(sent, outcome);
  }
  return { sent: count, received: times.length, rttMs: summarise(times), ...(reason === undefined ? {} : { reason }) };
}

function summarise(times: number[]): PingSummary["rttMs"] {
  if (times.length === 0) return null;
  const sorted = times.toSorted((a, b) => a - b);
  return { min: sorted[0]!, p50: sorted[Math.floor((sorted.length - 1) / 2)]!, max: sorted.at(-1)! };
}
