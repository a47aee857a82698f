/**
 * `mariana host check`: asks each target as a visitor's request would reach it, and looks for what would tell the visitor
 * more than the site's owner wants: where the machine stands, what it runs, whom it talks to.
 */
import { type IncomingMessage, request } from "node:http";
import type { Directory } from "../config/directory.js";
import { parseTarget, type Target } from "../config/endpoint.js";
import type { HostReport } from "../control/protocol.js";
import { ExitCode, Failure } from "../failure.js";
import { whereOf } from "../hosting.js";
import { hostList, portIn, probe } from "./host.js";
import { findId } from "./id.js";

const ANSWER_TIMEOUT_MS = 5_000;
/** What of a page is looked at. */
const BODY_BYTES_MAX = 512 * 1024;
const REDIRECTS_MAX = 3;
const NAMED_MAX = 5;
const NAME_OF_NOBODY = "00000000-0000-8000-8000-000000000000.mariana";

export interface Finding {
  readonly code:
    | "targetDown"
    | "statusPage"
    | "redirectLocal"
    | "redirectElsewhere"
    | "redirectPort"
    | "serverVersion"
    | "clearnetLinks";
  readonly message: string;
  readonly fix: string;
}

export interface HostCheck {
  readonly port: number;
  readonly target: string;
  /** What answers there; null when nothing does. "tcp": something that is not HTTP, of which only this much can be said; "udp": nothing was asked. */
  readonly protocol: "http" | "tcp" | "udp" | null;
  readonly findings: readonly Finding[];
}

/** Pages that web servers show to localhost, which is where all visitors come from. */
const STATUS_PAGES: readonly (readonly [path: string, looksLike: RegExp])[] = [
  ["/server-status", /Apache (Server )?Status|Scoreboard|Total Accesses/i],
  ["/server-info", /Apache Server Information|Server Settings|Module Name/i],
  ["/nginx_status", /Active connections:\s*\d/i],
  ["/stub_status", /Active connections:\s*\d/i],
];

/** Checks the port that is asked for, or all. Throws a Failure, exit 3, when that one is not hosted. */
export async function runHostCheck(directory: Directory, port: string | undefined): Promise<HostCheck[]> {
  const all = await hostList(directory);
  const wanted = port === undefined ? undefined : portIn(port);
  const hosts = all.filter((host) => wanted === undefined || host.port === wanted);
  if (wanted !== undefined && hosts.length === 0) {
    const fix = `mariana host ls  shows what is hosted; mariana host add ${wanted} TARGET  adds it`;
    throw new Failure("host.unknown", ExitCode.config, `overlay port ${wanted} is not hosted`, fix);
  }
  const names = await namesOf(directory);
  const ports = all.map((host) => host.port);
  const checks: HostCheck[] = [];
  for (const host of hosts) checks.push(await checkHost(host, names, ports));
  return checks;
}

/** Of a node that has no keys yet, a name that nobody has: servers only see that it is not theirs. */
async function namesOf(directory: Directory): Promise<string[]> {
  try {
    const { name, longName } = await findId(directory);
    return [name, longName];
  } catch (error) {
    if (error instanceof Failure && error.code === "key.invalid") return [NAME_OF_NOBODY];
    throw error;
  }
}

/** @param names  those of this node: the short one first */
export async function checkHost(
  { port, target: text }: HostReport,
  names: readonly string[],
  hosted: readonly number[],
): Promise<HostCheck> {
  const target = parseTarget(text)!;
  const report = (protocol: HostCheck["protocol"], findings: readonly Finding[]) => {
    return { port, target: text, protocol, findings };
  };
  if (target.kind === "udp") return report("udp", []);
  const why = await probe(target);
  if (why !== undefined) return report(null, [targetDown(text, why)]);
  const visitor = new Visitor(target, names[0]!, port);
  const findings: Finding[] = [];
  let page = await visitor.get("/");
  if (page === undefined) return report("tcp", []);
  for (let hops = 0; hops < REDIRECTS_MAX && page?.location !== undefined; hops += 1) {
    const where = judgeRedirect(page.location, names, port, hosted);
    if (typeof where !== "string") {
      if (where !== undefined) findings.push(where);
      break;
    }
    page = await visitor.get(where);
  }
  if (page !== undefined) findings.push(...judgeBanner(page), ...judgeLinks(page));
  findings.push(...(await judgeStatusPages(visitor)));
  return report("http", findings);
}

interface Page {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly location: string | undefined;
  readonly body: string;
}

/** Asks a target as hosting would on behalf of somebody who used our name. */
class Visitor {
  private readonly target: Target;
  private readonly host: string;

  constructor(target: Target, name: string, port: number) {
    this.target = target;
    this.host = port === 80 ? name : `${name}:${port}`;
  }

  /** Undefined when no HTTP answer came. */
  get(path: string): Promise<Page | undefined> {
    const where = whereOf(this.target);
    const reach = "path" in where ? { socketPath: where.path } : where;
    return new Promise((answer) => {
      const headers = { host: this.host, "accept-encoding": "identity", connection: "close" };
      const outgoing = request({ ...reach, path, headers, agent: false, timeout: ANSWER_TIMEOUT_MS });
      const giveUp = (): void => {
        outgoing.destroy();
        answer(undefined);
      };
      const timer = setTimeout(giveUp, ANSWER_TIMEOUT_MS);
      outgoing.once("timeout", giveUp);
      outgoing.once("error", () => {
        clearTimeout(timer);
        answer(undefined);
      });
      outgoing.once("response", (incoming) => {
        const chunks: Buffer[] = [];
        let length = 0;
        const finish = (): void => {
          clearTimeout(timer);
          outgoing.destroy();
          const { statusCode: status = 0, headers } = incoming;
          const location = status >= 300 && status < 400 ? headers.location : undefined;
          answer({ status, headers, location, body: Buffer.concat(chunks).toString("latin1") });
        };
        incoming.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          length += chunk.length;
          if (length > BODY_BYTES_MAX) finish();
        });
        incoming.once("end", finish);
        incoming.once("error", finish);
      });
      outgoing.end();
    });
  }
}

/** The path to follow on this site; or what is wrong with it; undefined when it leads to another node, which is fine. */
function judgeRedirect(
  location: string,
  names: readonly string[],
  port: number,
  hosted: readonly number[],
): string | Finding | undefined {
  let url: URL;
  try {
    url = new URL(location, `http://${names[0]}${port === 80 ? "" : `:${port}`}/`);
  } catch {
    return undefined;
  }
  const host = url.hostname.toLowerCase();
  if (names.includes(host)) {
    const wanted = Number(url.port || (url.protocol === "https:" ? 443 : 80));
    if (wanted === port && url.protocol === "http:") return `${url.pathname}${url.search}`;
    if (hosted.includes(wanted)) return undefined;
    return {
      code: "redirectPort",
      message: `the front page redirects to port ${wanted}, which is not hosted: ${location}`,
      fix: `nginx: absolute_redirect off; or host it too:  mariana host add ${wanted} TARGET`,
    };
  }
  if (host.endsWith(".mariana")) return undefined;
  if (isLoopback(host)) {
    return {
      code: "redirectLocal",
      message: `the front page redirects to the visitor's own machine: ${location}`,
      fix: "nginx: absolute_redirect off; Apache: UseCanonicalName Off; applications: a relative base address",
    };
  }
  return {
    code: "redirectElsewhere",
    message: `the front page redirects to another host and so names it: ${location}`,
    fix: "let the server take the name from the Host header (server_name _; UseCanonicalName Off), or redirect by path alone",
  };
}

function isLoopback(host: string): boolean {
  return /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\]|0\.0\.0\.0|\[::\])$/.test(host);
}

function judgeBanner({ headers }: Page): Finding[] {
  const said = ["server", "x-powered-by", "x-aspnet-version", "x-generator"].flatMap((name) => {
    const value = headers[name];
    return typeof value === "string" && /\d/.test(value) ? [`${name}: ${value}`] : [];
  });
  if (said.length === 0) return [];
  return [
    {
      code: "serverVersion",
      message: `the answer says what runs here, version and all: ${said.join(", ")}`,
      fix: "nginx: server_tokens off; Apache: ServerTokens Prod; PHP: expose_php = Off",
    },
  ];
}

const ATTRIBUTE =
  /\b(?:href|src|srcset|action|formaction|poster|data|cite|background)\s*=\s*["']?\s*((?:https?:)?\/\/[^\s"'<>]+)/gi;
const STYLE = /\burl\(\s*["']?((?:https?:)?\/\/[^\s"')]+)/gi;

function judgeLinks({ headers, body }: Page): Finding[] {
  if (!/html/i.test(headers["content-type"] ?? "") && !/^\s*</.test(body)) return [];
  const named = new Set<string>();
  for (const pattern of [ATTRIBUTE, STYLE]) {
    for (const [, link] of body.matchAll(pattern)) {
      const host = URL.canParse(link!, "http://x.mariana/") ? new URL(link!, "http://x.mariana/").hostname : "";
      if (host !== "" && !host.endsWith(".mariana")) named.add(host);
    }
  }
  if (named.size === 0) return [];
  const shown = [...named].slice(0, NAMED_MAX).join(", ");
  const more = named.size > NAMED_MAX ? ` and ${named.size - NAMED_MAX} more` : "";
  return [
    {
      code: "clearnetLinks",
      message: `the front page names hosts of the clear net: ${shown}${more}`,
      fix: "keep copies of what the page loads, and link by path: a visitor's proxy refuses the rest, and the names tell of you",
    },
  ];
}

async function judgeStatusPages(visitor: Visitor): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [path, looksLike] of STATUS_PAGES) {
    const page = await visitor.get(path);
    if (page === undefined || page.status !== 200 || !looksLike.test(page.body)) continue;
    findings.push({
      code: "statusPage",
      message: `${path} answers every visitor: to the server they all come from localhost`,
      fix: "switch it off, or deny it to all (Apache: a2dismod status info; nginx: remove stub_status, or deny all)",
    });
  }
  return findings;
}

function targetDown(target: string, why: string): Finding {
  const fix = target.startsWith("unix:")
    ? "start the server behind it; the socket must be one that this user may connect to"
    : "start the server behind it, or host another target";
  return { code: "targetDown", message: `nothing answers at ${target}: ${why}`, fix };
}
