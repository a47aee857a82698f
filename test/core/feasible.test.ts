import { describe, expect, test } from "vitest";
import { AGE_OLD, isFeasible, METRIC_NONE } from "../../core/routing/feasible.js";

describe("an offer is feasible", () => {
  test.for([
    { name: "when nothing was ever chosen", offer: [0, 63], distance: [AGE_OLD, METRIC_NONE], lower: false, is: true },
    { name: "with a newer index, however bad its metric", offer: [0, 63], distance: [1, 0], lower: false, is: true },
    { name: "with the same index and a lower metric", offer: [2, 4], distance: [2, 5], lower: false, is: true },
    { name: "never with an older index, however good", offer: [3, 0], distance: [2, 60], lower: true, is: false },
    { name: "not with the same index and a higher metric", offer: [2, 6], distance: [2, 5], lower: true, is: false },
    { name: "at a tie, from the lower router id", offer: [2, 5], distance: [2, 5], lower: true, is: true },
    { name: "at a tie, not from the higher router id", offer: [2, 5], distance: [2, 5], lower: false, is: false },
    { name: "when only an older epoch was chosen", offer: [0, 63], distance: [AGE_OLD, 1], lower: false, is: true },
  ])("is the offer safe $name", ({ offer, distance, lower, is }) => {
    expect(isFeasible(offer[0]!, offer[1]!, lower, distance[0]!, distance[1]!)).toBe(is);
  });

  test("never both ways round: of two nodes that hold each other's distance, at most one may use the other", () => {
    for (let a = 0; a < 4; a += 1) {
      for (let b = 0; b < 4; b += 1) {
        for (const aIsLower of [true, false]) {
          const aUsesB = isFeasible(0, b, !aIsLower, 0, a);
          const bUsesA = isFeasible(0, a, aIsLower, 0, b);
          expect(aUsesB && bUsesA).toBe(false);
        }
      }
    }
  });
});
