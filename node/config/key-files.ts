/**
 * privatekey.pem and linkkey.pem: seeds that only their owner may read. A file that others can read is refused, not
 * repaired: nobody knows who read it.
 */
import { statSync } from "node:fs";
import {
  decodeIdentityPem,
  decodeLinkKeyPem,
  encodeIdentityPem,
  encodeLinkKeyPem,
  type IdentitySeeds,
  type LinkSeed,
} from "../../core/crypto/pem.js";
import { type Entropy, KEM_SEED_BYTES, SIGNATURE_SEED_BYTES } from "../../core/crypto/suite.js";
import { ExitCode, Failure, quote } from "../failure.js";
import { createFileAtomically, readFileIfAny, writeFileAtomically } from "./file.js";

/** Undefined when there is no file. Throws a Failure: exit 7 when others can read it, 3 when it is damaged. */
export function readIdentityKey(path: string): IdentitySeeds | undefined {
  const text = readPrivateFile(path, "make a new identity instead, as it is: mariana up --rotate");
  if (text === undefined) return undefined;
  const seeds = decodeIdentityPem(text);
  if (seeds.kind === "refused") throw damaged(path, seeds.reason, "starting again then makes a new identity");
  return seeds;
}

/** Makes the file, 0600. Throws a Failure when there is one: keys are never overwritten by accident. */
export function createIdentityKey(path: string, entropy: Entropy): IdentitySeeds {
  const seeds = newIdentitySeeds(entropy);
  if (!createFileAtomically(path, encodeIdentityPem(seeds.kemSeed, seeds.signatureSeed))) {
    throw new Failure("key.invalid", ExitCode.config, `${path} appeared while this node started`, "start it again");
  }
  return seeds;
}

/** Rotation: the one place where keys are replaced. The old ones are gone from this file when it returns. */
export function replaceIdentityKey(path: string, entropy: Entropy): IdentitySeeds {
  const seeds = newIdentitySeeds(entropy);
  writeIdentityKey(path, seeds);
  return seeds;
}

/** Replaces the file as a whole, 0600. */
export function writeIdentityKey(path: string, { kemSeed, signatureSeed }: IdentitySeeds): void {
  writeFileAtomically(path, encodeIdentityPem(kemSeed, signatureSeed));
}

export function readLinkKey(path: string): LinkSeed | undefined {
  const ifLeaked = `make a new link key: rm ${quote(path)}  and tell those who pin the old one's hash`;
  const text = readPrivateFile(path, ifLeaked);
  if (text === undefined) return undefined;
  const seed = decodeLinkKeyPem(text);
  if (seed.kind === "refused") throw damaged(path, seed.reason, "peers that pin its hash then need the new one");
  return seed;
}

export function createLinkKey(path: string, entropy: Entropy): LinkSeed {
  const seed: LinkSeed = { kind: "seed", kemSeed: entropy(KEM_SEED_BYTES) };
  if (!createFileAtomically(path, encodeLinkKeyPem(seed.kemSeed))) {
    throw new Failure("key.invalid", ExitCode.config, `${path} appeared while this node started`, "start it again");
  }
  return seed;
}

function newIdentitySeeds(entropy: Entropy): IdentitySeeds {
  return { kind: "seeds", kemSeed: entropy(KEM_SEED_BYTES), signatureSeed: entropy(SIGNATURE_SEED_BYTES) };
}

function readPrivateFile(path: string, ifLeaked: string): string | undefined {
  const text = readFileIfAny(path);
  if (text === undefined) return undefined;
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) === 0) return text;
  throw new Failure(
    "key.permissions",
    ExitCode.permission,
    `${path} can be read by others (mode ${mode.toString(8).padStart(3, "0")}); a private key must be yours alone`,
    `chmod 600 ${quote(path)}  (but if somebody else may have read it, ${ifLeaked})`,
  );
}

function damaged(path: string, reason: string, consequence: string): Failure {
  const fix = `restore it from a backup, or move it away (${consequence}):  mv ${quote(path)} ${quote(`${path}.damaged`)}`;
  return new Failure("key.invalid", ExitCode.config, `${path} is damaged: ${reason}`, fix);
}
