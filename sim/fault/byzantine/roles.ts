import type { Byzantine } from "../../plan/plan.js";
import { accuse } from "./accuse.js";
import { blackHole } from "./black-hole.js";
import { flap } from "./flap.js";
import { malformed, oversized } from "./flood.js";
import { epochForger, indexForger } from "./forger.js";
import { ghost } from "./ghost.js";
import type { Liar } from "./liar.js";
import { metric } from "./metric.js";
import { overflow } from "./overflow.js";
import { replay } from "./replay.js";
import { sameDistance } from "./same-distance.js";
import { stall } from "./stall.js";
import { swallow } from "./swallow.js";

/** By the name that scenarios use; sim/SCENARIOS.md says what each must not achieve. */
const ROLES: Readonly<Record<Byzantine, (nowUs: number, liar: Liar) => void>> = {
  ghost,
  swallow,
  metric,
  "same-distance": sameDistance,
  index: indexForger,
  epoch: epochForger,
  replay,
  accuse,
  flap: (nowUs, liar) => flap(nowUs, liar, 1),
  "flap-fast": (nowUs, liar) => flap(nowUs, liar, 1_000),
  stall,
  "black-hole": blackHole,
  overflow,
  malformed,
  oversized,
};

/** Makes a node lie from now on, whatever it told before; a node may play several roles. */
export function turn(nowUs: number, liar: Liar, as: Byzantine): void {
  ROLES[as](nowUs, liar);
}
