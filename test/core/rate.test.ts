import { describe, expect, test } from "vitest";
import { Pacer } from "../../core/transport/pacer.js";
import { RateControl, WINDOW_CELLS_MIN } from "../../core/transport/rate.js";
import { Rtt } from "../../core/transport/rtt.js";
import { measureGoodput } from "../support/transport-pair.js";

/** Cells of 1,200 bytes with 1,002 bytes of data each. */
const BODY_SHARE = 1002 / 1200;

describe("goodput", () => {
  // Bounds are shares of what the link carries after random loss: far below what is measured, far above what a broken
  // repair or rate control gives.
  const grid = [50, 100, 200].flatMap((rttMs) => [0, 0.01, 0.05, 0.1].map((loss) => ({ rttMs, loss })));
  test.each(grid)("10 Mbit/s, $rttMs ms, loss $loss", ({ rttMs, loss }) => {
    const path = { megabitsPerSecond: 10, delayUs: rttMs * 500, loss };
    const result = measureGoodput({ seed: `${rttMs}/${loss}`, path, timerGrainUs: 1_000 }, 10_000_000);
    const share = result.megabitsPerSecond / (10 * BODY_SHARE * (1 - loss));
    const line = `${rttMs} ms loss ${loss}: ${result.megabitsPerSecond.toFixed(2)} Mbit/s, ${(share * 100).toFixed(0)} %`;
    console.log(`${line}, ${result.dataPerFeedback.toFixed(1)} data cells per feedback`);
    expect(share).toBeGreaterThan(rttMs === 200 ? 0.7 : 0.8);
    // What random loss makes unavoidable is 1/(1-p); repairs beyond that were not needed.
    expect(result.repairShare).toBeLessThan(loss + 0.03);
    if (rttMs === 100 && loss === 0.1) {
      expect(share).toBeGreaterThan(0.85);
      expect(result.dataPerFeedback).toBeGreaterThan(12);
    }
  });

  test("a loopback with a 90-packet socket buffer and millisecond timers is filled", () => {
    const path = { megabitsPerSecond: 200, delayUs: 100, queueCells: 90 };
    const result = measureGoodput({ seed: "loopback", path, timerGrainUs: 1_000 }, 20_000_000);
    console.log(`loopback 200 Mbit/s: ${result.megabitsPerSecond.toFixed(0)} Mbit/s`);
    expect(result.megabitsPerSecond).toBeGreaterThan(0.9 * 200 * BODY_SHARE);
    expect(result.repairShare).toBeLessThan(0.1);
  });

  test("a queue that could hold a second is kept short", () => {
    const path = { megabitsPerSecond: 10, delayUs: 25_000, queueCells: 1_000 };
    const result = measureGoodput({ seed: "bloat", path }, 10_000_000);
    expect(result.rttUs).toBeLessThan(75_000);
    expect(result.megabitsPerSecond).toBeGreaterThan(0.9 * 10 * BODY_SHARE);
  });

  test("the smallest round trip is found again although our own queue hides it", () => {
    const path = { megabitsPerSecond: 10, delayUs: 25_000, queueCells: 1_000 };
    const result = measureGoodput({ seed: "long", path }, 90_000_000);
    expect(result.seconds).toBeGreaterThan(80);
    expect(result.minRttUs).toBeLessThan(55_000);
    expect(result.rttUs).toBeLessThan(75_000);
  });

  test("a shallow queue that overflows costs repairs but hardly any goodput", () => {
    const path = { megabitsPerSecond: 10, delayUs: 25_000, queueCells: 10 };
    const result = measureGoodput({ seed: "shallow", path }, 5_000_000);
    expect(result.megabitsPerSecond).toBeGreaterThan(0.8 * 10 * BODY_SHARE);
    expect(result.repairShare).toBeLessThan(0.3);
  });
});

describe("rate control", () => {
  test("silence halves the window down to its floor, and a report lets it double back", () => {
    const rtt = new Rtt();
    const rate = new RateControl(rtt);
    let nowUs = 1_000_000;
    let packet = 0;
    const report = (rttUs: number): void => {
      packet += rate.windowCells(nowUs);
      nowUs += rttUs;
      rtt.handleSample(nowUs, rttUs);
      rate.handleLimited();
      rate.handleReport(nowUs, packet, packet + 1, rttUs, rate.windowCells(nowUs), packet, packet);
    };
    for (let i = 0; i < 4; i += 1) report(100_000);
    const before = rate.windowCells(nowUs);
    expect(before).toBe(32 * 16);
    for (let i = 0; i < 20; i += 1) rate.handleSilence();
    expect(rate.windowCells(nowUs)).toBe(WINDOW_CELLS_MIN);
    for (let i = 0; i < 5; i += 1) report(100_000);
    expect(rate.windowCells(nowUs)).toBe(WINDOW_CELLS_MIN * 32);
  });

  test("a window that the application does not use does not grow", () => {
    const rtt = new Rtt();
    const rate = new RateControl(rtt);
    for (let i = 1; i < 20; i += 1) {
      rtt.handleSample(i * 100_000, 100_000);
      rate.handleReport(i * 100_000, i, i + 1, 100_000, 1, i, i);
    }
    expect(rate.windowCells(2_000_000)).toBe(32);
  });

  test("the pacer lets the rate through, in bursts no larger than a late timer explains", () => {
    const pacer = new Pacer();
    pacer.setRate(0, 5_000);
    let sent = 0;
    let burstMax = 0;
    for (let nowUs = 1_000; nowUs <= 1_000_000; nowUs += 1_000) {
      let burst = 0;
      while (pacer.allows(nowUs)) {
        pacer.handleSent();
        burst += 1;
      }
      sent += burst;
      burstMax = Math.max(burstMax, burst);
    }
    expect(sent).toBeGreaterThan(4_950);
    expect(sent).toBeLessThanOrEqual(5_010);
    expect(burstMax).toBeLessThanOrEqual(10);
  });
});
