/**
 * Who this node is, from its files; and the rules for when one of them is missing or does not fit the others.
 *
 *   privatekey.pem  config.json    then
 *   absent          absent         new keys and NAC, new port
 *   absent          present        new keys and NAC, same port
 *   present         absent         same NAC, new port
 *   present         present        same NAC, same port; refused when the keys give another NAC than config.json says
 *
 * Before new keys are written, the old NAC is taken out of config.json. So a crash at any point leaves either the old
 * identity or the new one, whole, and never a pair that the next start would refuse.
 */
import { printNac } from "../../core/address/nac.js";
import {
  type Identity,
  identityFromSeeds,
  linkKeyHashOf,
  networkIdOf,
  SUITE_FLOOR,
} from "../../core/crypto/identity.js";
import { type CryptoSuite, type Entropy, KEM_SEED_BYTES, type KemKeys } from "../../core/crypto/suite.js";
import { ExitCode, Failure } from "../failure.js";
import { type Config, keepInConfig } from "./config-file.js";
import { type Directory, quote } from "./directory.js";
import { createIdentityKey, createLinkKey, readIdentityKey, readLinkKey, replaceIdentityKey } from "./key-files.js";

export interface OpenedIdentity {
  readonly identity: Identity;
  /** What had to be done for it. */
  readonly how: "kept" | "created" | "rotated";
}

export interface OpenedLinkKey {
  readonly keys: KemKeys;
  /** 32 bytes. */
  readonly hash: Uint8Array;
}

/** `config` is undefined when there is no config.json. Throws a Failure, exit 3 or 7. */
export function openIdentity(
  directory: Directory,
  config: Config | undefined,
  context: { readonly suite: CryptoSuite; readonly entropy: Entropy; readonly networkName: string },
  rotate: boolean,
): OpenedIdentity {
  const { suite, entropy, networkName } = context;
  const kept = rotate ? undefined : readIdentityKey(directory.keyFile);
  if (kept !== undefined) {
    const identity = identityFromSeeds(suite, networkIdOf(suite, networkName), kept.kemSeed, kept.signatureSeed);
    refuseMismatch(directory, config, identity, networkName);
    return { identity, how: "kept" };
  }
  if (config?.nac !== undefined) keepInConfig(directory.configFile, { nac: undefined, udpPort: config.udpPort });
  const seeds = (rotate ? replaceIdentityKey : createIdentityKey)(directory.keyFile, entropy);
  const identity = identityFromSeeds(suite, networkIdOf(suite, networkName), seeds.kemSeed, seeds.signatureSeed);
  return { identity, how: rotate ? "rotated" : "created" };
}

/**
 * `auto` keeps the link key when people were told where to find this node, and takes a fresh one at each start
 * otherwise: a kept key would let neighbours recognise the machine wherever it connects from.
 */
export function isLinkKeyPersistent(config: Config, udpFlagGiven: boolean): boolean {
  if (config.link.key !== "auto") return config.link.key === "persistent";
  return udpFlagGiven || config.udp !== "auto";
}

export function openLinkKey(
  directory: Directory,
  context: { readonly suite: CryptoSuite; readonly entropy: Entropy; readonly networkName: string },
  persistent: boolean,
): OpenedLinkKey {
  const { suite, entropy, networkName } = context;
  const kemSeed = persistent
    ? (readLinkKey(directory.linkKeyFile) ?? createLinkKey(directory.linkKeyFile, entropy)).kemSeed
    : entropy(KEM_SEED_BYTES);
  const keys = suite.kemKeys(kemSeed);
  return { keys, hash: linkKeyHashOf(suite, networkIdOf(suite, networkName), SUITE_FLOOR, keys.publicKey) };
}

function refuseMismatch(
  directory: Directory,
  config: Config | undefined,
  identity: Identity,
  networkName: string,
): void {
  const nac = printNac(identity.nac);
  if (config?.nac === undefined || config.nac.toLowerCase() === nac) return;
  throw new Failure(
    "config.mismatch",
    ExitCode.config,
    `${directory.configFile} says NAC ${config.nac}, but ${directory.keyFile} gives ${nac} in the network "${networkName}"`,
    `put the matching file back; or remove the line "nac" to go on with these keys; or make a new identity on the same port:  mariana up --dir ${quote(directory.path)} --rotate`,
  );
}
