/**
 * What to do with a request head that the shell's HTTP parser has accepted: forward it to a NAC, or refuse it and say why.
 * Pure, and never throws, whatever the strings are. Nothing is ever forwarded to a host that is not a NAC name, so a
 * mistake here costs an error page and not a leak.
 */
import { compareNac } from "../address/nac.js";
import { parseName } from "../address/name.js";
import { type Authority, parseAuthority } from "./authority.js";
import { areFieldsValid, endToEndFields, type HeaderFields, isToken, listOf, valuesOf } from "./header-fields.js";
import { CREDENTIALS_MAX, tagOfCredentials } from "./isolation.js";
import {
  type Refusal,
  refuse,
  refuseBadName,
  refuseExpectation,
  refuseFraming,
  refuseHeaders,
  refuseMalformed,
  refuseNotMariana,
  shown,
} from "./refusal.js";

export interface RequestHead {
  readonly method: string;
  /** As in the request line: "1.0" or "1.1". */
  readonly version: string;
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
  /** How the body comes in and goes on; a request has one exactly if the client's had. */
  readonly body: "none" | "length" | "chunked";
  /** Streams of different tags share no session; empty when the client gave none. */
  readonly isolation: string;
  /** The protocol to change to, if the client asks for one; then there is no body. */
  readonly upgrade?: string;
  /** The client holds its body back until it is told to go on. */
  readonly expectsContinue: boolean;
  /** The client understands trailers. */
  readonly takesTrailers: boolean;
}

export interface Tunnel {
  readonly kind: "tunnel";
  readonly nac: Uint8Array;
  readonly hash?: Uint8Array;
  readonly port: number;
  readonly isolation: string;
}

interface Target {
  readonly nac: Uint8Array;
  readonly hash?: Uint8Array;
  readonly authority: Authority;
}

const HTTP_PORT = 80;
const VERSIONS = ["1.0", "1.1"];
const ABSOLUTE_FORM = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)(.*)$/s;
const PATH_PATTERN = /^[\x21\x22\x24-\x7e]*$/; // visible ASCII without "#": a fragment never travels
const LENGTH_PATTERN = /^[0-9]{1,15}$/;
const EMPTY_PATTERN = /^0+$/;
/** Far above what browsers send. */
const FIELDS_MAX = 512;
/** HTTP/2 by upgrade is for one hop (RFC 9113 section 3.1 took it back); with prior knowledge it goes through CONNECT. */
const NOT_UPGRADED = "h2c";
/** Removing one of these because Connection names it would change where the request goes or where it ends. */
const NEVER_HOP_BY_HOP = ["host", "content-length", "transfer-encoding"];

export function decideRequest(head: RequestHead): Forward | Refusal {
  if (!VERSIONS.includes(head.version)) return refuseMalformed(`"HTTP/${shown(head.version)}" is not spoken here.`);
  const absolute = ABSOLUTE_FORM.exec(head.url);
  if (absolute === null) return refuseOriginForm(head);
  const authority = parseAuthority(absolute[2]!, HTTP_PORT);
  if (authority === undefined) return refuseBadTarget(head.url);
  if (isLocal(authority, head.localNames)) return refuseOwnName();
  const target = targetOf(authority);
  if (target.kind === "refuse") return target;
  if (absolute[1]!.toLowerCase() !== "http") return refuseScheme(absolute[1]!);
  const malformed = refuseFields(head.headers);
  if (malformed !== undefined) return malformed;
  if (!isToken(head.method)) return refuseHeaders("Its method holds characters that HTTP does not allow.");
  if (head.method === "TRACE" || head.method === "CONNECT") return refuseMethod(head.method);
  const path = pathOf(head.method, absolute[3]!);
  if (path === undefined) return refuseBadTarget(head.url);
  if (head.version !== "1.0" && valuesOf(head.headers, "host").length === 0) return refuseNoHost();
  return refuseHost(head.headers, target, HTTP_PORT) ?? frame(head, target, path);
}

/**
 * `authority` is the target of a CONNECT. Every port is allowed: browsers use it for WebSocket on 80, people for ssh. A
 * Host may be absent (OpenBSD's nc sends none), or name no port, but not another place.
 */
export function decideConnect(authority: string, headers: HeaderFields = []): Tunnel | Refusal {
  const parsed = parseAuthority(authority, undefined);
  if (parsed === undefined) return refuseBadTarget(authority);
  const target = targetOf(parsed);
  if (target.kind === "refuse") return target;
  const refused = refuseFields(headers) ?? refuseHost(headers, target, parsed.port);
  if (refused !== undefined) return refused;
  const { nac, hash } = target;
  return { kind: "tunnel", nac, port: parsed.port, isolation: isolationOf(headers), ...(hash && { hash }) };
}

function refuseFields(headers: HeaderFields): Refusal | undefined {
  if (headers.length > 2 * FIELDS_MAX) {
    const text = `It has more than ${FIELDS_MAX} header fields.`;
    return refuse(431, "tooManyFields", "The request head is too large", text);
  }
  if (!areFieldsValid(headers)) return refuseHeaders("A header holds characters that HTTP does not allow.");
  const credentials = valuesOf(headers, "proxy-authorization");
  if (credentials.length > 1) return refuseHeaders("It has more than one Proxy-Authorization.");
  if ((credentials[0]?.length ?? 0) > CREDENTIALS_MAX) {
    return refuseHeaders(`Its Proxy-Authorization is longer than ${CREDENTIALS_MAX} characters.`);
  }
  return undefined;
}

function isolationOf(headers: HeaderFields): string {
  const credentials = valuesOf(headers, "proxy-authorization")[0];
  return credentials === undefined ? "" : tagOfCredentials(credentials);
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
function refuseHost(headers: HeaderFields, target: Target, defaultPort: number): Refusal | undefined {
  const hosts = valuesOf(headers, "host");
  if (hosts.length > 1) return refuseHeaders("The request has more than one Host header.");
  if (hosts.length === 0) return undefined;
  const authority = parseAuthority(hosts[0]!.trim(), defaultPort);
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
  if (codings.length > 0 && head.version === "1.0") return refuseFraming("HTTP/1.0 knows no Transfer-Encoding.");
  if (lengths.length === 1 && !LENGTH_PATTERN.test(lengths[0]!))
    return refuseFraming("Its Content-Length is not a number.");
  if (codings.length === 1 && codings[0]!.trim().toLowerCase() !== "chunked") return refuseCoding(codings[0]!);
  const options = new Set(listOf(head.headers, "connection"));
  for (const option of NEVER_HOP_BY_HOP) {
    if (options.has(option)) return refuseHeaders(`Its Connection header may not name "${option}".`);
  }
  const isModern = head.version !== "1.0"; // an older client gets no interim answer, no trailers and no other protocol
  const expectations = listOf(head.headers, "expect");
  const unknown = expectations.find((expectation) => expectation !== "100-continue");
  if (unknown !== undefined) return refuseExpectation(unknown);
  const body = codings.length === 1 ? "chunked" : lengths.length === 1 ? "length" : "none";
  // Parsers stop at the head of such a request: a body would be taken for the other protocol.
  const asksUpgrade = options.has("upgrade") && valuesOf(head.headers, "upgrade").length > 0;
  if (asksUpgrade && body !== "none" && !EMPTY_PATTERN.test(lengths[0] ?? "")) return refuseUpgradeBody();
  const upgrade = asksUpgrade && isModern ? upgradeOf(head.headers) : undefined;
  const { nac, hash, authority } = target;
  const host = authority.port === HTTP_PORT ? authority.host : `${authority.host}:${authority.port}`;
  const takesTrailers = isModern && listOf(head.headers, "te").includes("trailers");
  return {
    kind: "forward",
    nac,
    port: authority.port,
    path,
    headers: forwardedFields(head.headers, { host, body, upgrade, takesTrailers }),
    host,
    body: asksUpgrade ? "none" : body,
    isolation: isolationOf(head.headers),
    expectsContinue: isModern && expectations.length > 0,
    takesTrailers,
    ...(upgrade !== undefined && { upgrade }),
    ...(hash && { hash }),
  };
}

/** What goes to the server, but for Connection, which is the shell's. */
function forwardedFields(
  fields: HeaderFields,
  about: Pick<Forward, "host" | "body" | "takesTrailers"> & { readonly upgrade: string | undefined },
): string[] {
  const headers = ["Host", about.host, ...endToEndFields(fields, ["host"])];
  if (about.body === "chunked") headers.push("Transfer-Encoding", "chunked");
  if (about.body === "chunked" && listOf(fields, "trailer").length > 0) {
    headers.push("Trailer", valuesOf(fields, "trailer").join(", "));
  }
  if (about.takesTrailers) headers.push("TE", "trailers");
  if (about.upgrade !== undefined) headers.push("Upgrade", about.upgrade);
  return headers;
}

function upgradeOf(headers: HeaderFields): string | undefined {
  const asked = valuesOf(headers, "upgrade").flatMap((value) => value.split(","));
  const protocols = asked.map((one) => one.trim()).filter((one) => one !== "" && one.toLowerCase() !== NOT_UPGRADED);
  return protocols.length === 0 ? undefined : protocols.join(", ");
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

function refuseNoHost(): Refusal {
  return refuse(
    400,
    "noHost",
    "The request has no Host header",
    "HTTP/1.1 asks for one, and servers tell their sites apart by it. It was not sent.",
  );
}

function refuseUpgradeBody(): Refusal {
  return refuse(
    400,
    "upgradeBody",
    "A change of protocol cannot have a body",
    "The request asks for another protocol and has a body, so it is not clear where that ends. Send it without Upgrade.",
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
