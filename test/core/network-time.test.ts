import { describe, expect, test } from "vitest";
import { NetworkTime } from "../../core/link/network-time.js";
import { SECOND_US } from "../../core/time/instant.js";

const START_S = 1_700_000_000;
const RTT_US = 20_000;

/** How far each node's network time is from the wall clock, ms, after a day of hellos over a jittery line of nodes. */
function driftAfterADay(nodes: number, clockErrorsS: readonly number[] = []): number[] {
  const times = Array.from({ length: nodes }, (_, i) => new NetworkTime(0, START_S + (clockErrorsS[i] ?? 0)));
  let seed = 1;
  const delayUs = () => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return 5_000 + (seed % 10_001); // half the round trip in the mean
  };
  let nowUs = 0;
  for (let hello = 0; hello < 43_200; hello += 1) {
    nowUs += 2 * SECOND_US;
    for (let i = 0; i + 1 < nodes; i += 1) {
      times[i + 1]!.observe(nowUs + delayUs(), i, times[i]!.milliseconds(nowUs), RTT_US / 2);
      times[i]!.observe(nowUs + delayUs(), i + 1, times[i + 1]!.milliseconds(nowUs), RTT_US / 2);
    }
  }
  return times.map((time) => time.milliseconds(nowUs) - START_S * 1000 - nowUs / 1000);
}

describe("network time", () => {
  test.each([2, 3, 4])("a line of %i nodes with right clocks does not drift by jitter", (nodes) => {
    for (const driftMs of driftAfterADay(nodes)) expect(Math.abs(driftMs)).toBeLessThan(50);
  });

  test("two nodes meet between their clocks", () => {
    const [a, b] = driftAfterADay(2, [0, 4]);
    expect(Math.abs(a! - b!)).toBeLessThan(2_000);
    for (const driftMs of [a!, b!]) expect(driftMs).toBeGreaterThan(0);
    for (const driftMs of [a!, b!]) expect(driftMs).toBeLessThan(4_000);
  });

  test("one wrong clock among three does not move the others", () => {
    const driftsMs = driftAfterADay(3, [0, 0, 3_600]);
    expect(Math.abs(driftsMs[1]!)).toBeLessThan(50);
  });

  test("a node whose neighbours are gone keeps the last agreement", () => {
    const time = new NetworkTime(0, START_S);
    time.observe(0, 0, (START_S + 10) * 1000, 0);
    const before = time.milliseconds(SECOND_US);
    time.forget(0);
    expect(time.milliseconds(SECOND_US)).toBe(before);
  });
});
