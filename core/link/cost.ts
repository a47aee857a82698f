/**
 * The cost class of a link, 1 (near and clean) to 4 (far or lossy). Classes, never raw latency: a metric that follows
 * latency ratchets the feasibility distance down to the night's minimum (jech/babeld issue 73).
 */

const MILLISECOND_US = 1_000;

/** Round trips at which the next class begins, microseconds. */
const RTT_STEPS_US = [20 * MILLISECOND_US, 80 * MILLISECOND_US, 250 * MILLISECOND_US];
/** Loss, per thousand hellos, at which one class is added. */
const LOSS_STEPS_PER_MILLE = [50, 150];
const COST_MAX = 4;

/** A class is left only when the measure would be beyond the step with a quarter less, or more: hysteresis against flapping. */
const HYSTERESIS = 4;

/**
 * @param rttUs        smoothed round trip, microseconds
 * @param lossPerMille smoothed loss of hellos, 0..1000
 * @param current      the class the link has now, or 0 when it has none yet
 */
export function costClass(rttUs: number, lossPerMille: number, current: number): number {
  const exact = classOf(rttUs, lossPerMille);
  if (current === 0 || exact === current) return exact;
  if (exact > current) {
    const shrunk = classOf(
      rttUs - Math.floor(rttUs / HYSTERESIS),
      lossPerMille - Math.floor(lossPerMille / HYSTERESIS),
    );
    return Math.max(current, shrunk);
  }
  const grown = classOf(rttUs + Math.floor(rttUs / HYSTERESIS), lossPerMille + Math.floor(lossPerMille / HYSTERESIS));
  return Math.min(current, grown);
}

function classOf(rttUs: number, lossPerMille: number): number {
  return Math.min(COST_MAX, 1 + stepsTo(rttUs, RTT_STEPS_US) + stepsTo(lossPerMille, LOSS_STEPS_PER_MILLE));
}

function stepsTo(value: number, steps: readonly number[]): number {
  let count = 0;
  while (count < steps.length && value >= steps[count]!) count += 1;
  return count;
}
