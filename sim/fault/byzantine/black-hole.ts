import type { Liar } from "./liar.js";

/** Routes as it should, and drops what it is to carry for others. */
export function blackHole(_nowUs: number, { inside: { forwarder } }: Liar): void {
  const decide = forwarder.decide.bind(forwarder);
  forwarder.decide = (isLocal, nextHop, hopsLeft) => {
    const decision = decide(isLocal, nextHop, hopsLeft);
    return decision.kind === "relay" ? { kind: "drop", reason: "hopLimit" } : decision;
  };
}
