/** Hash chains over real UDP, with real hashing: whoever starts again is believed at once, since its epochs vouch for each other. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChainsReport } from "../../node/control/protocol.js";
import { type DaemonPlan, DaemonProcess, pinnedEndpoint, startDaemon } from "../../node/demo/daemon-process.js";
import { waitForRoute } from "../../node/demo/line.js";
import { mariana } from "../support/command.js";
import { eventually, NETWORK, removeFolder, stopAll, temporaryFolder } from "../support/daemons.js";

/** As long as neighbours vote on what they hear of a node for the first time. */
const BIRTH_MS = 31_000;
/** From the start of the process until it is routed two hops away. A start alone takes most of it. */
const ROUTED_SECONDS = 5;

describe("three daemons in a line", () => {
  const base = temporaryFolder();
  const daemons: DaemonProcess[] = [];
  const plan = (name: string, peers: string[]): DaemonPlan => ({
    name,
    base,
    network: NETWORK,
    http: "off",
    peers,
    hosts: [],
  });
  const [near, relay, far] = [0, 1, 2].map((place) => () => daemons[place]!) as [
    () => DaemonProcess,
    () => DaemonProcess,
    () => DaemonProcess,
  ];
  let nac = "";
  let farPlan: DaemonPlan;

  beforeAll(async () => {
    daemons.push((await startDaemon(plan("near", []))).daemon);
    daemons.push((await startDaemon(plan("relay", [await pinnedEndpoint(near())]))).daemon);
    farPlan = plan("far", [await pinnedEndpoint(relay())]);
    daemons.push((await startDaemon(farPlan)).daemon);
    nac = (await far().id()).nac;
    await waitForRoute(near(), nac, daemons);
  });
  afterAll(async () => {
    await stopAll(daemons);
    removeFolder(base);
  });

  async function chainsOf(daemon: DaemonProcess): Promise<ChainsReport> {
    return (await daemon.status()).chains!;
  }

  function storedEpoch(): number {
    return (JSON.parse(readFileSync(join(far().directory, "state.json"), "utf8")) as { epoch: number }).epoch;
  }

  /** Starts the far one again, and answers how long it took until the near one had a route of its new epoch, milliseconds. */
  async function restart(): Promise<number> {
    const startMs = performance.now();
    daemons[2] = new DaemonProcess(farPlan);
    await far().ready();
    await waitForRoute(near(), nac, daemons, ROUTED_SECONDS);
    return performance.now() - startMs;
  }

  test("have chains that are made, checked, and good for an hour", async () => {
    for (const daemon of daemons) {
      const chains = await chainsOf(daemon);
      expect(chains.ready).toBe(true);
      const minutes = (Date.parse(chains.readyUntil) - Date.now()) / 60_000;
      expect(minutes).toBeGreaterThan(55);
      expect(minutes).toBeLessThan(66);
      expect(chains.held).toBe(2);
      expect(chains.ownHashes).toBeGreaterThan(49_152);
      expect(chains.verdicts).toMatchObject({ forged: 0, disputed: 0, unproven: 0 });
      expect(chains.verdicts.sound).toBeGreaterThan(0);
    }
  });

  test("believe the one that starts again at once, in the epoch after the last", async () => {
    await sleep(BIRTH_MS);
    const epoch = storedEpoch();
    const before = await chainsOf(near());
    await far().stop();
    await eventually("the far one is gone", async () => (await near().routes()).every((route) => route.nac !== nac));
    const tookMs = await restart();
    console.info(`routed again ${Math.round(tookMs)} ms after the process was started`);
    expect(storedEpoch()).toBe(epoch + 1);
    const { verdicts } = await chainsOf(near());
    expect(verdicts.unproven).toBe(before.verdicts.unproven! + 1); // it asked for the proof
    expect([verdicts.forged, verdicts.disputed]).toEqual([0, 0]);
    expect((await near().status()).liveness).toMatchObject({ epochsProven: 1, epochsRefused: 0 });
    expect((await relay().status()).liveness).toMatchObject({ epochsProven: 1, epochsRefused: 0 });
  });

  test("do not miss the start that nobody heard of", async () => {
    const epoch = storedEpoch();
    await far().kill();
    daemons[2] = new DaemonProcess({ ...farPlan, peers: [] }); // it meets nobody
    await far().ready();
    await far().stop();
    expect(storedEpoch()).toBe(epoch);
    await restart();
    expect(storedEpoch()).toBe(epoch + 1);
  });

  test("believe one that lost its state, since its keys vouch for it", async () => {
    const epoch = storedEpoch();
    await far().kill();
    rmSync(join(far().directory, "state.json"));
    await restart();
    expect(storedEpoch()).toBeGreaterThan(epoch);
    expect((await near().status()).liveness).toMatchObject({ epochsRefused: 0 });
  });

  test("hold it on the word of the identity itself, once they have called it", async () => {
    expect((await chainsOf(near())).bound).toBe(0);
    const { code } = await mariana("ping", nac, "--count", "1", "--dir", near().directory);
    expect(code).toBe(0);
    await eventually("its descriptor has come", async () => (await chainsOf(near())).bound === 1, 15_000);
    expect((await chainsOf(relay())).bound).toBe(0); // it called nobody
  });
});
