import type { Transit } from "../../core/routing/transit.js";
import type { Config } from "./config-file.js";

/** People were told where to find this node: a UDP address is given, in `config.json` or by a flag. */
export function isPublished(config: Config, udpFlagGiven: boolean): boolean {
  return udpFlagGiven || config.udp !== "auto";
}

/**
 * `auto` keeps the link key of a node that people were told where to find, and takes a fresh one at each start
 * otherwise: a kept key would let neighbours recognise the machine wherever it connects from.
 */
export function isLinkKeyPersistent(config: Config, udpFlagGiven: boolean): boolean {
  if (config.link.key !== "auto") return config.link.key === "persistent";
  return isPublished(config, udpFlagGiven);
}

/** `auto` lends others the line of such a node, and that of another, probably behind a NAT, only as a last resort. */
export function transitOf(config: Config, udpFlagGiven: boolean): Transit {
  if (config.routing.transit !== "auto") return config.routing.transit;
  return isPublished(config, udpFlagGiven) ? "always" : "lastResort";
}
