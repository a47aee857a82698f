import { identityFromSeeds, linkKeyHashOf, networkIdOf, SUITE_FLOOR } from "../../core/crypto/identity.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import { defaultConfig, readConfig } from "../config/config-file.js";
import type { Directory } from "../config/directory.js";
import { readIdentityKey, readLinkKey } from "../config/key-files.js";
import { askDaemon } from "../control/client.js";
import type { IdReport } from "../control/protocol.js";
import { idReport } from "../control/reports.js";
import { ExitCode, Failure } from "../failure.js";

/** Asks the daemon, who alone knows a fresh link key; else reads the files, of a node that does not run. */
export async function findId(directory: Directory): Promise<IdReport> {
  try {
    return await askDaemon<IdReport>(directory.socket, { command: "id" });
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== "daemon.notRunning") throw error;
  }
  return readId(directory);
}

function readId(directory: Directory): IdReport {
  const config = readConfig(directory.configFile) ?? defaultConfig();
  const seeds = readIdentityKey(directory.keyFile);
  if (seeds === undefined) {
    const message = `there is no identity in ${directory.path}`;
    throw new Failure("key.invalid", ExitCode.config, message, "mariana up  makes one (or name another --dir)");
  }
  const networkId = networkIdOf(nobleSuite, config.network.name);
  const identity = identityFromSeeds(nobleSuite, networkId, seeds.kemSeed, seeds.signatureSeed);
  const linkSeed = config.link.key === "fresh" ? undefined : readLinkKey(directory.linkKeyFile);
  const linkKeyHash =
    linkSeed && linkKeyHashOf(nobleSuite, networkId, SUITE_FLOOR, nobleSuite.kemKeys(linkSeed.kemSeed).publicKey);
  return idReport(directory, identity, linkKeyHash);
}
