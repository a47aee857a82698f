/**
 * The identity before a rotation, which answers for `identity.graceHours` more. privatekey.former.pem holds its keys,
 * state.json until when and its epoch; only both together make a former identity.
 *
 *   a rotation   privatekey.former.pem gets the old keys, then state.json until when, then privatekey.pem the new keys
 *   its end      state.json forgets it, then privatekey.former.pem is erased
 *
 * Each step replaces a file as a whole, so privatekey.pem is never missing and never a part of anything. While it holds
 * the same keys as privatekey.former.pem, the rotation was killed before its end, and the old identity goes on.
 */
import { timingSafeEqual } from "node:crypto";
import { statSync } from "node:fs";
import type { IdentitySeeds } from "../../core/crypto/pem.js";
import { Failure } from "../failure.js";
import type { Directory } from "./directory.js";
import { removeFile } from "./file.js";
import { readIdentityKey, writeIdentityKey } from "./key-files.js";
import { type State, writeState } from "./state-file.js";

const HOUR_SECONDS = 3600;

export interface Grace {
  /** `identity.graceHours`. */
  readonly hours: number;
  /** The wall clock, seconds since 1970. */
  readonly nowSeconds: number;
}

/** Why privatekey.former.pem was erased: its time was over, its rotation did not get to its end, or it was unusable. */
export type FormerEnd = "expired" | "unfinished" | "unusable";

export type FormerKeys =
  | { readonly kind: "none"; readonly state: State }
  | { readonly kind: "erased"; readonly state: State; readonly reason: FormerEnd }
  | { readonly kind: "kept"; readonly state: State; readonly seeds: IdentitySeeds; readonly remainingSeconds: number };

/** The first half of a rotation: the keys in privatekey.pem are those of a former identity as soon as others stand there. */
export function retireKeys(directory: Directory, seeds: IdentitySeeds, state: State, grace: Grace): void {
  writeIdentityKey(directory.formerKeyFile, seeds);
  const untilSeconds = grace.nowSeconds + grace.hours * HOUR_SECONDS;
  // The new NAC's epochs begin anew: counted on from the old one's, they would tell whose successor it is.
  writeState(directory.stateFile, { epoch: 0, former: { untilSeconds, epoch: state.epoch } });
}

/** What stands of a former identity beside `current`, the keys in privatekey.pem; what cannot be served is erased. */
export function openFormerKeys(directory: Directory, current: IdentitySeeds, state: State, grace: Grace): FormerKeys {
  const erase = (reason: FormerEnd, next: State): FormerKeys => {
    return { kind: "erased", reason, state: eraseFormerKeys(directory, next) };
  };
  const seeds = readIfSound(directory.formerKeyFile);
  if (seeds === "unusable") return erase("unusable", state);
  if (seeds === undefined) return { kind: "none", state: forget(directory, state) };
  if (isSame(seeds, current)) return erase("unfinished", { epoch: state.epoch || (state.former?.epoch ?? 0) });
  const former = state.former ?? (state.damage === undefined ? undefined : guessFormer(directory, grace));
  if (former === undefined) return erase("unfinished", state);
  // A clock that was wrong at the rotation cannot make the time longer than it is configured.
  const remainingSeconds = Math.min(former.untilSeconds - grace.nowSeconds, grace.hours * HOUR_SECONDS);
  if (remainingSeconds <= 0) return erase("expired", state);
  return { kind: "kept", state: { ...state, former }, seeds, remainingSeconds };
}

/** What a damaged state.json said: its keys were written at the rotation, and no epoch of it was later than now. */
function guessFormer(directory: Directory, { hours, nowSeconds }: Grace): NonNullable<State["former"]> {
  const writtenSeconds = Math.floor(statSync(directory.formerKeyFile).mtimeMs / 1000);
  return { untilSeconds: writtenSeconds + hours * HOUR_SECONDS, epoch: nowSeconds };
}

/** No former identity is left when it returns. */
export function eraseFormerKeys(directory: Directory, state: State): State {
  const next = { epoch: state.epoch };
  writeState(directory.stateFile, next);
  removeFile(directory.formerKeyFile);
  return next;
}

function forget(directory: Directory, state: State): State {
  return state.former === undefined ? state : eraseFormerKeys(directory, state);
}

function readIfSound(path: string): IdentitySeeds | "unusable" | undefined {
  try {
    return readIdentityKey(path);
  } catch (error) {
    // Nobody is served with keys that are damaged, or that others can read. A disk that fails may give them another time.
    if (error instanceof Failure && error.code !== "file.unusable") return "unusable";
    throw error;
  }
}

function isSame(one: IdentitySeeds, other: IdentitySeeds): boolean {
  return timingSafeEqual(one.kemSeed, other.kemSeed) && timingSafeEqual(one.signatureSeed, other.signatureSeed);
}
