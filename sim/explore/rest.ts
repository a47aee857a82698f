import { NEVER, SECOND_US } from "../../core/time/instant.js";
import type { Choice } from "./choice.js";
import { GHOST_US, restViolationsOf, type Violation, violationOf } from "./invariants.js";
import type { Setting } from "./setting.js";
import type { World } from "./world.js";

/** After so long without anything new everything must be in order: the bound for ghosts, and some for what follows from them. */
const REST_US = GHOST_US + 15 * SECOND_US;
/** Whoever asks was answered well before: three tries take some seconds, and there is a turn each half second. */
const ANSWERED_US = 30 * SECOND_US;
/** Beyond, the network does not come to rest: it is taken as it is then. */
const STEPS_MAX = 20_000;

/**
 * Lets a world go on by itself, nothing lost and nothing else befalling it, until it is quiet or REST_US have passed, and checks it on
 * the way and at its end. The world is used up.
 *
 * @param isKnown  whether a state was seen to come to a good end; then there is no need to go on
 * @param take     takes each choice, in the world
 */
export function comeToRest(
  world: World,
  setting: Setting,
  isKnown: () => boolean,
  take: (choice: Choice) => void = (choice) => world.take(choice),
): Violation | undefined {
  const untilUs = world.nowUs + REST_US;
  let answeredUs = world.nowUs + ANSWERED_US;
  for (let steps = 0; steps < STEPS_MAX && world.nowUs < untilUs && !isKnown(); steps += 1) {
    const choice = world.nextByItself();
    if (choice === undefined) return restViolationsOf(world, setting)[0];
    take(choice);
    const violation = violationOf(world, setting);
    if (violation !== undefined) return violation;
    if (world.nowUs < answeredUs || world.cables.isTravelling) continue;
    answeredUs = NEVER;
    const unanswered = restViolationsOf(world, setting).find(({ invariant }) => invariant === "deadlock");
    if (unanswered !== undefined) return unanswered;
  }
  return isKnown() ? undefined : restViolationsOf(world, setting)[0];
}
