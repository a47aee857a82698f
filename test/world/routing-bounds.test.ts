import { describe, expect, test } from "vitest";
import { NacDictionary } from "../../core/address/dictionary.js";
import { Digest } from "../../core/collections/digest.js";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import { Share } from "../../core/routing/control-budget.js";
import { DESTINATIONS_MAX } from "../../core/routing/decision.js";
import { Routing } from "../../core/routing/routing.js";
import { Wanted } from "../../core/routing/wanted.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { traceNothing } from "../../core/trace/trace.js";
import { ControlFrame } from "../../core/wire/control-frame.js";
import { Reader, Writer } from "../../core/wire/cursor.js";
import { decodeRouteRequest, encodeRouteRequest } from "../../core/wire/route-request.js";
import { decodeRouteStatus, encodeRouteStatus } from "../../core/wire/route-status.js";
import {
  decodeRoutesHead,
  ENTRY_RETRACTION,
  ENTRY_SHORT,
  encodeRouteEntry,
  openRoutes,
  sealRoutes,
} from "../../core/wire/routes.js";
import { encodeTableQuery } from "../../core/wire/table-query.js";
import { encodeTableSums } from "../../core/wire/table-sums.js";
import { randomFrom } from "../support/random.js";
import { insideOf } from "../support/routing-world.js";

const SLOT_US = 5 * SECOND_US;
/** A destination that is lost is remembered as long as its last proof could be shown, and looked at once a minute. */
const FORGOTTEN_US = 1_200 * SECOND_US;

const idOf = (last: number) => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, last);

function nacOf(number: number): Uint8Array {
  const nac = new Uint8Array(16);
  new DataView(nac.buffer).setUint32(3, number + 1);
  return nac;
}

/** One node whose neighbours are played by the test, frame by frame. */
class Bench {
  readonly dictionary = new NacDictionary();
  ignored = 0;
  nowUs = 0;
  readonly routing: Routing;
  private readonly sent = new Map<number, number>();
  private slot = -1;

  constructor() {
    const ignored = () => {
      this.ignored += 1;
    };
    this.routing = new Routing(
      { dictionary: this.dictionary, allocate: heapAllocator, random: () => 0, trace: traceNothing, ignored },
      { routerId: idOf(1) },
    );
  }

  /** A session begins, with message 1. */
  up(link: number, cost = 1): this {
    this.sent.delete(link);
    this.routing.linkUp(this.nowUs, link, idOf(100 + link), cost);
    return this;
  }

  down(link: number): void {
    this.routing.linkDown(this.nowUs, link);
  }

  frame(link: number, write: (out: Writer) => void): boolean {
    const out = new Writer(new Uint8Array(1_170));
    write(out);
    const input = new Reader(out.bytes, 0, out.offset);
    return this.routing.handleFrame(this.nowUs, link, input.u8(), input);
  }

  /** One ROUTES message. A NAC in full with its id, 0 unless given, or a short id; without metric a retraction. */
  teach(
    link: number,
    entries: readonly { nac: Uint8Array | number; id?: number; metric?: number; epoch?: number }[],
  ): boolean {
    const number = (this.sent.get(link) ?? 0) + 1;
    this.sent.set(link, number);
    return this.frame(link, (out) => {
      const start = openRoutes(out, number);
      for (const { nac, id: given = 0, metric, epoch = 1 } of entries) {
        const [bytes, id] = typeof nac === "number" ? [idOf(0), nac] : [nac, given];
        const flags = (metric === undefined ? ENTRY_RETRACTION : 0) | (typeof nac === "number" ? ENTRY_SHORT : 0);
        const route = { epoch, slot: 0, repair: 0, metric: metric ?? 0, generation: this.generation, elementAt: 0 };
        encodeRouteEntry(out, { flags, id, bytes, nacAt: 0, ...route });
      }
      sealRoutes(out, start, entries.length);
    });
  }

  /** Lets time pass, in which the node writes what it likes and every neighbour acknowledges all. */
  pass(us: number): Reader[] {
    const endUs = this.nowUs + us;
    const written: Reader[] = [];
    for (;;) {
      this.tick();
      this.routing.handleTimeout(this.nowUs);
      for (let link = this.routing.pollLink(); link >= 0; link = this.routing.pollLink()) {
        const out = new Writer(new Uint8Array(1_170));
        this.routing.pollControl(this.nowUs, link, out);
        written.push(new Reader(out.bytes, 0, out.offset));
        this.frame(link, (ack) => encodeRouteStatus(ack, { processed: this.routing.controlSent(link), missing: [] }));
      }
      if (this.nowUs >= endUs) return written;
      const nextSlotUs = (Math.floor(this.nowUs / SLOT_US) + 1) * SLOT_US;
      this.nowUs = Math.min(endUs, nextSlotUs, Math.max(this.nowUs + 1, this.routing.nextTimeoutUs));
    }
  }

  /** All origins prove that they live, all the time. */
  private get generation(): number {
    return Math.floor(this.nowUs / SLOT_US) % 0x10000;
  }

  /** Network time is that of the test. */
  private tick(): void {
    const slot = Math.floor(this.nowUs / SLOT_US);
    if (slot === this.slot) return;
    this.slot = slot;
    this.routing.setSlot(this.nowUs, slot, slot * SLOT_US);
  }

  cap(name: string) {
    return this.routing.caps.find((cap) => cap.name === name)!;
  }
}

describe("one neighbour", () => {
  test("that sends more than a thousand messages at once waits for its turn, and nothing is lost", () => {
    const bench = new Bench().up(0);
    for (let i = 0; i < 1_100; i += 1) bench.teach(0, [{ nac: nacOf(i), metric: 1 }]);
    expect(bench.routing.controlProcessed(0)).toBe(1_000);
    expect(bench.routing.count).toBe(1_000);
    expect(bench.routing.refusals.messages).toBe(100);
    bench.pass(50 * MILLISECOND_US);
    expect(bench.routing.controlProcessed(0)).toBe(1_050);
    const written = bench.pass(SECOND_US);
    expect(bench.routing.controlProcessed(0)).toBe(1_064); // 64 were kept; the rest was dropped and is asked for
    const listed = written.flatMap((reader) =>
      reader.u8() === ControlFrame.routeStatus ? decodeRouteStatus(reader)! : [],
    );
    expect(listed.at(-1)).toEqual({ processed: 1_064, missing: [{ start: 1_065, length: 36 }] });
    expect(bench.routing.malformed).toBe(0);
  });

  test("that asks for more than 250 routes a second is not answered, and others still are", () => {
    const bench = new Bench().up(0).up(1);
    bench.teach(1, [{ nac: nacOf(0), metric: 1 }]);
    const ask = (link: number) =>
      bench.frame(link, (out) =>
        encodeRouteRequest(out, { hops: 9, nac: nacOf(0), epoch: 9, slot: 0, repair: 0, life: 0 }),
      );
    for (let i = 0; i < 1_100; i += 1) expect(ask(0)).toBe(true);
    expect(bench.routing.refusals.requests).toBe(1_100 - 1_024);
    ask(1);
    bench.nowUs += 10 * MILLISECOND_US;
    ask(0);
    expect(bench.routing.refusals.requests).toBe(1_100 - 1_024);
  });

  test("that asks about our table more than sixteen times a second is answered no more often", () => {
    const bench = new Bench().up(0);
    for (let i = 0; i < 100; i += 1) {
      expect(bench.frame(0, (out) => encodeTableQuery(out, { depth: 0, prefix: 0, nacs: undefined }))).toBe(true);
      bench.pass(0);
    }
    expect(bench.routing.tables.refused).toBe(36);
    bench.pass(SECOND_US);
    for (let i = 0; i < 10; i += 1)
      bench.frame(0, (out) => encodeTableQuery(out, { depth: 0, prefix: 0, nacs: undefined }));
    expect(bench.routing.tables.refused).toBe(42); // four wait to be written
  });

  test("that asks about a table of 65,536 NACs is answered 31 times at once and then eight times a second", () => {
    const bench = new Bench().up(0).up(1);
    for (let i = 0; i < 65_536; i += 16) {
      const entries = Array.from({ length: 16 }, (_, k) => ({ nac: nacOf(i + k), metric: 1 }));
      bench.nowUs += MILLISECOND_US;
      bench.teach(1, entries);
    }
    expect(bench.routing.count).toBe(65_536);
    const ask = () => bench.frame(0, (out) => encodeTableQuery(out, { depth: 8, prefix: 7, nacs: [nacOf(0)] }));
    for (let i = 0; i < 40; i += 1) ask();
    expect(bench.routing.tables.refused).toBe(40 - 31);
    bench.nowUs += SECOND_US;
    for (let i = 0; i < 20; i += 1) ask();
    expect(bench.routing.tables.refused).toBe(40 - 31 + 20 - 8);
  });

  test("that asks for a bucket in which we have two NACs of our own hears of each in a message of its own", () => {
    const bench = new Bench();
    const own = [nacOf(1), nacOf(2)].map((nac) => bench.dictionary.intern(nac));
    for (const number of own) bench.routing.originate(0, number, 1);
    bench.up(0).pass(SECOND_US);
    bench.frame(0, (out) => encodeTableQuery(out, { depth: 0, prefix: 0, nacs: [nacOf(3)] }));
    const counts = bench.pass(SECOND_US).map((reader) => {
      expect(reader.u8()).toBe(ControlFrame.routes);
      return decodeRoutesHead(reader)!.count;
    });
    expect(counts).toEqual([2, 1]); // the one that we never announced is taken back beside the first
    expect(bench.routing.tables.repeats).toBe(3);
  });

  test("that misses a message has it again, though answers wait until more may be said: all that came later waits for it", () => {
    const bench = new Bench().up(0).up(1);
    bench.teach(0, [{ nac: nacOf(0), metric: 1 }]);
    bench.pass(SECOND_US);
    bench.teach(0, [{ nac: nacOf(1), metric: 1 }]);
    const written = () => {
      bench.routing.handleTimeout(bench.nowUs);
      const kinds: number[] = [];
      for (let link = bench.routing.pollLink(); link >= 0; link = bench.routing.pollLink()) {
        const out = new Writer(new Uint8Array(1_170));
        if (bench.routing.pollControl(bench.nowUs, link, out) && link === 1) kinds.push(out.bytes[0]!);
      }
      return kinds;
    };
    const lost = bench.routing.controlSent(1) + 1;
    while (bench.routing.controlSent(1) < lost) {
      bench.nowUs += MILLISECOND_US;
      written();
    }
    const [, neighbour] = insideOf(bench.routing).table.neighbours;
    bench.nowUs += 200 * MILLISECOND_US;
    written();
    neighbour!.budget.charge(bench.nowUs, 28_750); // what is left is for retractions and repairs
    expect(neighbour!.budget.opensUs(Share.answer)).toBeGreaterThan(bench.nowUs);
    bench.frame(1, (out) => encodeTableQuery(out, { depth: 0, prefix: 0, nacs: undefined }));
    bench.frame(1, (out) => encodeRouteStatus(out, { processed: lost - 1, missing: [{ start: lost, length: 1 }] }));
    expect(written()).toEqual([ControlFrame.routes]);
  });

  test("that lists everything as missing, again and again, gets no more than a thousand repeats a second", () => {
    const bench = new Bench().up(0).up(1);
    bench.teach(
      0,
      Array.from({ length: 20 }, (_, i) => ({ nac: nacOf(i), metric: 1 })),
    );
    let bytes = 0;
    for (let i = 0; i < 2_000; i += 1) {
      bench.frame(1, (out) => encodeRouteStatus(out, { processed: 0, missing: [{ start: 1, length: 65_535 }] }));
      bench.routing.handleTimeout(bench.nowUs);
      for (let link = bench.routing.pollLink(); link >= 0; link = bench.routing.pollLink()) {
        const out = new Writer(new Uint8Array(1_170));
        bench.routing.pollControl(bench.nowUs, link, out);
        if (link === 1) bytes += out.offset;
      }
      bench.nowUs += MILLISECOND_US;
    }
    expect(bytes).toBeLessThan(2 * 60 * 1_170); // one message each 20 ms at most, beside heads
  });

  test("that never acknowledges holds 64 messages of our table, 256 with what is new and no more, and is stalled after ten seconds", () => {
    const bench = new Bench().up(0);
    for (let i = 0; i < 9_000; i += 1) {
      bench.teach(0, [{ nac: nacOf(i), metric: 1 }]);
      bench.pass(MILLISECOND_US);
    }
    bench.up(1); // and is owed a snapshot
    const write = (milliseconds: number) => {
      for (let i = 0; i < milliseconds; i += 1) {
        bench.nowUs += MILLISECOND_US;
        for (let link = bench.routing.pollLink(); link >= 0; link = bench.routing.pollLink()) {
          bench.routing.pollControl(bench.nowUs, link, new Writer(new Uint8Array(1_170)));
        }
        bench.routing.handleTimeout(bench.nowUs);
      }
    };
    write(1_000);
    expect(bench.routing.count).toBe(9_000);
    expect(bench.routing.controlSent(1)).toBe(64);
    for (let i = 9_000; i < 14_000; i += 1) {
      bench.teach(0, [{ nac: nacOf(i), metric: 1 }]);
      write(4);
    }
    expect(bench.routing.controlSent(1)).toBe(256);
    expect(bench.cap("controlWindow")).toMatchObject({ peak: 256, limit: 256 });
    expect(bench.routing.isStalled(bench.nowUs, 1)).toBe(true);
  });

  test("that uses ids which mean nothing teaches nothing by them", () => {
    const bench = new Bench().up(0);
    expect(bench.teach(0, [{ nac: 7, metric: 1 }, { nac: 65_535 }])).toBe(true);
    expect(bench.routing.count).toBe(0);
    bench.teach(0, [{ nac: nacOf(1), metric: 1 }]);
    bench.teach(0, [{ nac: 0, metric: 0 }]);
    expect(bench.routing.route(bench.dictionary.find(nacOf(1)))?.metric).toBe(1);
    bench.teach(0, [{ nac: 0 }, { nac: 0 }, { nac: 0, metric: 2 }]);
    expect(bench.routing.count).toBe(0);
  });
});

test("a request for more than there can be is passed on as one for the newest index plus one", () => {
  for (const [epoch, slot] of [
    [9, 0],
    [1, 0xffff_ffff],
  ] as const) {
    const bench = new Bench().up(0).up(1);
    bench.teach(1, [{ nac: nacOf(0), metric: 1 }]);
    bench.frame(0, (out) => encodeRouteRequest(out, { hops: 9, nac: nacOf(0), epoch, slot, repair: 0, life: 0 }));
    const passed = bench.pass(0).find((reader) => reader.bytes[0] === ControlFrame.routeRequest)!;
    passed.u8();
    expect(decodeRouteRequest(passed)).toEqual({ hops: 8, nac: nacOf(0), epoch: 1, slot: 0, repair: 1, life: 0 });
  }
});

test("an id whose NAC was taken back in full and forgotten stands for nothing, not for whoever has the number now", () => {
  const bench = new Bench().up(0).up(1);
  bench.teach(0, [{ nac: nacOf(1), metric: 1 }]);
  bench.teach(0, [{ nac: nacOf(1) }]); // no honest neighbour does so: it ends no id
  bench.pass(FORGOTTEN_US);
  expect(bench.dictionary.held).toBe(0);
  bench.teach(0, [{ nac: 0, metric: 1 }]);
  expect(bench.routing.count).toBe(0);
  bench.teach(1, [{ nac: nacOf(2), metric: 3 }]);
  bench.teach(0, [{ nac: 0, metric: 1 }, { nac: 0 }, { nac: 0 }]);
  expect(bench.routing.route(bench.dictionary.find(nacOf(2)))).toMatchObject({ metric: 4, nextHop: 1 });
});

test("whatever neighbours say in well-formed frames, nothing throws, and all is given back when they are gone", () => {
  for (const seed of ["liar", "fool", "drunk", "babe", "thief", "ghost"]) {
    const random = randomFrom(`frames/${seed}`);
    const bench = new Bench().up(0).up(1).up(2);
    const up = new Set([0, 1, 2]);
    const own = bench.dictionary.intern(nacOf(3));
    const word = () => random.pick([0, 1, 2, 1_000, 0xffff_fffe, 0xffff_ffff]);
    const someNac = () => nacOf(random.below(24));
    const acts: ((link: number) => void)[] = [
      (link) => {
        const entries = Array.from({ length: random.below(6) }, () => {
          const nac = random.chance(0.4) ? someNac() : random.below(20);
          const id = random.chance(0.1) ? 0xffff : random.below(20);
          return random.chance(0.6) ? { nac, id, metric: random.below(64), epoch: word() } : { nac, id };
        });
        bench.teach(link, entries);
      },
      (link) =>
        bench.frame(link, (out) => {
          const nacs = random.chance(0.5) ? undefined : Array.from({ length: random.below(9) }, someNac);
          const depth = random.below(9);
          const prefix = depth === 0 ? 0 : (random.u32() >>> (32 - 4 * depth)) << (32 - 4 * depth);
          encodeTableQuery(out, { depth, prefix: prefix >>> 0, nacs });
        }),
      (link) =>
        bench.frame(link, (out) => {
          const sums = Uint32Array.from({ length: 16 }, () => random.u32());
          encodeTableSums(out, { depth: 0, prefix: 0, sent: bench.routing.controlProcessed(link), sums });
        }),
      (link) =>
        bench.frame(link, (out) => {
          const [epoch, slot] = [word(), word()];
          encodeRouteRequest(out, {
            hops: random.between(1, 32),
            nac: someNac(),
            epoch,
            slot,
            repair: random.below(256),
            life: random.chance(0.5) ? 0 : word(),
          });
        }),
      (link) => {
        const processed = bench.routing.controlProcessed(link);
        bench.routing.handleHello(bench.nowUs, link, processed, bench.routing.controlSent(link), random.bytes(8));
      },
      (link) => {
        if (random.chance(0.8)) return;
        if (up.delete(link)) return bench.down(link);
        up.add(link);
        bench.up(link, random.between(1, 4));
      },
      (link) => bench.routing.linkCost(bench.nowUs, link, random.between(1, 4)),
      () => {
        const known = bench.dictionary.find(someNac());
        if (known >= 0) bench.routing.want(bench.nowUs, known);
      },
      () => {
        if (random.chance(0.5)) bench.routing.withdraw(bench.nowUs, own);
        else bench.routing.originate(bench.nowUs, own, 5);
      },
      () => void bench.pass(random.pick([1, 50, 1_000, 20_000]) * MILLISECOND_US),
    ];
    for (let step = 0; step < 4_000; step += 1) random.pick(acts)(random.below(3));
    expect(bench.dictionary.held).toBeLessThanOrEqual(24);
    for (const link of up) bench.down(link);
    bench.routing.withdraw(bench.nowUs, own);
    bench.pass(FORGOTTEN_US);
    bench.routing.want(bench.nowUs, own); // traffic of old gives its numbers back when there is new
    expect(bench.dictionary.held, seed).toBe(1);
    expect(bench.routing.count, seed).toBe(0);
  }
});

describe("open requests", () => {
  test("of neighbours end at 2,048; our own still find room, and are bounded too", () => {
    const bench = new Bench();
    for (let link = 0; link < 7; link += 1) bench.up(link);
    for (let i = 0; i < 3_600; i += 1) {
      if (i % 20 === 0) bench.nowUs += 20 * MILLISECOND_US;
      bench.teach(6, [{ nac: nacOf(i), metric: 1 }]);
    }
    for (let i = 0; i < 2_600; i += 1) {
      bench.frame(i % 6, (out) =>
        encodeRouteRequest(out, { hops: 9, nac: nacOf(i), epoch: 9, slot: 0, repair: 0, life: 0 }),
      );
    }
    const { requests } = insideOf(bench.routing).decision;
    expect(bench.cap("routeRequests")).toMatchObject({ peak: 2_048, limit: 3_072 });
    const before = requests.refused;
    for (let i = 2_200; i < 3_600; i += 1) requests.want(bench.nowUs, bench.dictionary.find(nacOf(i)), 9, 0);
    expect(bench.cap("routeRequests").peak).toBe(3_072);
    expect(requests.refused - before).toBe(1_400 - 1_024);
    const { neighbours } = insideOf(bench.routing).table;
    for (const neighbour of neighbours) expect(neighbour.requests.size).toBeLessThanOrEqual(1_024);
  });
});

describe("the dictionary", () => {
  test("does not grow with NACs that come and go, used or not", () => {
    const bench = new Bench().up(0).up(1);
    for (let round = 0; round < 60; round += 1) {
      const some = Array.from({ length: 20 }, (_, i) => nacOf(round * 20 + i));
      // Every other one is too far away to be reached: it never has a route that could be lost.
      bench.teach(
        0,
        some.map((nac, i) => ({ nac, metric: i % 2 === 0 ? 1 : 63 })),
      );
      bench.pass(SECOND_US);
      if (round === 0) expect(bench.dictionary.held).toBe(20);
      bench.teach(
        0,
        some.map((nac) => ({ nac })),
      );
      bench.pass(FORGOTTEN_US);
    }
    expect(bench.dictionary.held).toBe(0);
    expect(bench.dictionary.size).toBeLessThanOrEqual(40);
    expect(bench.cap("destinations").peak).toBeLessThanOrEqual(40);
    expect(bench.routing.tables.searches).toBe(0);
  });

  test("does not grow with links that come and go either", () => {
    const bench = new Bench().up(1);
    for (let round = 0; round < 40; round += 1) {
      bench.up(0);
      bench.teach(
        0,
        Array.from({ length: 20 }, (_, i) => ({ nac: nacOf(round * 20 + i), metric: i % 2 === 0 ? 1 : 63 })),
      );
      bench.pass(SECOND_US);
      bench.down(0);
      bench.pass(FORGOTTEN_US);
    }
    expect(bench.dictionary.held).toBe(0);
    expect(bench.dictionary.size).toBeLessThanOrEqual(40);
  });

  test("changes nothing by the numbers that it gives again: the same lessons give the same digests and bytes", () => {
    const learn = (strangers: number) => {
      const bench = new Bench().up(0).up(1);
      const held: number[] = [];
      for (let i = 0; i < strangers; i += 1) held.push(bench.dictionary.intern(nacOf(500_000 + i)));
      const random = randomFrom("lessons"); // of the lessons, the same for both
      const shuffle = randomFrom(`strangers/${strangers}`);
      const bytes: string[] = [];
      for (let round = 0; round < 40; round += 1) {
        const entries = Array.from({ length: 8 }, () => {
          const nac = nacOf(random.below(60));
          return random.chance(0.5) ? { nac, metric: random.below(5), epoch: round } : { nac };
        });
        bench.teach(random.below(2), entries);
        if (held.length > 0) bench.dictionary.release(held.splice(shuffle.below(held.length), 1)[0]!);
        for (const { bytes: all, end } of bench.pass(random.between(1, 30) * SECOND_US)) {
          bytes.push(Buffer.from(all.subarray(0, end)).toString("hex"));
        }
      }
      const into = new Digest();
      bench.routing.digest(into);
      return { digest: into.hex(), bytes, size: bench.dictionary.size };
    };
    const plain = learn(0);
    const crowded = learn(30);
    expect(plain.size).toBeLessThan(60); // some were forgotten meanwhile, and their numbers given again
    expect(crowded.size).not.toBe(plain.size);
    expect({ ...crowded, size: 0 }).toEqual({ ...plain, size: 0 });
  });

  test("keeps a number while traffic wants it, and gives it another NAC only afterwards", () => {
    const dictionary = new NacDictionary();
    const wanted = new Wanted(dictionary);
    const number = dictionary.intern(nacOf(1));
    wanted.add(0, number);
    dictionary.release(number);
    expect(dictionary.find(nacOf(1))).toBe(number);
    const other = dictionary.intern(nacOf(2));
    expect(other).not.toBe(number);
    wanted.add(61 * SECOND_US, other);
    expect(dictionary.find(nacOf(1))).toBe(-1);
    expect(dictionary.intern(nacOf(3))).toBe(number);
  });

  test("of traffic wanted holds 65,536 destinations; the one longest without is forgotten", () => {
    const dictionary = new NacDictionary();
    const wanted = new Wanted(dictionary);
    for (let i = 0; i < 65_600; i += 1) {
      const number = dictionary.intern(nacOf(i));
      wanted.add(i, number);
      dictionary.release(number);
    }
    expect([wanted.cap.peak, dictionary.held]).toEqual([65_536, 65_536]);
    expect(dictionary.find(nacOf(63))).toBe(-1);
    expect(wanted.has(65_600, dictionary.find(nacOf(64)))).toBe(true);
  });
});

/** Two nodes on one link, each with a dictionary of its own; hellos every two seconds, nothing is lost. */
class Pair {
  readonly teacher = new Bench();
  readonly pupil = new Bench();

  constructor() {
    this.teacher.routing.linkUp(0, 0, idOf(1), 1);
    this.pupil.routing.linkUp(0, 0, idOf(1), 1);
  }

  run(seconds: number): void {
    const endUs = this.teacher.nowUs + seconds * SECOND_US;
    while (this.teacher.nowUs < endUs) {
      for (let step = 0; step < 40; step += 1) {
        for (const [from, to] of [
          [this.teacher, this.pupil],
          [this.pupil, this.teacher],
        ] as const) {
          from.nowUs += 50 * MILLISECOND_US;
          if (from.routing.nextTimeoutUs <= from.nowUs) from.routing.handleTimeout(from.nowUs);
          while (from.routing.pollLink() >= 0) {
            const out = new Writer(new Uint8Array(1_170));
            from.routing.pollControl(from.nowUs, 0, out);
            const input = new Reader(out.bytes, 0, out.offset);
            while (input.remaining > 0) expect(to.routing.handleFrame(to.nowUs, 0, input.u8(), input)).toBe(true);
          }
        }
      }
      const hello = ({ routing }: Bench, of: Bench) => {
        const digest = of.routing.tableDigest(0).slice();
        routing.handleHello(of.nowUs, 0, of.routing.controlSent(0), of.routing.controlProcessed(0), digest);
      };
      hello(this.pupil, this.teacher);
      hello(this.teacher, this.pupil);
    }
  }

  announce(count: number): void {
    const { routing, dictionary, nowUs } = this.teacher;
    for (let i = 0; i < count; i += 1) routing.originate(nowUs, dictionary.intern(nacOf(i)), 1);
  }
}

describe("a full dictionary", () => {
  const filled = () => {
    const pair = new Pair();
    const others: number[] = [];
    for (let i = 0; i < DESTINATIONS_MAX - 5; i += 1) others.push(pair.pupil.dictionary.intern(nacOf(1_000_000 + i)));
    pair.announce(12);
    pair.run(20);
    return { pair, others };
  };

  test("ignores further destinations, counts them, and starts no search for what it cannot keep", () => {
    const { pair } = filled();
    const { pupil } = pair;
    expect([pupil.routing.count, pupil.ignored, pupil.routing.ignored]).toEqual([5, 7, 7]);
    expect(pupil.cap("destinations")).toMatchObject({ peak: DESTINATIONS_MAX, limit: DESTINATIONS_MAX });
    expect(pupil.routing.tables.searches).toBe(0);
  });

  test("learns them by the digests once there is room", () => {
    const { pair, others } = filled();
    for (const number of others.slice(0, 20)) pair.pupil.dictionary.release(number);
    pair.run(10);
    expect(pair.pupil.routing.count).toBe(12);
    expect(pair.pupil.routing.tables.searches).toBe(1);
    pair.teacher.routing.withdraw(pair.teacher.nowUs, pair.teacher.dictionary.find(nacOf(3)));
    pair.run(4);
    expect(pair.pupil.routing.count).toBe(11);
    pair.run(20);
    expect(pair.pupil.routing.tables.searches).toBe(1);
  });
});
