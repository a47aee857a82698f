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
 * identity or the new one, whole, and never a pair that the next start would refuse. A rotation leaves the old identity
 * behind as the former one (former-identity.ts), unless its keys are damaged, could be read by others or are not those of
 * the NAC in config.json: these end at once.
 */
import { printNac } from "../../core/address/nac.js";
import {
  type Identity,
  identityFromSeeds,
  linkKeyHashOf,
  networkIdOf,
  SUITE_FLOOR,
} from "../../core/crypto/identity.js";
import type { IdentitySeeds } from "../../core/crypto/pem.js";
import { type CryptoSuite, type Entropy, KEM_SEED_BYTES, type KemKeys } from "../../core/crypto/suite.js";
import { ExitCode, Failure, quote } from "../failure.js";
import { type Config, defaultConfig, keepInConfig } from "./config-file.js";
import type { Directory } from "./directory.js";
import { eraseFormerKeys, type FormerEnd, type Grace, openFormerKeys, retireKeys } from "./former-identity.js";
import { createIdentityKey, createLinkKey, readIdentityKey, readLinkKey, replaceIdentityKey } from "./key-files.js";
import { readState, type State, writeState } from "./state-file.js";

export interface OpenedIdentity {
  readonly identity: Identity;
  /** What had to be done for it. */
  readonly how: "kept" | "created" | "rotated";
  /** As state.json holds it now. */
  readonly state: State;
  /** What was wrong with state.json, if anything was. */
  readonly damage: string | undefined;
  /** The identity before a rotation, while its time is not over. */
  readonly former: { readonly identity: Identity; readonly remainingSeconds: number } | undefined;
  /** Why the keys of a former identity were erased just now, if they were. */
  readonly erased: FormerEnd | undefined;
}

export interface KeyContext {
  readonly suite: CryptoSuite;
  readonly entropy: Entropy;
  readonly networkName: string;
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
  context: KeyContext,
  choice: { readonly rotate: boolean; readonly nowSeconds: number },
): OpenedIdentity {
  const { rotate, nowSeconds } = choice;
  const grace = { hours: (config ?? defaultConfig()).identity.graceHours, nowSeconds };
  const found = readState(directory.stateFile);
  const kept = rotate ? undefined : readIdentityKey(directory.keyFile);
  if (kept !== undefined) {
    const identity = identityOf(kept, context);
    refuseMismatch(directory, config, identity, context.networkName);
    return { identity, how: "kept", damage: found.damage, ...openFormer(directory, kept, context, grace) };
  }
  const old = rotate ? readSoundKeys(directory, config, context) : undefined;
  if (config?.nac !== undefined) keepInConfig(directory.configFile, { nac: undefined, udpPort: config.udpPort });
  if (old !== undefined && grace.hours > 0) retireKeys(directory, old, found, grace);
  else if (rotate) eraseFormerKeys(directory, { epoch: 0 });
  else if (found.epoch !== 0) writeState(directory.stateFile, { ...found, epoch: 0 });
  const seeds = (rotate ? replaceIdentityKey : createIdentityKey)(directory.keyFile, context.entropy);
  const how = rotate ? "rotated" : "created";
  return {
    identity: identityOf(seeds, context),
    how,
    damage: found.damage,
    ...openFormer(directory, seeds, context, grace),
  };
}

function openFormer(
  directory: Directory,
  current: IdentitySeeds,
  context: KeyContext,
  grace: Grace,
): Pick<OpenedIdentity, "state" | "former" | "erased"> {
  const keys = openFormerKeys(directory, current, readState(directory.stateFile), grace);
  const { state } = keys;
  if (keys.kind !== "kept")
    return { state, former: undefined, erased: keys.kind === "erased" ? keys.reason : undefined };
  const former = { identity: identityOf(keys.seeds, context), remainingSeconds: keys.remainingSeconds };
  return { state, former, erased: undefined };
}

/** The keys before a rotation, if they may go on being used. */
function readSoundKeys(
  directory: Directory,
  config: Config | undefined,
  context: KeyContext,
): IdentitySeeds | undefined {
  try {
    const seeds = readIdentityKey(directory.keyFile);
    if (seeds !== undefined) refuseMismatch(directory, config, identityOf(seeds, context), context.networkName);
    return seeds;
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

function identityOf({ kemSeed, signatureSeed }: IdentitySeeds, { suite, networkName }: KeyContext): Identity {
  return identityFromSeeds(suite, networkIdOf(suite, networkName), kemSeed, signatureSeed);
}

export function openLinkKey(directory: Directory, context: KeyContext, persistent: boolean): OpenedLinkKey {
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
