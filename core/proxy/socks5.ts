/**
 * SOCKS5 (RFC 1928, RFC 1929) as a state machine: the client's bytes in, decisions out. Nothing is resolved: a target is a
 * name under .mariana, and an IP address is refused, because whoever sends one has asked a resolver for our name first.
 *
 *   client                            proxy
 *   05 n methods        -->
 *                       <--           05 method           02 user and password if offered, else 00 none
 *   01 user password    -->                               accepted whatever it says: it is an isolation tag
 *                       <--           01 00
 *   05 cmd 00 address   -->
 *                       <--           05 reply 00 address
 */
import { parseName } from "../address/name.js";
import { ascii, utf8 } from "../address/text.js";
import type { Digest } from "../collections/digest.js";
import { EndCode } from "../wire/cell.js";
import { parseAuthority } from "./authority.js";
import { describeFailure } from "./failure.js";
import { tagOf } from "./isolation.js";
import type { Tunnel } from "./request-decision.js";

export const SocksReply = {
  succeeded: 0x00,
  failed: 0x01,
  /** By our rules: not a name of the overlay. */
  notAllowed: 0x02,
  hostUnreachable: 0x04,
  refused: 0x05,
  timedOut: 0x06,
  commandUnknown: 0x07,
  addressTypeUnknown: 0x08,
} as const;

/** Counted by these names. */
export const SOCKS_FAULTS = [
  "notSocks5",
  "noMethod",
  "malformed",
  "ipAddress",
  "notMariana",
  "badName",
  "badPort",
  "command",
  "addressType",
  "slow",
  "busy",
  "fragment",
  "stranger",
  "tooLarge",
] as const;

export type SocksFault = (typeof SOCKS_FAULTS)[number];

export type SocksStep =
  /** More bytes are needed. */
  | { readonly kind: "wait" }
  /** Send these, then ask for the next step. */
  | { readonly kind: "reply"; readonly bytes: Uint8Array }
  /** Send these (there may be none) and end the connection. */
  | { readonly kind: "refuse"; readonly fault: SocksFault; readonly bytes: Uint8Array }
  /** What the client said beyond its request is for the target. */
  | { readonly kind: "connect"; readonly target: Tunnel; readonly early: Uint8Array }
  /** Datagrams, until the connection ends. `port`: where the client will send them from; 0 when it does not know yet. */
  | { readonly kind: "associate"; readonly port: number; readonly isolation: string };

const VERSION = 5;
const AUTH_VERSION = 1;
const METHOD_NONE = 0;
const METHOD_PASSWORD = 2;
const METHOD_NO_ACCEPTABLE = 0xff;
const COMMAND_CONNECT = 1;
const COMMAND_ASSOCIATE = 3;
const ADDRESS_IPV4 = 1;
const ADDRESS_NAME = 3;
const ADDRESS_IPV6 = 4;
const PORT_BYTES = 2;
const NOTHING = new Uint8Array(0);
const WAIT: SocksStep = { kind: "wait" };

// The numbers that stand for states in a digest.
const STATES = ["greeting", "password", "request", "over"] as const;

export class SocksNegotiation {
  private state: (typeof STATES)[number] = "greeting";
  private isolation = "";
  /** Never more than one unfinished message, 519 bytes, beside what the shell gave last. */
  private pending: Uint8Array = NOTHING;

  /** `bytes` are copied. After a step that ends the negotiation nothing more may be given. */
  handle(bytes: Uint8Array): void {
    const joined = new Uint8Array(this.pending.length + bytes.length);
    joined.set(this.pending);
    joined.set(bytes, this.pending.length);
    this.pending = joined;
  }

  /** To be asked until it says wait, refuse, connect or associate. */
  next(): SocksStep {
    switch (this.state) {
      case "greeting":
        return this.readGreeting();
      case "password":
        return this.readPassword();
      case "request":
        return this.readRequest();
      case "over":
        return WAIT;
    }
  }

  digest(into: Digest): void {
    into.number(STATES.indexOf(this.state)).bytes(utf8(this.isolation)).bytes(this.pending);
  }

  private readGreeting(): SocksStep {
    const { pending } = this;
    if (pending.length === 0) return WAIT;
    if (pending[0] !== VERSION) return this.refuse("notSocks5", strangerAnswer(pending[0]!));
    if (pending.length < 2 || pending.length < 2 + pending[1]!) return WAIT;
    const methods = pending.subarray(2, 2 + pending[1]!);
    this.take(2 + methods.length);
    const hasPassword = methods.includes(METHOD_PASSWORD);
    if (!hasPassword && !methods.includes(METHOD_NONE)) {
      return this.refuse("noMethod", Uint8Array.of(VERSION, METHOD_NO_ACCEPTABLE));
    }
    this.state = hasPassword ? "password" : "request";
    return { kind: "reply", bytes: Uint8Array.of(VERSION, hasPassword ? METHOD_PASSWORD : METHOD_NONE) };
  }

  private readPassword(): SocksStep {
    const { pending } = this;
    if (pending.length === 0) return WAIT;
    if (pending[0] !== AUTH_VERSION) return this.refuse("malformed", Uint8Array.of(AUTH_VERSION, 1));
    if (pending.length < 2) return WAIT;
    const userEnd = 2 + pending[1]!;
    if (pending.length <= userEnd) return WAIT;
    const end = userEnd + 1 + pending[userEnd]!;
    if (pending.length < end) return WAIT;
    this.isolation = tagOf(latin1(pending.subarray(2, userEnd)), latin1(pending.subarray(userEnd + 1, end)));
    this.take(end);
    this.state = "request";
    return { kind: "reply", bytes: Uint8Array.of(AUTH_VERSION, 0) };
  }

  private readRequest(): SocksStep {
    const { pending } = this;
    if (pending.length < 5) return WAIT;
    if (pending[0] !== VERSION || pending[2] !== 0) return this.refuse("malformed", socksReply(SocksReply.failed));
    const end = addressEnd(pending, 3);
    if (end === undefined) return this.refuse("addressType", socksReply(SocksReply.addressTypeUnknown));
    if (pending.length < end) return WAIT;
    const command = pending[1];
    const target = command === COMMAND_CONNECT ? decideAddress(pending, 3, this.isolation) : undefined;
    const port = (pending[end - 2]! << 8) | pending[end - 1]!;
    this.take(end);
    if (command === COMMAND_ASSOCIATE) {
      this.state = "over";
      return { kind: "associate", port, isolation: this.isolation };
    }
    if (target === undefined) return this.refuse("command", socksReply(SocksReply.commandUnknown));
    if (typeof target === "string") return this.refuse(target, socksReply(REPLY_OF[target]));
    this.state = "over";
    return { kind: "connect", target, early: this.pending };
  }

  private refuse(fault: SocksFault, bytes: Uint8Array): SocksStep {
    this.state = "over";
    this.pending = NOTHING;
    return { kind: "refuse", fault, bytes };
  }

  private take(count: number): void {
    this.pending = this.pending.slice(count);
  }
}

/** The address is that of a socket of ours that nobody may use: it is not told. */
export function socksReply(code: number): Uint8Array {
  return Uint8Array.of(VERSION, code, 0, ADDRESS_IPV4, 0, 0, 0, 0, 0, 0);
}

/** Datagrams are to be sent to this port, at the address that the client is connected to (that is what zeros say). */
export function socksAssociated(port: number): Uint8Array {
  return Uint8Array.of(VERSION, SocksReply.succeeded, 0, ADDRESS_IPV4, 0, 0, 0, 0, port >> 8, port & 0xff);
}

/** What a stream's end before it was accepted is called in SOCKS. `code` as for describeFailure. */
export function socksReplyOf(code: number, port: number): number {
  if (code === EndCode.refused || code === EndCode.targetDown) return SocksReply.refused;
  if (code === EndCode.timeout) return SocksReply.timedOut;
  const isUnreached = describeFailure(code, port).status === 504;
  return isUnreached ? SocksReply.hostUnreachable : SocksReply.failed;
}

type AddressFault = "ipAddress" | "notMariana" | "badName" | "badPort";

const REPLY_OF: Record<AddressFault, number> = {
  ipAddress: SocksReply.notAllowed,
  notMariana: SocksReply.notAllowed,
  badName: SocksReply.hostUnreachable,
  badPort: SocksReply.failed,
};

/** The target that the address at `bytes[at]` (type, address, port) names; it must be there as a whole. */
export function decideAddress(bytes: Uint8Array, at: number, isolation: string): Tunnel | AddressFault {
  if (bytes[at] !== ADDRESS_NAME) return "ipAddress";
  const nameEnd = at + 2 + bytes[at + 1]!;
  const text = latin1(bytes.subarray(at + 2, nameEnd));
  const port = (bytes[nameEnd]! << 8) | bytes[nameEnd + 1]!;
  const host = text.includes(":") ? undefined : parseAuthority(text, 1)?.host;
  if (host === undefined) return text.toLowerCase().endsWith(".mariana") ? "badName" : "notMariana";
  const name = parseName(host);
  if (name === undefined) return host === "mariana" || host.endsWith(".mariana") ? "badName" : "notMariana";
  return port === 0 ? "badPort" : { kind: "tunnel", ...name, port, isolation };
}

/** Where the address at `bytes[at]` ends, port included; undefined for a type that nobody knows. `bytes[at + 1]` is there. */
export function addressEnd(bytes: Uint8Array, at: number): number | undefined {
  switch (bytes[at]) {
    case ADDRESS_IPV4:
      return at + 1 + 4 + PORT_BYTES;
    case ADDRESS_IPV6:
      return at + 1 + 16 + PORT_BYTES;
    case ADDRESS_NAME:
      return at + 2 + bytes[at + 1]! + PORT_BYTES;
    default:
      return undefined;
  }
}

/** People enter this port as an HTTP proxy, and old programs speak SOCKS4; each gets an answer that it can read. */
function strangerAnswer(first: number): Uint8Array {
  if (first === 4) return Uint8Array.of(0, 0x5b, 0, 0, 0, 0, 0, 0);
  const isLetter = first >= 0x41 && first <= 0x5a;
  return isLetter ? ascii(HTTP_ANSWER) : NOTHING;
}

const HTTP_ANSWER =
  "HTTP/1.1 501 Not Implemented\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n" +
  "This is a SOCKS5 proxy, not an HTTP proxy. Enter it as SOCKS5, with names resolved by the proxy (socks5h).\n";

function latin1(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += String.fromCharCode(byte);
  return out;
}
