/** Runs that are not the same twice: the first moment at which they part is found, in the simulator and by the real command. */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { StackPorts } from "../../core/stack/ports.js";
import { PacketType } from "../../core/wire/flight.js";
import { partingOf } from "../../node/sim/chain.js";
import { describeMoment, firstMomentOf } from "../../node/sim/first-moment.js";
import { runInPool } from "../../node/sim/pool.js";
import { decodeRecorded, encodeRecorded } from "../../node/sim/recorded-file.js";
import { verify } from "../../node/sim/verification.js";
import { CHANGED, joined, type Recorded, Recording, ROW, SENT } from "../../sim/engine/recording.js";
import type { Parts, RunResult } from "../../sim/engine/run.js";
import { simulate } from "../../sim/engine/simulation.js";
import { instruments } from "../../sim/oracle/instruments.js";
import type { Action, Plan } from "../../sim/plan/plan.js";
import { firstDifference } from "../../sim/report/first-difference.js";
import { COMMAND, endAll, run, start } from "../support/command.js";
import { CALM, oneByOne, PARTS, planWith } from "../support/plans.js";

const RING = oneByOne(
  planWith(6, (node) => [(node + 1) % 6], [], { durationUs: 16e6, models: [CALM], defaultModel: 0 }),
);
/** Long enough for each node to say something: a quiet one says hello every two seconds or so. */
const SPAN = { fromUs: 12e6, untilUs: 15e6 };
const MOMENT_US = 12_345_678;

const recordedBy = (plan: Plan, parts: Parts = PARTS): RunResult => simulate(plan, { workers: 1, record: SPAN }, parts);

/** A core that hangs on what it must not see: `sends` has its way with each datagram of a node. `beforeUs`: the last one of all nodes. */
function leaking(
  node: number,
  sends: (beforeUs: number, bytes: Uint8Array, at: number, send: () => void) => void,
): Parts {
  return {
    ...PARTS,
    instruments(view) {
      const { observer, hooks } = instruments(view);
      let beforeUs = 0;
      const handleTransmit = observer.handleTransmit.bind(observer);
      observer.handleTransmit = (atUs, ...rest) => {
        beforeUs = atUs;
        handleTransmit(atUs, ...rest);
      };
      const handleCreated = hooks.handleCreated.bind(hooks);
      hooks.handleCreated = (localUs, host) => {
        handleCreated(localUs, host);
        if (host.node !== node) return;
        const { sink } = (host.stack as unknown as { ports: StackPorts }).ports;
        const { transmit } = sink;
        sink.transmit = (path, bytes, at, length) =>
          sends(beforeUs, bytes, at, () => transmit(path, bytes, at, length));
      };
      return { observer, hooks };
    },
  };
}

describe("the first difference", () => {
  test("of runs that are the same there is none, and writing down changes nothing, with two threads neither", async () => {
    const plain = simulate(RING, { workers: 1 }, PARTS);
    const one = recordedBy(RING);
    const two = await runInPool(RING, { workers: 2, record: SPAN });
    expect(one.chain).toEqual(plain.chain);
    expect(two.chain).toEqual(plain.chain);
    expect(plain.recorded).toBeUndefined();
    expect(two.recorded!.rows.length).toBe(one.recorded!.rows.length);
    expect(one.recorded!.rows.length / ROW).toBeGreaterThan(6);
    expect(firstDifference(one.recorded!, two.recorded!)).toBeUndefined();
  });

  test("of a datagram with one bit turned round is that datagram, at its time", () => {
    let turned = 0;
    const parts = leaking(2, (beforeUs, bytes, at, send) => {
      if (turned === 0 && beforeUs >= 12_400_000 && bytes[at] === PacketType.record) {
        bytes[at + 1]! ^= 1;
        turned += 1;
      }
      send();
    });
    const [one, other] = [recordedBy(RING), recordedBy(RING, parts)];
    expect(turned).toBe(1);
    const found = firstDifference(one.recorded!, other.recorded!)!;
    const second = Math.floor(found.atUs / 1e6) + 1;
    expect(partingOf(one.chain, other.chain)).toEqual({ second, what: "wire" });
    expect(found).toMatchObject({ node: 2, one: { kind: "sent", type: PacketType.record } });
    expect(found.atUs).toBeGreaterThanOrEqual(12_400_000);
    const [before, after] = [found.one!, found.other!];
    if (before.kind !== "sent" || after.kind !== "sent") throw new Error("datagrams were expected");
    expect(before.clear ^ after.clear).toBe(1);
    expect({ ...after, clear: before.clear }).toEqual(before);
    const text = describeMoment(firstMomentOf(RING, found), "1 worker", "2 workers");
    expect(text).toMatch(
      /^at 1[234]\.\d{6} s n2: RECORD, \d+ B to n[13] \(100[13]:4500\), clear word [0-9a-f]{8} with 1 worker, RECORD, /,
    );
  });

  test("of a datagram that only one sends says that the other sends nothing then", () => {
    let heldUs = Number.NaN;
    const parts = leaking(4, (beforeUs, _bytes, _at, send) => {
      if (Number.isNaN(heldUs) && beforeUs >= 12_400_000) heldUs = beforeUs;
      if (beforeUs !== heldUs) send();
    });
    const found = firstDifference(recordedBy(RING).recorded!, recordedBy(RING, parts).recorded!)!;
    expect(found.atUs).toBeGreaterThan(heldUs);
    expect(found).toMatchObject({ node: 4, one: { kind: "sent" }, other: undefined });
    expect(describeMoment(firstMomentOf(RING, found), "one", "two")).toMatch(/ with one, nothing with two$/);
  });

  test("of a state is the node that changes first, though nothing on the wire tells yet", () => {
    const crash: Action = { atUs: MOMENT_US, do: "crash", node: 3 };
    const one = recordedBy(RING);
    const other = recordedBy({ ...RING, actions: [...RING.actions, crash] });
    expect(partingOf(one.chain, other.chain)!.second).toBe(13);
    const found = firstDifference(one.recorded!, other.recorded!)!;
    expect(found).toMatchObject({ atUs: MOMENT_US, node: 3, one: undefined, other: { kind: "changed", comes: false } });
    expect(describeMoment(firstMomentOf(RING, found), "one", "two")).toMatch(
      /^at 12\.345678 s n3: nothing with one, no more (?:route|link \d+) to n\d.* with two$/,
    );
  });
});

describe("a recording", () => {
  const row = fc.tuple(fc.nat(9), fc.nat(3), fc.boolean(), fc.nat(4), fc.nat(2));
  const rowsOf = (sample: readonly [number, number, boolean, number, number][]): Recorded => {
    const moment = { nowUs: 0, endUs: 0, island: -1 };
    const recording = new Recording({ fromUs: 0, untilUs: 10 }, moment);
    for (const [atUs, node, isSent, a, b] of sample) {
      moment.nowUs = atUs;
      if (isSent) recording.handleSent(node, a, 1, 128, b);
      else recording.handleChanged(1, node, a, b);
    }
    return recording.recorded;
  };

  test("does not depend on the order of nodes, nor on which shard a node is in; and is the same out of its file", () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 40 }), (sample) => {
        const inTime = [...sample].sort((a, b) => a[0] - b[0]);
        const whole = rowsOf(inTime);
        const shards = [0, 1].map((shard) => rowsOf(inTime.filter(([, node]) => node % 2 === shard)));
        expect(firstDifference(whole, joined(shards))).toBeUndefined();
        expect(decodeRecorded(encodeRecorded(whole))).toEqual(whole);
      }),
    );
  });

  test("that lacks one row differs from the whole at that row, or a later one of the same kind", () => {
    const some = fc.array(row, { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(some, fc.nat(), (sample, dice) => {
        const inTime = [...sample].sort((a, b) => a[0] - b[0]);
        const without = inTime.toSpliced(dice % inTime.length, 1);
        const [atUs, node] = inTime[dice % inTime.length]!;
        expect(firstDifference(rowsOf(inTime), rowsOf(without))).toMatchObject({ atUs, node });
      }),
    );
  });

  test("leaves out what comes and goes at one moment", () => {
    const moment = { nowUs: 5, endUs: 0, island: -1 };
    const recording = new Recording({ fromUs: 0, untilUs: 10 }, moment);
    recording.handleChanged(1, 1, 2, 300);
    recording.handleChanged(-1, 1, 2, 300);
    const nothing = new Recording({ fromUs: 0, untilUs: 10 }, moment).recorded;
    expect(firstDifference(recording.recorded, nothing)).toBeUndefined();
    moment.nowUs = 6;
    recording.handleChanged(1, 1, 2, 300);
    expect(firstDifference(nothing, recording.recorded)).toMatchObject({ atUs: 6, one: undefined });
  });

  test("that is full says until when nothing is missing, and nothing after that is compared", () => {
    const moment = { nowUs: 0, endUs: 0, island: -1 };
    const small = new Recording({ fromUs: 0, untilUs: 10 }, moment, 3);
    const large = new Recording({ fromUs: 0, untilUs: 10 }, moment);
    for (const atUs of [1, 4, 5, 7, 6, 10]) {
      moment.nowUs = atUs;
      small.handleSent(0, 1, 1, 128, 0);
      large.handleSent(0, 1, 1, 128, 0);
    }
    expect(small.recorded.completeUs).toBe(6);
    expect(large.recorded).toMatchObject({ completeUs: 10, rows: { length: 5 * ROW } });
    expect(firstDifference(small.recorded, large.recorded)).toBeUndefined();
    expect([SENT, CHANGED]).toEqual([0, 1]);
  });

  test("that was damaged in its file is refused at that line", () => {
    expect(() => decodeRecorded("complete soon\n")).toThrow("line 1");
    expect(() => decodeRecorded("complete 10\n1 2 sent 3 4 5 6\n1 2 sent 3 4\n")).toThrow("line 3");
    expect(() => decodeRecorded("complete 10\n1 2 lost 3 4 5 6\n")).toThrow("line 2");
  });
});

describe("verify", () => {
  const SMALL = `name: small
seed: 7
duration: 20s
nodes: { count: 5 }
topology: { kind: ring }
timeline:
  - { at: 10s, do: crash, select: n3 }
`;
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "mariana-verify-test-"));
    file = join(folder, "small.yaml");
    writeFileSync(file, SMALL);
  });
  afterEach(async () => {
    await endAll();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Loaded before the command and before each of its processes and threads: makes a core that hangs on how many these are. */
  function leak(): string[] {
    const { href } = pathToFileURL(join(COMMAND, "../../../sim/engine/datagrams.js"));
    const path = join(folder, "leak.mjs");
    writeFileSync(
      path,
      `import { isMainThread, workerData } from "node:worker_threads";
      import { Datagrams } from "${href}";
      const { transmit } = Datagrams.prototype;
      let isDone = isMainThread || workerData.shards !== 2;
      Datagrams.prototype.transmit = function (host, path, bytes, at, length) {
        if (!isDone && host.node === 2 && this.moment.nowUs >= 5_250_000) {
          isDone = true;
          bytes[at + 1] ^= 1;
        }
        transmit.call(this, host, path, bytes, at, length);
      };`,
    );
    return ["--import", pathToFileURL(path).href];
  }

  test("of a core that hangs on the number of threads ends with 11, and names time, node and datagram", async () => {
    // Seven processes one after the other, which a busy machine may take a minute over.
    const { child, text } = start(process.execPath, [...leak(), COMMAND, "sim", "verify", file, "--until", "7s"]);
    const [code] = (await once(child, "close")) as [number | null];
    const { out, err } = text;
    expect(code).toBe(11);
    const line = err.split("\n").find((text) => text.includes("is not the same with"))!;
    expect(line).toContain("small is not the same with 2 workers: ");
    expect(line).toMatch(
      /first differs? between 5 s and 6 s: at 5\.[2-9]\d{5} s n2: (RECORD, \d+ B to n[13] \(\d+:4500\), clear word )[0-9a-f]{8} with 1 worker, \1[0-9a-f]{8} with 2 workers$/,
    );
    expect(out).toContain("differs  small, seed 7, 7 s");
    expect(out.match(/the same$/gm)).toHaveLength(2);
  }, 120_000);

  test("names the first change of a state as well, for scripts too", async () => {
    const environment = {};
    const { variants } = await verify(file, { set: [] }, [
      { name: "one", flags: [], environment },
      { name: "another time of the crash", flags: ["--set", "timeline.0.at=15s"], environment },
      { name: "an early end", flags: ["--until", "9s"], environment },
    ]);
    expect(variants[0]).toMatchObject({ parting: null, moment: null });
    expect(variants[1]).toMatchObject({
      parting: { second: 11 },
      moment: { atUs: 10_000_000, node: "n3", one: expect.stringMatching(/^no more /), other: null },
    });
    expect(variants[2]).toMatchObject({ parting: { second: 10, what: "length" }, moment: null });
  });

  test.each([
    [["--second", "3"], 2, "--moments and --second belong together"],
    [["--moments", "none/x", "--second", "3"], 3, "a part of that path does not exist"],
    [["--moments", "x", "--second", "0"], 2, "--second 0: expected"],
  ])("a recording that cannot be is refused: %j exits with %d", async (flags, expected, message) => {
    const { code, err } = await run(process.execPath, [COMMAND, "sim", "run", "line", ...flags]);
    expect({ code, isSaid: err.includes(message) }).toEqual({ code: expected, isSaid: true });
  });
});
