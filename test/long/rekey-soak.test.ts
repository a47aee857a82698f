import { expect, test } from "vitest";
import { MILLISECOND_US } from "../../core/time/instant.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import { NonceGuard } from "../support/nonce-guard.js";
import { RekeySoak, RTT_US } from "../support/rekey-pair.js";

test("10^6 cells with 10 % loss both ways: no key meets a nonce twice, and no rekey stops the flow for 2 RTT", () => {
  const guard = new NonceGuard(createNativeSuite());
  const soak = new RekeySoak({
    seed: "million",
    suite: guard.suite,
    limits: { keyUpdatePackets: 256, rekeyBytes: 1_000_000 },
    loss: 0.1,
    duplication: 0.05,
    jitterUs: 8 * MILLISECOND_US,
  });
  const began = performance.now();
  soak.run(1_000_000);
  const seconds = (performance.now() - began) / 1000;
  const { near, far } = soak;
  const rounds = near.session.round;
  const updates = guard.keysOfRecords - 2 * (rounds + 1);
  const longestGapUs = Math.max(near.longestGapUs, far.longestGapUs);
  console.log(
    `${guard.seals} seals in ${seconds.toFixed(1)} s: ${rounds} rounds, ${updates} key updates, longest gap ${longestGapUs} us`,
  );
  expect(rounds).toBeGreaterThanOrEqual(100);
  expect(updates).toBeGreaterThanOrEqual(100);
  expect(guard.seals).toBeGreaterThan(1_000_000);
  expect(near.session.replays + far.session.replays).toBe(soak.duplicated);
  expect([near.session.forged, far.session.forged]).toEqual([0, 0]);
  expect(near.arrived.size + far.arrived.size).toBeGreaterThan(895_000);
  expect(longestGapUs).toBeLessThan(2 * RTT_US);
});
