/**
 * Cookies: a responder under load asks the sender of an INIT to show that it receives what is sent to its address,
 * before it spends a key agreement on it. It remembers nothing for that: the cookie is a keyed hash of the path.
 *
 *   cookie = H(secret | path tag)[0..16)                    secret: 32 random bytes, fresh every 2 min
 *   COOKIE = Seal(H("mq1 cookie" | H(pk_s)), nonce, cookie), associated data: mac1 of the INIT
 *   mac2   = H("mq1 mac2" | cookie | all bytes before mac2)[0..16)
 *
 * The key of the seal is no secret from whoever knows the responder's key. The seal binds the COOKIE to one INIT, so that
 * only who saw that INIT can answer it.
 */
import { ascii } from "../address/text.js";
import type { Digest } from "../collections/digest.js";
import { type CryptoSuite, HASH_BYTES, SUITE_ID } from "../crypto/suite.js";
import { SECOND_US } from "../time/instant.js";
import { COOKIE_BYTES, COOKIE_PACKET_BYTES, COOKIE_SEALED_OFFSET, decodeCookie, encodeCookie } from "../wire/cookie.js";
import { Reader, Writer } from "../wire/cursor.js";
import { PROTOCOL_VERSION, TAG_BYTES } from "../wire/flight.js";
import { INIT_TAIL_BYTES, MAC_BYTES } from "../wire/init.js";
import type { SessionContext } from "./context.js";

/** A cookie is taken for one to two of these. */
export const SECRET_LIFE_US = 120 * SECOND_US;

const COOKIE_LABEL = ascii("mq1 cookie");
const MAC2_LABEL = ascii("mq1 mac2");
const NONCE_BYTES = COOKIE_SEALED_OFFSET - 4;
const NO_SEAL = new Uint8Array(COOKIE_BYTES + TAG_BYTES);

/** The responder's side: bakes cookies and knows them again. */
export class CookieOven {
  private readonly context: SessionContext;
  private readonly key: Uint8Array;
  private current: Uint8Array | undefined;
  private previous: Uint8Array | undefined;
  private bornUs = 0;

  /** @param staticHash H(pk_s), 32 bytes */
  constructor(context: SessionContext, staticHash: Uint8Array) {
    this.context = context;
    this.key = cookieKey(context.suite, staticHash);
  }

  /** The COOKIE for the INIT at `bytes[at, at + length)`, whose mac1 is right. */
  bake(nowUs: number, bytes: Uint8Array, at: number, length: number, pathTag: Uint8Array): Uint8Array {
    const { suite, entropy } = this.context;
    this.renew(nowUs);
    const out = new Uint8Array(COOKIE_PACKET_BYTES);
    const nonce = entropy(NONCE_BYTES);
    encodeCookie(new Writer(out), { version: PROTOCOL_VERSION, suite: SUITE_ID, flags: 0, nonce, sealed: NO_SEAL });
    out.set(cookieOf(suite, this.current!, pathTag), COOKIE_SEALED_OFFSET);
    const mac1At = at + length - INIT_TAIL_BYTES;
    const mac1 = bytes.subarray(mac1At, mac1At + MAC_BYTES);
    suite.aead(this.key).seal(nonce, mac1, out, COOKIE_SEALED_OFFSET, COOKIE_BYTES);
    return out;
  }

  /** Does mac2 of that INIT hold a cookie that we gave to this path? */
  knows(nowUs: number, bytes: Uint8Array, at: number, length: number, pathTag: Uint8Array): boolean {
    this.renew(nowUs);
    const { suite } = this.context;
    for (const secret of [this.current, this.previous]) {
      if (secret === undefined) continue;
      const mac2 = mac2Of(suite, cookieOf(suite, secret, pathTag), bytes, at, length);
      if (isMac2(mac2, bytes, at + length - MAC_BYTES)) return true;
    }
    return false;
  }

  digest(into: Digest): void {
    into.number(this.bornUs);
    for (const secret of [this.current, this.previous]) into.number(secret === undefined ? 0 : 1);
  }

  /** Nobody who floods us for minutes shall have long to guess in, and no cookie shall be good for ever. */
  private renew(nowUs: number): void {
    const ageUs = nowUs - this.bornUs;
    if (this.current !== undefined && ageUs < SECRET_LIFE_US) return;
    this.previous = ageUs < 2 * SECRET_LIFE_US ? this.current : undefined;
    this.current = this.context.entropy(HASH_BYTES).slice();
    this.bornUs = nowUs;
  }
}

/** The initiator's side: the cookie in the COOKIE at `bytes[at, at + length)`; undefined when it does not answer that INIT. */
export function openCookie(
  suite: CryptoSuite,
  staticHash: Uint8Array,
  init: Uint8Array,
  bytes: Uint8Array,
  at: number,
  length: number,
): Uint8Array | undefined {
  const cookie = decodeCookie(new Reader(bytes, at, at + length));
  if (cookie === undefined || cookie.version !== PROTOCOL_VERSION || cookie.suite !== SUITE_ID) return undefined;
  if (cookie.flags !== 0) return undefined; // nothing vouches for them
  const mac1At = init.length - INIT_TAIL_BYTES;
  const mac1 = init.subarray(mac1At, mac1At + MAC_BYTES);
  const sealed = cookie.sealed.slice();
  const aead = suite.aead(cookieKey(suite, staticHash));
  return aead.open(cookie.nonce, mac1, sealed, 0, sealed.length) ? sealed.slice(0, COOKIE_BYTES) : undefined;
}

/** mac2 of the INIT at `bytes[at, at + length)`, over all bytes before it. */
export function mac2Of(
  suite: CryptoSuite,
  cookie: Uint8Array,
  bytes: Uint8Array,
  at: number,
  length: number,
): Uint8Array {
  return suite.hash(MAC2_LABEL, cookie, bytes.subarray(at, at + length - MAC_BYTES)).slice(0, MAC_BYTES);
}

function cookieKey(suite: CryptoSuite, staticHash: Uint8Array): Uint8Array {
  return suite.hash(COOKIE_LABEL, staticHash);
}

function cookieOf(suite: CryptoSuite, secret: Uint8Array, pathTag: Uint8Array): Uint8Array {
  return suite.hash(secret, pathTag).slice(0, COOKIE_BYTES);
}

/** In the same time wherever they differ: mac2, unlike mac1, holds something that the sender may not know. */
function isMac2(mac2: Uint8Array, bytes: Uint8Array, at: number): boolean {
  let difference = 0;
  for (let i = 0; i < MAC_BYTES; i += 1) difference |= mac2[i]! ^ bytes[at + i]!;
  return difference === 0;
}
