import { describe, expect, test } from "vitest";
import { Digest } from "../../core/collections/digest.js";
import { NetworkTime, SLOT_MS, TIME_UNKNOWN } from "../../core/link/network-time.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";

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

const START_US = 5 * SECOND_US;
const WALL_SECONDS = 1_800_000_000;
const WALL_MS = WALL_SECONDS * 1000;

function clock(): NetworkTime {
  return new NetworkTime(START_US, WALL_SECONDS);
}

test("alone, network time is the wall clock of the start and goes on with the monotonic clock", () => {
  const time = clock();
  expect(time.milliseconds(START_US)).toBe(WALL_MS);
  expect(time.milliseconds(START_US + 1_234_567)).toBe(WALL_MS + 1234);
  expect(time.slot(START_US)).toBe(WALL_MS / SLOT_MS);
  expect(time.slot(START_US + 5 * SECOND_US)).toBe(WALL_MS / SLOT_MS + 1);
});

test("with two neighbours that agree, a node whose clock is wrong follows them", () => {
  const time = clock();
  time.observe(START_US, 0, WALL_MS + 60_000, 0);
  time.observe(START_US, 1, WALL_MS + 60_020, 0);
  expect(time.milliseconds(START_US)).toBe(WALL_MS + 60_000);
});

test("one liar among three neighbours moves nothing", () => {
  const time = clock();
  time.observe(START_US, 0, WALL_MS + 3, 0);
  time.observe(START_US, 1, WALL_MS - 3, 0);
  time.observe(START_US, 2, WALL_MS + 1e9, 0);
  expect(Math.abs(time.milliseconds(START_US) - WALL_MS)).toBeLessThanOrEqual(3);
});

test("a neighbour's time is as old as half a round trip", () => {
  const time = clock();
  time.observe(START_US, 0, WALL_MS + 1000, 40 * MILLISECOND_US);
  time.observe(START_US, 1, WALL_MS + 1000, 40 * MILLISECOND_US);
  expect(time.milliseconds(START_US)).toBe(WALL_MS + 1040);
});

test("the newest word of a neighbour counts, and one that left counts no more", () => {
  const time = clock();
  time.observe(START_US, 0, WALL_MS + 100, 0);
  time.observe(START_US, 0, WALL_MS + 200, 0);
  time.observe(START_US, 1, WALL_MS + 300, 0);
  expect(time.milliseconds(START_US)).toBe(WALL_MS + 200);
  time.forget(1);
  expect(time.milliseconds(START_US)).toBe(WALL_MS + 100);
});

test("a time whose slot does not fit the wire is not believed", () => {
  const time = clock();
  time.observe(START_US, 0, 2 ** 48 - 1, 0);
  time.observe(START_US, 1, 2 ** 48 - 1, 0);
  expect(time.milliseconds(START_US)).toBe(WALL_MS);
  expect(time.slot(START_US)).toBeLessThan(2 ** 32);
});

test("time is never negative", () => {
  const time = clock();
  time.observe(START_US, 0, 1, 0);
  time.observe(START_US, 1, 1, 0);
  expect(time.milliseconds(START_US)).toBe(1);
  expect(time.milliseconds(0)).toBe(0);
});

test("a neighbour that does not know the time is not asked", () => {
  const time = clock();
  time.observe(START_US, 0, TIME_UNKNOWN, 0);
  expect(time.milliseconds(START_US)).toBe(WALL_MS);
});

test("who distrusts its own clock adopts what the next neighbour tells, and goes on by it", () => {
  const time = clock();
  time.observe(START_US, 0, WALL_MS, 0);
  time.distrust(START_US);
  time.observe(START_US, 0, WALL_MS - 9_000, 0); // said while this node stood still
  expect([time.isDoubtful(START_US), time.milliseconds(START_US)]).toEqual([true, WALL_MS]);
  const laterUs = START_US + 300_000;
  time.observe(laterUs, 0, WALL_MS + 8 * 3_600_000, 0);
  expect([time.isDoubtful(laterUs), time.milliseconds(laterUs)]).toEqual([false, WALL_MS + 8 * 3_600_000]);
  time.forget(0);
  expect(time.milliseconds(laterUs + 1_000_000)).toBe(WALL_MS + 8 * 3_600_000 + 1_000);
});

test("after a leap no slot is counted for three seconds, since another may follow", () => {
  const time = clock();
  time.observe(START_US, 0, WALL_MS + 1_000, 0);
  expect(time.isLeaping(START_US)).toBe(false);
  time.observe(START_US, 0, WALL_MS + 86_400_000, 0);
  expect([
    time.isLeaping(START_US),
    time.isLeaping(START_US + 2_999_999),
    time.isLeaping(START_US + 3_000_000),
  ]).toEqual([true, true, false]);
});

test("when nobody tells the time for five seconds, its own is believed again", () => {
  const time = clock();
  time.distrust(START_US);
  expect([time.isDoubtful(START_US + 4_999_999), time.isDoubtful(START_US + 5_000_000)]).toEqual([true, false]);
});

test("the digest covers each neighbour's vote", () => {
  const digestOf = (ms: number) => {
    const time = clock();
    time.observe(START_US, 0, WALL_MS, 0);
    time.observe(START_US, 1, WALL_MS + ms, 0);
    const into = new Digest();
    time.digest(into);
    return into.hex();
  };
  expect(digestOf(7)).not.toBe(digestOf(8));
});
