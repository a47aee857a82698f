import { printNac } from "../../core/address/nac.js";
import { printLongName, printName } from "../../core/address/name.js";
import { printHex } from "../../core/address/text.js";
import type { Identity } from "../../core/crypto/identity.js";
import type { Directory } from "../config/directory.js";
import type { IdReport } from "./protocol.js";

/** `linkKeyHash` is undefined while nobody can know it. */
export function idReport(directory: Directory, identity: Identity, linkKeyHash: Uint8Array | undefined): IdReport {
  return {
    nac: printNac(identity.nac),
    name: printName(identity.nac),
    longName: printLongName(identity.nacHash),
    linkKeyHash: linkKeyHash === undefined ? null : printHex(linkKeyHash),
    configFile: directory.configFile,
    keyFile: directory.keyFile,
  };
}
