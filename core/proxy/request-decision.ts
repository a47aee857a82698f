/**
 * What to do with a request head that the shell's HTTP parser has accepted: forward it to a NAC, or refuse it and say why.
 * Pure, and never throws, whatever the strings are. Nothing is ever forwarded to a host that is not a NAC name, so a
 * mistake here costs an error page and not a leak.
 */
import { compareNac } from "../address/nac.js";
import { parseName } from "../address/name.js";
import { type Authority, parseAuthority } from "./authority.js";
import {
  areFieldsValid,
  connectionOptions,
  endToEndFields,
  type HeaderFields,
  isToken,
  valuesOf,
} from "./header-fields.js";
import { type Refusal, refuse, refuseBadName, refuseHeaders, refuseNotMariana, shown } from "./refusal.js";

export interface RequestHead {
  readonly method: string;
  /** The request target as it stood in the request line. */
  readonly url: string;
  readonly headers: HeaderFields;
  /** Host header values that mean the proxy itself, such as `localhost:8000`; lower case. */
  readonly localNames: readonly string[];
}

export interface Forward {
  readonly kind: "forward";
  readonly nac: Uint8Array;
  /** 32 bytes when the long name was used: the owner's keys must match all of it. */
  readonly hash?: Uint8Array;
  readonly port: number;
  /** Origin form, or `*` for a server-wide OPTIONS. */
  readonly path: string;
  /** End-to-end fields only, Host first, then what describes the body. */
  readonly headers: string[];
  /** Value of the Host field sent on. */
  readonly host: string;
  /** How the body comes in and goes on. */
  readonly body: "none" | "length" | "chunked";
}

export interface Tunnel {
  readonly kind: "tunnel";
  readonly nac: Uint8Array;
  readonly hash?: Uint8Array;
  readonly port: number;
}

interface Target {
  readonly nac: Uint8Array;
  readonly hash?: Uint8Array;
  readonly authority: Authority;
}

const HTTP_PORT = 80;
const ABSOLUTE_FORM = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)(.*)$/s;
const PATH_PATTERN = /^[\x21\x22\x24-\x7e]*$/; // visible ASCII without "#": a fragment never travels
const LENGTH_PATTERN = /^[0-9]{1,15}$/;
const METHODS_WITH_BODY = ["POST", "PUT", "PATCH"];
/** Removing one of these because Connection names it would change where the request goes or where it ends. */
const NEVER_HOP_BY_HOP = ["host", "content-length", "transfer-encoding"];

export function decideRequest(head: RequestHead): Forward | Refusal {
  const absolute = ABSOLUTE_FORM.exec(head.url);
  if (absolute === null) return refuseOriginForm(head);
  const authority = parseAuthority(absolute[2]!, HTTP_PORT);
  if (authority === undefined) return refuseBadTarget(head.url);
  if (isLocal(authority, head.localNames)) return refuseOwnName();
  const target = targetOf(authority);
  if (target.kind === "refuse") return target;
  if (absolute[1]!.toLowerCase() !== "http") return refuseScheme(absolute[1]!);
  if (!isToken(head.method) || !areFieldsValid(head.headers)) {
    return refuseHeaders("A header holds characters that HTTP does not allow.");
  }
  if (head.method === "TRACE" || head.method === "CONNECT") return refuseMethod(head.method);
  const path = pathOf(head.method, absolute[3]!);
  if (path === undefined) return refuseBadTarget(head.url);
  return refuseHost(head.headers, target) ?? frame(head, target, path);
}

/** `authority` is the target of a CONNECT. Every port is allowed: browsers use it for WebSocket on 80, people for ssh. */
export function decideConnect(authority: string): Tunnel | Refusal {
  const parsed = parseAuthority(authority, undefined);
  if (parsed === undefined) return refuseBadTarget(authority);
  const target = targetOf(parsed);
  if (target.kind === "refuse") return target;
  const { nac, hash } = target;
  return { kind: "tunnel", nac, port: parsed.port, ...(hash && { hash }) };
}

function targetOf(authority: Authority): ({ readonly kind: "target" } & Target) | Refusal {
  const name = parseName(authority.host);
  if (name !== undefined) return { kind: "target", authority, ...name };
  const ours = authority.host === "mariana" || authority.host.endsWith(".mariana");
  return ours ? refuseBadName(authority.host) : refuseNotMariana(authority.host);
}

/** RFC 9112 section 3.2.4: an OPTIONS without any path is about the server as a whole. */
function pathOf(method: string, rest: string): string | undefined {
  if (!PATH_PATTERN.test(rest)) return undefined;
  if (rest === "") return method === "OPTIONS" ? "*" : "/";
  return rest.startsWith("/") ? rest : `/${rest}`;
}

/** A Host that names another place than the target is a confused client or an attack on a cache; neither is guessed about. */
function refuseHost(headers: HeaderFields, target: Target): Refusal | undefined {
  const hosts = valuesOf(headers, "host");
  if (hosts.length > 1) return refuseHeaders("The request has more than one Host header.");
  if (hosts.length === 0) return undefined;
  const authority = parseAuthority(hosts[0]!.trim(), HTTP_PORT);
  const name = authority && parseName(authority.host);
  if (name && compareNac(name.nac, target.nac) === 0 && authority.port === target.authority.port) return undefined;
  return refuse(
    400,
    "hostMismatch",
    "Host and address disagree",
    `The request is addressed to "${shown(target.authority.host)}", but its Host header says "${shown(hosts[0]!)}". It was not sent to either.`,
  );
}

/** Where the body ends must be beyond doubt, or a second request could hide in it (RFC 9112 sections 6.3 and 11.2). */
function frame(head: RequestHead, target: Target, path: string): Forward | Refusal {
  const lengths = valuesOf(head.headers, "content-length");
  const codings = valuesOf(head.headers, "transfer-encoding");
  if (lengths.length + codings.length > 1) return refuseFraming("It states the length of its body in two ways.");
  if (lengths.length === 1 && !LENGTH_PATTERN.test(lengths[0]!))
    return refuseFraming("Its Content-Length is not a number.");
  if (codings.length === 1 && codings[0]!.trim().toLowerCase() !== "chunked") return refuseCoding(codings[0]!);
  for (const option of connectionOptions(head.headers)) {
    if (NEVER_HOP_BY_HOP.includes(option)) return refuseHeaders(`Its Connection header may not name "${option}".`);
  }
  const host =
    target.authority.port === HTTP_PORT ? target.authority.host : `${target.authority.host}:${target.authority.port}`;
  const headers = ["Host", host, ...endToEndFields(head.headers, ["host"])];
  const body = codings.length === 1 ? "chunked" : lengths.length === 1 ? "length" : "none";
  if (body === "chunked") headers.push("Transfer-Encoding", "chunked");
  if (body === "none" && METHODS_WITH_BODY.includes(head.method)) headers.push("Content-Length", "0");
  const { nac, hash, authority } = target;
  return {
    kind: "forward",
    nac,
    port: authority.port,
    path,
    headers,
    host,
    body,
    ...(hash && { hash }),
  };
}

function isLocal(authority: Authority, localNames: readonly string[]): boolean {
  return localNames.includes(`${authority.host}:${authority.port}`);
}

function refuseOriginForm(head: RequestHead): Refusal {
  const host = valuesOf(head.headers, "host")[0]?.trim().toLowerCase();
  if (host === undefined || head.localNames.includes(host)) return refuseOwnName();
  return refuse(
    421,
    "foreignHost",
    "Not the server you meant",
    "This is the Mariana proxy, not a web server. A request came to it directly under another host's name and was not answered.",
  );
}

function refuseOwnName(): Refusal {
  return refuse(
    421,
    "originForm",
    "This is a proxy, not a web site",
    "The Mariana proxy is running. Enter this address and port as the HTTP proxy of your browser, then visit a name that ends in .mariana. " +
      "With curl: curl -x http://localhost:PORT http://NAC.mariana/",
  );
}

function refuseBadTarget(target: string): Refusal {
  return refuse(
    400,
    "badTarget",
    "The address cannot be read",
    `"${shown(target)}" is not an address this proxy can use. It takes http://NAC.mariana/path, or CONNECT NAC.mariana:PORT.`,
  );
}

function refuseScheme(scheme: string): Refusal {
  return refuse(
    400,
    "scheme",
    "Only http can be asked for this way",
    `A request for "${shown(scheme)}" must come as a CONNECT tunnel, so that it stays encrypted up to the server. Set this proxy for that scheme too.`,
  );
}

function refuseMethod(method: string): Refusal {
  return refuse(
    501,
    "method",
    "This method is not forwarded",
    `${method} would show the request to its sender again, cookies included, so it is not passed on.`,
  );
}

function refuseFraming(text: string): Refusal {
  return refuse(
    400,
    "framing",
    "The request has no clear end",
    `${text} Such requests are used to smuggle a second one past a proxy, so it was not sent.`,
  );
}

function refuseCoding(coding: string): Refusal {
  return refuse(
    501,
    "transferCoding",
    "Unknown transfer coding",
    `The body is sent as "${shown(coding)}". Only "chunked" is understood.`,
  );
}
