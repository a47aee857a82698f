import { createHash } from "node:crypto";
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NacDictionary } from "../../core/address/dictionary.js";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import { identityFromSeeds, networkIdOf } from "../../core/crypto/identity.js";
import type { StackConfig, StackPorts } from "../../core/stack/ports.js";
import { SECOND_US } from "../../core/time/instant.js";
import { traceNothing } from "../../core/trace/trace.js";
import { PacketType } from "../../core/wire/flight.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import { Failure } from "../../node/failure.js";
import { FILE_HEADER_BYTES, VERSION } from "../../node/journal/format.js";
import { packArguments, type StackSurface, unpackArguments } from "../../node/journal/inputs.js";
import { Journal } from "../../node/journal/journal.js";
import { type Replay, replayJournal } from "../../node/journal/replay.js";
import { Scribe } from "../../node/journal/scribe.js";
import { decodeValue, encodeValue } from "../../node/journal/value.js";
import { createLog } from "../../node/log.js";
import { forge, type Place, type Recorded, readPlaces, tellStory } from "../support/journals.js";
import { randomFrom } from "../support/random.js";
import { StackWorld } from "../support/stack-world.js";

const lines: { event: string; reason?: string }[] = [];
const log = createLog({ level: "debug", unsafe: true, write: (line) => void lines.push(JSON.parse(line)) });
const suite = createNativeSuite();

let folder: string;
/** ada's and cyd's journals of one story. */
let ada: string;
let cyd: string;
let told: StackWorld;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "mariana-journal-"));
  ada = join(folder, "ada.journal");
  cyd = join(folder, "cyd.journal");
  const journals = { ada: Journal.create(ada, log), cyd: Journal.create(cyd, log) };
  told = tellStory("journal", journals);
  await Promise.all([journals.ada.close(), journals.cyd.close()]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function newFile(): string {
  files += 1;
  return join(folder, `${files}.journal`);
}

/** A configuration and ports out of nothing, for a stack that nobody talks to. */
function loner(seed: string): [number, StackConfig, StackPorts] {
  const random = randomFrom(seed);
  const networkId = networkIdOf(suite, "journal");
  const config: StackConfig = {
    networkName: "journal",
    service: identityFromSeeds(suite, networkId, random.bytes(64), random.bytes(32)),
    linkKeys: suite.kemKeys(random.bytes(64)),
    storedEpoch: 0,
    wallClockSeconds: 1_800_000_000,
  };
  const nothing = () => undefined;
  const ports: StackPorts = {
    suite,
    entropy: (length) => random.bytes(length),
    random32: () => random.u32(),
    sink: { transmit: nothing, event: nothing, deliver: nothing, deliverDatagram: nothing, persist: nothing },
    trace: traceNothing,
    allocate: heapAllocator,
    dictionary: new NacDictionary(),
  };
  return [SECOND_US, config, ports];
}

describe("what is recorded", () => {
  test("a replay causes byte for byte what was caused, by either crypto suite", () => {
    for (const file of [ada, cyd]) {
      const native = replayJournal(file);
      expect(native).toMatchObject({ firstDifference: null, difference: null, truncated: false, suite: "native" });
      expect(native.inputs).toBeGreaterThan(200);
      const noble = replayJournal(file, "noble");
      expect(noble).toEqual({ ...native, suite: "noble" });
    }
  });

  test("every datagram, delivery, event and epoch counts as an output", () => {
    const node = told.node("ada");
    const sent = told.seen.filter((datagram) => datagram.from === "ada").length;
    const delivered = [...node.received.values()].reduce((sum, parts) => sum + parts.length, 0);
    const others = node.datagrams.length + node.events.length + node.epochs.length;
    expect(node.datagrams.length).toBeGreaterThan(0);
    expect(replayJournal(ada).outputs).toBe(sent + delivered + others);
  });

  test("a network that is recorded does nothing that it would not do otherwise", () => {
    expect(fingerprint(told)).toEqual(fingerprint(tellStory("journal", {})));
  });

  test("what stands around a datagram, and what becomes of its buffer later, is no input", () => {
    const spoil = (stack: StackSurface): Partial<StackSurface> => ({
      handleDatagram: (nowUs, path, bytes, at, length) => {
        const buffer = new Uint8Array(length + 100).fill(0x5a);
        buffer.set(bytes.subarray(at, at + length), 33);
        const deadlineUs = stack.handleDatagram(nowUs, path, buffer, 33, length);
        buffer.fill(0xa5);
        return deadlineUs;
      },
      write: (nowUs, stream, bytes) => {
        const copy = bytes.slice();
        const taken = stack.write(nowUs, stream, copy);
        copy.fill(0xa5);
        return taken;
      },
      sendDatagram: (nowUs, flow, bytes) => {
        const copy = bytes.slice();
        const isTaken = stack.sendDatagram(nowUs, flow, copy);
        copy.fill(0xa5);
        return isTaken;
      },
    });
    const around = (stack: StackSurface): StackSurface => {
      const spoiled = spoil(stack);
      const get = (_: object, name: keyof StackSurface): unknown => {
        const value = spoiled[name] ?? stack[name];
        return typeof value === "function" ? value.bind(stack) : value;
      };
      return new Proxy(stack, { get: get as ProxyHandler<StackSurface>["get"] & object });
    };
    expect(fingerprint(tellStory("journal", {}, { around }))).toEqual(fingerprint(told));
  });

  test("a former identity whose keys are erased when its time is over replays as it was", async () => {
    const file = newFile();
    const journal = Journal.create(file, log);
    const world = new StackWorld({
      seed: "former",
      makeStack: (make, _name, nowUs, config, ports) =>
        config.former?.length === 1 ? journal.record(nowUs, config, ports, make) : make(nowUs, config, ports),
    });
    world.line("ada", "bob");
    world.run(3 * SECOND_US);
    const bob = world.node("bob");
    world.rotate("bob", ["ada"], 20 * SECOND_US);
    bob.onEvent = (event) => {
      if (event.kind !== "formerWithdrawn") return;
      for (const { identity } of bob.former) {
        identity.kem.secretKey.fill(0);
        identity.signature.secretKey.fill(0);
      }
    };
    world.run(60 * SECOND_US);
    expect(bob.events.map(({ kind }) => kind)).toContain("formerWithdrawn");
    await journal.close();
    expect(replayJournal(file)).toMatchObject({ firstDifference: null, truncated: false });
  });

  test("only its owner can read it", () => {
    expect(statSync(ada).mode & 0o777).toBe(0o600);
  });

  test("nothing that is there already is written over", () => {
    const [file, link] = [newFile(), newFile()];
    writeFileSync(file, "mine");
    symlinkSync(join(folder, "nowhere"), link);
    for (const path of [file, link, ada]) {
      expect(() => Journal.create(path, log)).toThrow(expect.objectContaining({ code: "journal.exists", exit: 3 }));
    }
    expect(readFileSync(file, "utf8")).toBe("mine");
    expect(existsSync(join(folder, "nowhere"))).toBe(false);
  });

  test("a large write keeps what was taken, and a full buffer answers as it did", async () => {
    const file = newFile();
    const journal = Journal.create(file, log);
    tellStory("large", { ada: journal }, { questionBytes: 600_000 });
    await journal.close();
    expect(replayJournal(file)).toMatchObject({ firstDifference: null, truncated: false });
    const written = readPlaces(file).inputs.filter(({ name }) => name === "write");
    const bytes = written.reduce((sum, { places }) => sum + (places[3]!.end - places[3]!.at), 0);
    expect(written.length).toBeGreaterThan(1);
    expect(bytes).toBe(600_000);
  });

  test("the crowd of a datagram is a part of the record, and one that was not told stays untold", () => {
    const bytes = new Uint8Array(40);
    for (const crowd of [[7], []]) {
      const kept = packArguments("handleDatagram", [5, 1, bytes, 10, 20, ...crowd]);
      expect(unpackArguments("handleDatagram", kept)).toEqual([5, 1, bytes.subarray(0, 20), 0, 20, crowd[0]]);
    }
  });

  test("what only answers changes nothing", () => {
    const world = new StackWorld({ seed: "answers" });
    world.wire("ada", "bob", { loss: 0.1 });
    for (let second = 0; second < 10; second += 1) {
      world.run(SECOND_US);
      for (const { stack } of world.nodes.values()) {
        const before = [stack.digest(), stack.nextDeadlineUs];
        stack.status();
        stack.peers(world.nowUs + SECOND_US);
        stack.routes();
        void stack.pathsInUse;
        for (let index = 0; index < 10; index += 1) stack.isSessionKnown(index);
        expect([stack.digest(), stack.nextDeadlineUs]).toEqual(before);
      }
    }
  });

  test("an input that throws is recorded with what it threw, and throws again", async () => {
    const file = newFile();
    const journal = Journal.create(file, log);
    const stack = journal.record(...loner("throws"));
    stack.start(SECOND_US);
    expect(() => stack.ping(SECOND_US, undefined as unknown as Uint8Array, 1)).toThrow(TypeError);
    stack.handleTimer(stack.nextDeadlineUs);
    await journal.close();
    expect(replayJournal(file)).toMatchObject({ inputs: 3, firstDifference: null, truncated: false });
  });

  test("an epoch that could not be persisted is a part of the record", async () => {
    const file = newFile();
    const journal = Journal.create(file, log);
    const full = () => {
      throw new Error("the disk is full");
    };
    const world = new StackWorld({
      seed: "refused",
      makeStack: (make, name, nowUs, config, ports) => {
        if (name !== "ada") return make(nowUs, config, ports);
        return journal.record(nowUs, config, { ...ports, sink: { ...ports.sink, persist: full } }, make);
      },
    });
    world.line("ada", "bob");
    expect(() => world.run(3 * SECOND_US)).toThrow("the disk is full"); // when the first link comes up
    await journal.close();
    expect(readPlaces(file).inputs.length).toBeGreaterThan(1);
    expect(replayJournal(file)).toMatchObject({ firstDifference: null, truncated: false });
  });

  test("hash chains are made and checked as they were, by either crypto suite", async () => {
    const file = newFile();
    const journal = Journal.create(file, log);
    const world = new StackWorld({
      seed: "chains",
      makeStack: (make, name, nowUs, given, ports) => {
        const config = { ...given, chainSeed: new Uint8Array(32).fill(name.length) };
        return name === "ada" ? journal.record(nowUs, config, ports, make) : make(nowUs, config, ports);
      },
    });
    world.line("ada", "bob", "cyd");
    world.run(40 * SECOND_US);
    expect(world.node("ada").stack.status().chains).toMatchObject({ isReady: true, held: 2 });
    expect(world.node("ada").stack.routes()).toHaveLength(2);
    await journal.close();
    for (const suiteName of ["native", "noble"] as const) {
      expect(replayJournal(file, suiteName)).toMatchObject({ firstDifference: null, truncated: false });
    }
  });
});

describe("a journal that was changed", () => {
  let recorded: Recorded;
  beforeAll(() => {
    recorded = readPlaces(ada);
  });

  /** Inputs from the first half: what follows has time to show the difference. */
  function early<Item extends { readonly input: number }>(items: readonly Item[]): Item[] {
    const last = recorded.inputs.length / 2;
    return items.filter(({ input }) => input <= last);
  }

  function replayForged(place: Place, offset = 0): Replay {
    const file = join(folder, "forged.journal");
    forge(ada, file, place.at + offset);
    return replayJournal(file);
  }

  test("another byte of a datagram is a difference, at it or soon after", () => {
    const file = readFileSync(ada);
    const datagrams = early(recorded.inputs).filter(({ name, places: [, , datagram] }) => {
      return name === "handleDatagram" && file[datagram!.at] === PacketType.record; // flights come again, and may be late
    });
    expect(datagrams.length).toBeGreaterThan(20);
    const distances = datagrams
      .filter((_, index) => index % 4 === 0)
      .map(({ input, places: [, , datagram] }) => {
        const middle = (datagram!.end - datagram!.at) >> 1;
        const { firstDifference } = replayForged(datagram!, middle);
        return { input, distance: (firstDifference ?? Number.POSITIVE_INFINITY) - input };
      });
    expect(distances.filter(({ distance }) => distance < 0 || distance > 20)).toEqual([]);
  });

  test("another byte of entropy is a difference from its input on", () => {
    const found = early(recorded.entropy).map((place) => ({ place, first: replayForged(place).firstDifference }));
    const seen = found.flatMap(({ place, first }) => (first === null ? [] : [first - place.input]));
    expect(found.length).toBeGreaterThan(8);
    expect(seen.filter((distance) => distance < 0 || distance > 20)).toEqual([]);
    expect(seen.length).toBeGreaterThan((found.length * 3) / 4); // some keys are drawn and never used
  });

  test("whatever byte is another, the replay ends with a report or with a refusal", () => {
    const random = randomFrom("any byte");
    const file = join(folder, "forged.journal");
    const { length } = readFileSync(ada);
    const ends = Array.from({ length: 40 }, (_, index) => {
      const anywhere = FILE_HEADER_BYTES + random.below(length - FILE_HEADER_BYTES);
      const betweenValues = random.pick(recorded.inputs).places[0]!.at - 1 - random.below(5); // kinds, counts, results
      forge(ada, file, index % 2 === 0 ? anywhere : betweenValues, 1 << random.below(8));
      try {
        return replayJournal(file).firstDifference === null ? "same" : "different";
      } catch (error) {
        if (error instanceof Failure) return "refused";
        throw error;
      }
    });
    expect(ends).toEqual(expect.arrayContaining(["different", "refused"]));
  });

  test("another moment is a difference, at it or soon after", () => {
    const timers = early(recorded.inputs.filter(({ name }) => name === "handleTimer"));
    const distances = timers.slice(0, 20).flatMap(({ input, places: [now] }) => {
      const { firstDifference } = replayForged(now!, 2); // 65 ms earlier or later
      return firstDifference === null ? [] : [firstDifference - input];
    });
    expect(distances.length).toBeGreaterThanOrEqual(18); // a wait that ends a tick later may come to the same
    expect(distances.filter((distance) => distance < 0 || distance > 20)).toEqual([]);
  });
});

describe("a file that is no whole journal", () => {
  function damaged(change: (bytes: Buffer) => Buffer): () => Replay {
    const file = newFile();
    writeFileSync(file, change(readFileSync(ada)));
    return () => replayJournal(file);
  }

  test.each<[string, (bytes: Buffer) => Buffer, RegExp]>([
    ["empty", () => Buffer.alloc(0), /is no journal: it is empty/],
    ["text", () => Buffer.from("{}\n"), /is no journal/],
    ["of zeros", (bytes) => Buffer.alloc(bytes.length), /is no journal/],
    ["cut in its magic", (bytes) => bytes.subarray(0, 5), /cut off in its first bytes/],
    ["cut before its first block", (bytes) => bytes.subarray(0, FILE_HEADER_BYTES), /there is no start/],
    ["cut in its first block", (bytes) => bytes.subarray(0, 600), /there is no start/],
    ["of the next version", (bytes) => with32(bytes, 8, VERSION + 1), /of version 2; this program reads version 1/],
    ["with another byte in its first block", (bytes) => with32(bytes, 100, 7), /is damaged at byte 12: block 0/],
    ["with a block of another length", (bytes) => with32(bytes, 12, 99), /is damaged at byte 12: the header/],
  ])("one that is %s says so, with the place", (_what, change, message) => {
    expect(damaged(change)).toThrow(expect.objectContaining({ exit: 3, message: expect.stringMatching(message) }));
  });

  test("a missing block is noticed", async () => {
    const file = await longJournal("missing");
    const bytes = readFileSync(file);
    const second = FILE_HEADER_BYTES + 16 + bytes.readUInt32LE(FILE_HEADER_BYTES);
    const third = second + 16 + bytes.readUInt32LE(second);
    writeFileSync(file, Buffer.concat([bytes.subarray(0, second), bytes.subarray(third)]));
    expect(() => replayJournal(file)).toThrow(`damaged at byte ${second}: block 1 is missing`);
  });

  test("one that ends anywhere replays up to its last whole block", async () => {
    const file = await longJournal("cut");
    const whole = replayJournal(file);
    let size = statSync(file).size;
    const random = randomFrom("cuts");
    let before = whole.inputs;
    for (let i = 0; i < 12; i += 1) {
      size -= 1 + random.below(Math.floor(size / 8));
      truncateSync(file, size);
      const replay = replayJournal(file);
      expect(replay).toMatchObject({ firstDifference: null, truncated: true });
      expect(replay.inputs).toBeLessThanOrEqual(before);
      before = replay.inputs;
    }
    expect(before).toBeLessThan(whole.inputs);
  });

  async function longJournal(seed: string): Promise<string> {
    const file = newFile();
    const journal = Journal.create(file, log);
    const stack = journal.record(...loner(seed));
    stack.start(SECOND_US);
    for (let i = 0; i < 2000; i += 1) stack.handleDatagram(2 * SECOND_US + i, 0, new Uint8Array(1200).fill(i), 0, 1200);
    await journal.close();
    return file;
  }
});

describe("a journal that cannot go on", () => {
  /** Until the log says that the journal has stopped, or it has not after so many. */
  function flood(stack: { handleDatagram: (...args: [number, number, Uint8Array, number, number]) => number }): number {
    lines.length = 0;
    const junk = new Uint8Array(1200).fill(0xee);
    for (let i = 0; i < 60_000; i += 1) {
      if (lines.some(({ event }) => event === "journal.stopped")) return i;
      stack.handleDatagram(2 * SECOND_US, 0, junk, 0, junk.length);
    }
    return -1;
  }

  test("when the disk is slower than the network it stops, and the stack goes on", async () => {
    const file = newFile();
    const journal = Journal.create(file, log);
    const stack = journal.record(...loner("slow"));
    stack.start(SECOND_US);
    // Not one turn of the event loop: as long as this takes, the disk takes nothing.
    const taken = flood(stack);
    expect(taken).toBeGreaterThan(10_000);
    expect(lines.at(-1)).toMatchObject({ event: "journal.stopped", reason: "the disk is slower than the network" });
    expect(stack.handleTimer(3 * SECOND_US)).toBeGreaterThan(3 * SECOND_US);
    await journal.close();
    const replay = replayJournal(file);
    expect(replay).toMatchObject({ firstDifference: null, truncated: true });
    expect(replay.inputs).toBeGreaterThan(10_000);
    expect(replay.inputs).toBeLessThanOrEqual(taken + 1);
  });

  test("when the disk is almost full it stops, and leaves the rest to others", async () => {
    lines.length = 0;
    const file = newFile();
    const journal = Journal.create(file, log, Number.MAX_SAFE_INTEGER);
    const stack = journal.record(...loner("full"));
    stack.start(SECOND_US);
    const end = performance.now() + 5000;
    while (lines.length === 0 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(lines).toMatchObject([{ event: "journal.stopped", reason: "the disk is almost full" }]);
    expect(stack.handleTimer(3 * SECOND_US)).toBeGreaterThan(3 * SECOND_US);
    await journal.close();
  });
});

describe("plain data", () => {
  test("any comes back as it was", () => {
    const leaf = fc.oneof(
      fc.constantFrom(undefined, null, true, false, Number.MAX_SAFE_INTEGER, 2 ** 32, 2 ** 32 - 1, 0, -1, 0.5),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true }),
      fc.oneof(fc.string(), fc.constantFrom("ä", "\u{1f600}", "\0")),
      fc.uint8Array(),
    );
    const key = fc.string().filter((text) => text !== "__proto__");
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 3 },
        leaf,
        fc.array(tie("tree"), { maxLength: 4 }),
        fc.dictionary(key, tie("tree"), { maxKeys: 4, noNullPrototype: true }),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        expect(decodeFrom(value)).toEqual(value);
      }),
      { numRuns: 60 },
    );
  });

  test.each([
    ["a Map", new Map()],
    ["a function", () => 1],
    ["an array of words", new Uint32Array(2)],
    ["a BigInt", BigInt(1)],
    ["an object of a class", new Date(0)],
  ])("%s is none, and is refused", (_what, value) => {
    expect(() => encodeValue(new Scribe(), { inside: [value] })).toThrow(/a journal cannot keep a/);
  });
});

/** All that was sent, and the state in which everybody ended. */
function fingerprint(world: StackWorld): unknown[] {
  const hash = createHash("sha256");
  for (const { from, to, atUs, bytes } of world.seen) hash.update(`${from}>${to}@${atUs} `).update(bytes);
  return [world.seen.length, hash.digest("hex"), ...[...world.nodes.values()].map((node) => node.stack.digest())];
}

/** What is read back of `value`, through a file as a reader sees it. */
function decodeFrom(value: unknown): unknown {
  const out = new Scribe();
  encodeValue(out, value);
  const bytes = Buffer.from(out.written);
  let used = 0;
  const take = (count: number) => {
    used += count;
    if (used > bytes.length) throw new Error("past the end");
    return used - count;
  };
  const decoded = decodeValue({
    u8: () => bytes[take(1)]!,
    u32: () => bytes.readUInt32LE(take(4)),
    u53: () => {
      const at = take(8);
      return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
    },
    f64: () => bytes.readDoubleLE(take(8)),
    bytes: (length) => new Uint8Array(bytes.subarray(take(length), used)),
    text() {
      const length = this.u32();
      return bytes.toString("utf8", take(length), used);
    },
    fault: (what) => new Error(what),
  });
  expect(used).toBe(bytes.length);
  return decoded;
}

function with32(bytes: Buffer, at: number, value: number): Buffer {
  bytes.writeUInt32LE(value, at);
  return bytes;
}
