import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { MAC_BYTES } from "../wire/init.js";
import type { SessionContext } from "./context.js";
import { CookieOven } from "./cookies.js";
import { KeyedRateLimit, LoadMeter, RateLimit } from "./rate-limit.js";

/** INITs that passed mac1 in one second, all paths together; beyond, a cookie is asked for. About 5 % of a core. */
export const CALM_INITS = 50;
/** What a path with a cookie may still ask of us each second, and at once: a neighbour needs one. */
export const PATH_INITS = 20;
export const PATH_BURST = 5;
/** All paths with a cookie together: half a core, for whoever has many addresses or ports. */
export const PROVEN_INITS = 400;
export const PROVEN_BURST = 32;
/** Paths whose rate is remembered. Each is whole again after 250 ms; beyond, INITs from further ones are refused. */
export const PROVEN_PATHS_MAX = 4096;

/** "serve": spend a key agreement. "ask": answer with a cookie. "refuse": nothing. */
export type GateVerdict = "serve" | "ask" | "refuse";

/**
 * Which INITs of a link are worth a key agreement. While there are few: all. Under load: those that show by mac2 that
 * their sender receives what is sent to its address, each address in its measure.
 */
export class CookieGate {
  /** Paths whose rate is remembered. */
  readonly cap = new Cap("provenPaths", PROVEN_PATHS_MAX);
  private readonly oven: CookieOven;
  private readonly meter: LoadMeter;
  private readonly paths = new KeyedRateLimit(PATH_INITS, PATH_BURST, PROVEN_PATHS_MAX);
  private readonly proven = new RateLimit(PROVEN_INITS, PROVEN_BURST);

  /** @param calmInits CALM_INITS unless given */
  constructor(context: SessionContext, staticHash: Uint8Array, calmInits = CALM_INITS) {
    this.oven = new CookieOven(context, staticHash);
    this.meter = new LoadMeter(calmInits);
  }

  /** To be asked once for each INIT whose mac1 is right. `pathTag` is 8 bytes that stand for `path`. */
  judge(nowUs: number, path: number, bytes: Uint8Array, at: number, length: number, pathTag: Uint8Array): GateVerdict {
    if (!this.meter.isOver(nowUs)) return "serve";
    if (!hasMac2(bytes, at + length - MAC_BYTES)) return "ask";
    if (!this.oven.knows(nowUs, bytes, at, length, pathTag)) return "ask";
    if (!this.paths.take(nowUs, path) || !this.proven.take(nowUs)) return "refuse";
    this.cap.note(this.paths.size);
    return "serve";
  }

  /** The COOKIE that asks. */
  bake(nowUs: number, bytes: Uint8Array, at: number, length: number, pathTag: Uint8Array): Uint8Array {
    return this.oven.bake(nowUs, bytes, at, length, pathTag);
  }

  digest(into: Digest): void {
    this.oven.digest(into);
    this.meter.digest(into);
    this.paths.digest(into);
    this.proven.digest(into);
  }
}

function hasMac2(bytes: Uint8Array, at: number): boolean {
  for (let i = at; i < at + MAC_BYTES; i += 1) if (bytes[i] !== 0) return true;
  return false;
}
