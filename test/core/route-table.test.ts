import { describe, expect, test } from "vitest";
import { NacDictionary } from "../../core/address/dictionary.js";
import { Digest } from "../../core/collections/digest.js";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import { AGE_OLD, METRIC_INFINITY, METRIC_NONE } from "../../core/routing/feasible.js";
import { RouteTable } from "../../core/routing/route-table.js";
import { Routing } from "../../core/routing/routing.js";
import { TICK_US } from "../../core/routing/settling.js";
import { SECOND_US } from "../../core/time/instant.js";
import { traceNothing } from "../../core/trace/trace.js";
import { ControlFrame } from "../../core/wire/control-frame.js";
import { Reader, Writer } from "../../core/wire/cursor.js";
import {
  decodeRouteEntry,
  decodeRoutesHead,
  ENTRY_RETRACTION,
  emptyRouteEntry,
  encodeRouteEntry,
  openRoutes,
  sealRoutes,
} from "../../core/wire/routes.js";
import { randomFrom } from "../support/random.js";
import { insideOf } from "../support/routing-world.js";

const routerId = (last: number) => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, last);

function newTable(destinations: number) {
  const dictionary = new NacDictionary();
  const random = randomFrom("table");
  for (let i = 0; i < destinations; i += 1) dictionary.intern(random.bytes(16));
  return new RouteTable(routerId(1), dictionary, heapAllocator);
}

describe("ages", () => {
  test("are exact within an epoch and grow when a newer index is heard", () => {
    const table = newTable(4);
    const neighbour = table.addNeighbour(0, false, routerId(2), 1);
    table.admit(1);
    table.hear(1, 7, 512);
    const cell = table.cells.at(1, neighbour.slot);
    table.cells.setAge(cell, table.ageOf(1, 7, 510));
    table.records.setDistance(1, table.ageOf(1, 7, 512), 3);
    expect(table.hear(1, 7, 515)).toBe(3);

    expect(table.records.index(1)).toBe(515);
    expect(table.cells.age(cell)).toBe(5);
    expect([table.records.distanceAge(1), table.records.distanceMetric(1)]).toEqual([3, 3]);
  });

  test("are all old once a newer epoch is heard, and never wrap", () => {
    const table = newTable(4);
    const { slot } = table.addNeighbour(0, false, routerId(2), 1);
    const cell = table.cells.at(1, slot);
    table.admit(1);
    table.hear(1, 7, 0);
    table.records.setDistance(1, 0, 0);
    table.cells.setAge(cell, 0);
    table.hear(1, 7, 70_000);
    expect([table.records.distanceAge(1), table.cells.age(cell)]).toEqual([AGE_OLD, AGE_OLD]);
    table.records.setDistance(1, 0, 0);
    table.cells.setAge(cell, 0);
    table.hear(1, 8, 0);
    expect([table.records.distanceAge(1), table.cells.age(cell)]).toEqual([AGE_OLD, AGE_OLD]);
    expect(table.ageOf(1, 7, 70_000)).toBe(AGE_OLD);
  });

  test("do not change for an older index", () => {
    const table = newTable(4);
    table.admit(1);
    table.hear(1, 7, 300);
    expect([table.hear(1, 7, 299), table.hear(1, 6, 900)]).toEqual([0, 0]);
    expect([table.records.epoch(1), table.records.index(1)]).toEqual([7, 300]);
  });
});

describe("records and cells", () => {
  /** Everything that they hold of a destination and a neighbour. */
  const held = ({ records, cells }: RouteTable, destination: number, slot: number) => {
    const cell = cells.at(destination, slot);
    return {
      epoch: records.epoch(destination),
      index: records.index(destination),
      next: records.next(destination),
      metric: records.metric(destination),
      distance: [records.distanceAge(destination), records.distanceMetric(destination)],
      id: records.id(destination),
      state: records.state(destination),
      cell: [cells.age(cell), cells.metric(cell), cells.told(cell), cells.flags(cell)],
    };
  };
  const nothing = {
    epoch: 0,
    index: 0,
    next: -1,
    metric: METRIC_INFINITY,
    distance: [AGE_OLD, METRIC_NONE],
    id: -1,
    state: 0,
    cell: [AGE_OLD, METRIC_NONE, METRIC_NONE, 0],
  };
  const fill = ({ records, cells }: RouteTable, destination: number, slot: number) => {
    records.setNewest(destination, 0xfffffffe, 0xffffffff * 256 + 255);
    records.setNext(destination, 65_534);
    records.setMetric(destination, 63);
    records.setDistance(destination, AGE_OLD - 1, 62);
    records.setId(destination, 65_534);
    const cell = cells.at(destination, slot);
    cells.setAge(cell, 0);
    cells.setMetric(cell, 0);
    cells.setTold(cell, 63);
    cells.setFlags(cell, 0x3ff);
  };
  const full = {
    epoch: 0xfffffffe,
    index: 0xffffffff * 256 + 255,
    next: 65_534,
    metric: 63,
    distance: [AGE_OLD - 1, 62],
    id: 65_534,
    cell: [0, 0, 63, 0x3ff],
  };

  test("read back what was written, whatever lies beside it, and read as nothing before", () => {
    const table = newTable(40);
    for (const [link, id] of [3, 4, 5].entries()) table.addNeighbour(link, true, routerId(id), 1);
    for (const destination of [3, 5, 6]) table.admit(destination);
    const state = table.records.state(5);
    expect(held(table, 5, 1)).toEqual({ ...nothing, state });
    fill(table, 5, 1);
    expect(held(table, 5, 1)).toEqual({ ...full, state });
    for (const [destination, slot] of [
      [5, 0],
      [5, 2],
    ] as const) {
      expect(held(table, destination, slot).cell).toEqual(nothing.cell);
    }
    for (const destination of [4, 6])
      expect(held(table, destination, 1)).toMatchObject({ ...nothing, state: expect.any(Number) });
    expect(table.records.next(1_000_000)).toBe(-1);
  });

  test("grow with the dictionary and with the neighbours, and keep what they hold", () => {
    const dictionary = new NacDictionary();
    const random = randomFrom("columns");
    for (let i = 0; i < 3; i += 1) dictionary.intern(random.bytes(16));
    const table = new RouteTable(routerId(1), dictionary, heapAllocator);
    const { slot } = table.addNeighbour(0, true, routerId(2), 1);
    table.admit(2);
    fill(table, 2, slot);
    while (dictionary.size <= 1_000) dictionary.intern(random.bytes(16));
    table.admit(1_000);
    for (let link = 1; link < 70; link += 1) table.addNeighbour(link, true, routerId(2 + link), 1);
    expect(table.records.capacity).toBeGreaterThan(1_000);
    expect(table.cells.stride).toBeGreaterThanOrEqual(70);
    expect(table.cells.stride).toBeLessThan(70 * 1.2);
    expect(held(table, 2, slot)).toMatchObject(full);
    for (let other = 1; other < 70; other += 1) expect(held(table, 2, other).cell).toEqual(nothing.cell);
    expect(held(table, 1_000, slot)).toMatchObject({ ...nothing, state: expect.any(Number) });
  });

  test("of a neighbour that went serve the next one, empty", () => {
    const dictionary = new NacDictionary();
    const routing = new Routing(
      { dictionary, allocate: heapAllocator, random: () => 0, trace: traceNothing },
      { routerId: routerId(1) },
    );
    const { table, decision } = insideOf(routing);
    routing.linkUp(0, 0, routerId(2), 1);
    const destination = dictionary.intern(new Uint8Array(16).fill(7));
    const first = table.neighbours[0]!;
    decision.learn(0, first, destination, { ...emptyRouteEntry(), epoch: 1, metric: 9 });
    routing.linkDown(0, 0);
    routing.linkUp(0, 5, routerId(3), 1);
    const second = table.neighbours[0]!;
    expect([second.slot, second.link]).toEqual([first.slot, 5]);
    expect(held(table, destination, second.slot).cell).toEqual(nothing.cell);
    expect(table.cells.stride).toBe(1);
  });

  test("list each destination once, however often it is forgotten and heard of again", () => {
    const table = newTable(300);
    for (let round = 0; round < 50; round += 1) {
      for (let destination = 0; destination < 60; destination += 1) table.admit(destination + (round % 3) * 60);
      for (let destination = 0; destination < 300; destination += 1) {
        if (table.knows(destination)) table.forget(destination);
      }
    }
    for (const destination of [5, 7, 5, 130]) table.admit(destination);
    const listed = [...table.order.subarray(0, table.listed)];
    expect(listed.filter((destination) => table.knows(destination)).sort((a, b) => a - b)).toEqual([5, 7, 130]);
    expect(new Set(listed).size).toBe(listed.length);
  });
});

test("a snapshot that gives a neighbour the lead does so for a bounded time, however long that goes on telling", () => {
  const table = newTable(4);
  table.admit(1);
  const neighbour = table.addNeighbour(0, false, routerId(2), 1);
  neighbour.beginSnapshot(500_000, 5_000_000);
  for (let nowUs = 0; nowUs < 20_000_000; nowUs += 200_000) neighbour.deferSnapshot(nowUs, nowUs + 500_000);
  expect(neighbour.snapshotAtUs).toBe(5_000_000);
  expect([neighbour.awaitsSnapshot(4_999_999), neighbour.awaitsSnapshot(5_000_000)]).toEqual([true, false]);
});

test("an epoch that begins in the first slots of time has an index that is not negative", () => {
  const dictionary = new NacDictionary();
  const ports = { dictionary, allocate: heapAllocator, random: () => 0, trace: traceNothing };
  for (let last = 0; last < 6; last += 1) {
    const routing = new Routing(ports, { routerId: routerId(1) });
    const own = dictionary.intern(new Uint8Array(16).fill(last));
    routing.originate(0, own, 1);
    expect(insideOf(routing).table.records.index(own)).toBe(0);
  }
});

describe("a table that one neighbour teaches", () => {
  interface Taught {
    nac: Uint8Array;
    metric?: number;
    epoch?: number;
    index?: number;
  }

  function pupil(id = 5) {
    const dictionary = new NacDictionary();
    const routing = new Routing(
      { dictionary, allocate: heapAllocator, random: () => 0, trace: traceNothing },
      { routerId: routerId(id) },
    );
    const sent = new Map<number, number>();
    const clock = { nowUs: 0 };
    const teach = (link: number, ...entries: Taught[]) => {
      const number = (sent.get(link) ?? 0) + 1;
      sent.set(link, number);
      const out = new Writer(new Uint8Array(1_200));
      const start = openRoutes(out, number);
      for (const { nac, metric, epoch = 1, index = 0 } of entries) {
        const flags = metric === undefined ? ENTRY_RETRACTION : 0;
        const slot = Math.floor(index / 256);
        encodeRouteEntry(out, {
          flags,
          id: 0xffff,
          bytes: nac,
          nacAt: 0,
          epoch,
          slot,
          repair: index % 256,
          metric: metric ?? 0,
          generation: 0,
          elementAt: 0,
        });
      }
      sealRoutes(out, start, entries.length);
      return routing.handleFrame(clock.nowUs, link, ControlFrame.routes, new Reader(out.bytes, 1, out.offset));
    };
    const route = (nac: Uint8Array) => routing.route(dictionary.find(nac));
    /** At the pace that is taken from one neighbour. */
    const teachMany = (link: number, all: readonly Uint8Array[]) => {
      for (let i = 0; i < all.length; i += 16) {
        clock.nowUs += 1_000;
        teach(link, ...all.slice(i, i + 16).map((each) => ({ nac: each, metric: 1 })));
      }
    };
    return { dictionary, routing, teach, teachMany, route, clock };
  }
  const nac = (fill: number) => new Uint8Array(16).fill(fill);

  test("keeps the best and two backups, switches in the call that takes the link down, and knows when none is left", () => {
    const { routing, teach, route } = pupil();
    for (const link of [0, 1, 2, 3]) routing.linkUp(0, link, routerId(10 + link), 1);
    // The best comes last: before, each offer was itself the best and lowered the distance.
    teach(3, { nac: nac(1), metric: 3 });
    teach(2, { nac: nac(1), metric: 3 });
    teach(1, { nac: nac(1), metric: 3 });
    teach(0, { nac: nac(1), metric: 3 });
    expect(route(nac(1))).toMatchObject({ nextHop: 3, metric: 4, backups: [0, 1] });
    routing.linkDown(0, 3);
    expect(route(nac(1))).toMatchObject({ nextHop: 0, metric: 4, backups: [1, 2] });
    routing.linkDown(0, 0);
    routing.linkDown(0, 1);
    routing.linkDown(0, 2);
    expect(route(nac(1))).toBeUndefined();
    expect(routing.count).toBe(0);
  });

  /** The better of two ways is taken back. */
  const loseTheBetter = (isTold: boolean) => {
    const { routing, teach, route } = pupil();
    for (const link of [0, 1, 2]) routing.linkUp(0, link, routerId(10 + link), 1);
    teach(0, { nac: nac(1), metric: 1 });
    teach(1, { nac: nac(1), metric: 3 });
    if (isTold) routing.pollControl(SECOND_US, 2, new Writer(new Uint8Array(1_170)));
    teach(0, { nac: nac(1) });
    return { teach, route };
  };

  test("takes any offer while it told nobody", () => {
    const { route } = loseTheBetter(false);
    expect(route(nac(1))).toMatchObject({ nextHop: 1, metric: 4 });
  });

  test("does not take an offer that is not feasible once it told somebody, even as a last resort", () => {
    const { teach, route } = loseTheBetter(true);
    expect(route(nac(1))).toBeUndefined();
    teach(1, { nac: nac(1), metric: 3, index: 1 });
    expect(route(nac(1))).toMatchObject({ nextHop: 1, metric: 4, repair: 1 });
  });

  test("asks whoever has heard of more since it was asked, at once", () => {
    const { routing, teach } = pupil();
    for (const link of [0, 1, 2]) routing.linkUp(0, link, routerId(10 + link), 1);
    teach(0, { nac: nac(1), metric: 1, index: 3 });
    teach(1, { nac: nac(1), metric: 3, index: 0 });
    routing.pollControl(0, 2, new Writer(new Uint8Array(1_170)));
    const asked = (nowUs: number) => {
      routing.handleTimeout(nowUs);
      const { requests } = insideOf(routing).table.byLink[1]!;
      const indexes = [...requests.values()].map(({ index }) => index);
      requests.clear();
      return indexes;
    };
    teach(0, { nac: nac(1) });
    expect(asked(1_400_000)).toEqual([]);
    expect(asked(1_500_000)).toEqual([4]);
    expect(asked(1_600_000)).toEqual([]);
    teach(1, { nac: nac(1), metric: 3, index: 3 }); // it asked for 1, which is all that it knew to ask for, and was told of 3
    expect(asked(1_600_000)).toEqual([4]);
  });

  test("leaves an older epoch for a newer one, however much longer the way", () => {
    const { routing, teach, route } = pupil();
    routing.linkUp(0, 0, routerId(10), 1);
    routing.linkUp(0, 1, routerId(11), 1);
    teach(0, { nac: nac(1), metric: 1, epoch: 4, index: 900 });
    teach(1, { nac: nac(1), metric: 40, epoch: 5 });
    expect(route(nac(1))).toMatchObject({ nextHop: 1, metric: 41, epoch: 5, slot: 0, backups: [] });
  });

  test("never lets a metric reach infinity or wrap", () => {
    const { routing, teach, route } = pupil();
    routing.linkUp(0, 0, routerId(10), 4);
    teach(0, { nac: nac(1), metric: 59 }, { nac: nac(2), metric: 60 }, { nac: nac(3), metric: 63 });
    expect(route(nac(1))?.metric).toBe(63);
    expect(route(nac(2))).toBeUndefined();
    expect(route(nac(3))).toBeUndefined();
  });

  test("refuses a malformed message whole", () => {
    const { routing, teach, route } = pupil();
    routing.linkUp(0, 0, routerId(10), 1);
    expect(teach(0, { nac: nac(1), metric: 1 }, { nac: nac(2), metric: 64 })).toBe(false);
    expect(route(nac(1))).toBeUndefined();
    expect(routing.malformed).toBe(1);
  });

  test("interns nobody for a retraction", () => {
    const { dictionary, routing, teach } = pupil();
    routing.linkUp(0, 0, routerId(10), 1);
    teach(0, { nac: nac(9) });
    expect(dictionary.size).toBe(0);
  });

  test("tells its next hop nothing, and takes back what it told a neighbour that becomes the next hop", () => {
    const { routing, teach } = pupil();
    routing.linkUp(0, 0, routerId(10), 1);
    routing.linkUp(0, 1, routerId(11), 1);
    /** Metrics told on each link, "lost" for a retraction. */
    const told = (nowUs: number) => {
      const all: (number | "lost")[][] = [[], []];
      routing.handleTimeout(nowUs);
      for (let link = routing.pollLink(); link >= 0; link = routing.pollLink()) {
        const out = new Writer(new Uint8Array(1_100));
        routing.pollControl(nowUs, link, out);
        const input = new Reader(out.bytes, 0, out.offset);
        let type = input.u8();
        if (type === ControlFrame.routeHead) {
          input.skip(4);
          type = input.u8();
        }
        if (type !== ControlFrame.routes) continue;
        const entry = emptyRouteEntry();
        for (let left = decodeRoutesHead(input)!.count; left > 0 && decodeRouteEntry(input, entry); left -= 1) {
          all[link]!.push((entry.flags & ENTRY_RETRACTION) === 0 ? entry.metric : "lost");
        }
      }
      return all;
    };

    teach(0, { nac: nac(1), metric: 3 });
    expect(told(100_000)).toEqual([[], [4]]);
    teach(1, { nac: nac(1), metric: 1 });
    expect(told(300_000)).toEqual([[2], ["lost"]]);
  });

  const numbered = (count: number) =>
    Array.from({ length: count }, (_, i) =>
      Uint8Array.from({ length: 16 }, (_, k) => (i >>> (8 * (k & 1))) ^ (k >> 1)),
    );

  test("tells new routes at once when they come alone, and those of a crowd after as many ticks as their link costs", () => {
    const { routing, teachMany, clock } = pupil();
    routing.linkUp(0, 0, routerId(10), 3);
    routing.linkUp(0, 1, routerId(11), 1);
    const toldUntil = (nowUs: number) => {
      routing.handleTimeout(nowUs);
      for (let link = routing.pollLink(); link >= 0; link = routing.pollLink()) {
        routing.pollControl(nowUs, link, new Writer(new Uint8Array(1_170)));
      }
      return routing.entries.all;
    };
    const fromUs = clock.nowUs;
    teachMany(0, numbered(20));
    expect(toldUntil(fromUs + 60_000)).toBe(8);
    expect(toldUntil(fromUs + 2 * TICK_US)).toBe(8);
    expect(toldUntil(fromUs + 4 * TICK_US)).toBe(20);
  });

  test("takes 65,536 destinations from one session, and no more", () => {
    const { dictionary, routing, teach, teachMany } = pupil();
    routing.linkUp(0, 0, routerId(10), 1);
    const all = numbered(65_536);
    teachMany(0, all);
    expect(routing.count).toBe(65_536);
    teach(0, { nac: nac(0xee), metric: 1 });
    expect([routing.count, routing.ignored, dictionary.size]).toEqual([65_536, 1, 65_536]);
    teach(0, { nac: all[3]! }, { nac: nac(0xee), metric: 1 });
    expect([routing.count, routing.ignored]).toEqual([65_536, 1]);
  });

  test("holds back a snapshot that is not processed, without spinning, and goes on when it is", () => {
    const { routing, teachMany, clock } = pupil();
    routing.linkUp(0, 0, routerId(10), 1);
    teachMany(0, numbered(8_000));
    let nowUs = clock.nowUs + 1_000_000;
    routing.handleTimeout(nowUs); // by now it would have told others of them
    routing.linkUp(nowUs, 1, routerId(11), 1);
    const write = (untilUs: number) => {
      let inputs = 0;
      for (; nowUs <= untilUs; nowUs = Math.max(nowUs + 1, routing.nextTimeoutUs)) {
        routing.handleTimeout(nowUs);
        for (let link = routing.pollLink(); link >= 0; link = routing.pollLink()) {
          routing.pollControl(nowUs, link, new Writer(new Uint8Array(1_170)));
        }
        inputs += 1;
      }
      nowUs = untilUs;
      return inputs;
    };
    write(3_000_000);
    expect(routing.controlSent(1)).toBe(64); // as many as the neighbour keeps when the first is lost
    expect(write(13_000_000)).toBeLessThan(20);
    expect(routing.isStalled(13_000_000, 1)).toBe(true);
    routing.handleHello(nowUs, 1, 0, 40, new Uint8Array(8));
    write(14_000_000);
    expect(routing.controlSent(1)).toBe(104);
    for (let untilUs = 14_100_000; untilUs <= 15_000_000; untilUs += 100_000) {
      routing.handleHello(nowUs, 1, 0, routing.controlSent(1), new Uint8Array(8));
      write(untilUs);
    }
    expect(routing.controlSent(1)).toBe(Math.ceil(8_000 / 22));
  });

  test("lets a snapshot out in bursts of ten messages or so, 256 entries per 10 ms on the whole", () => {
    const { routing, teachMany, clock } = pupil();
    routing.linkUp(0, 0, routerId(10), 1);
    teachMany(0, numbered(4_000));
    const startUs = clock.nowUs + 1_000_000;
    routing.handleTimeout(startUs); // by now it would have told others of them
    routing.linkUp(startUs, 1, routerId(11), 1);
    const bursts: number[] = [];
    for (let nowUs = startUs; nowUs < startUs + 100_000; nowUs = Math.max(nowUs + 500, routing.nextTimeoutUs)) {
      const before = routing.controlSent(1);
      if (routing.nextTimeoutUs <= nowUs) routing.handleTimeout(nowUs);
      for (let link = routing.pollLink(); link >= 0; link = routing.pollLink()) {
        routing.pollControl(nowUs, link, new Writer(new Uint8Array(1_170)));
      }
      bursts.push(routing.controlSent(1) - before);
      routing.handleHello(nowUs, 1, 0, routing.controlSent(1), new Uint8Array(8));
    }
    expect(bursts.length).toBeLessThanOrEqual(12);
    expect(Math.max(...bursts)).toBeLessThanOrEqual(13);
    expect(routing.entries.all).toBeGreaterThan(2_300);
    expect(routing.entries.all).toBeLessThan(3_000);
  });

  test("does not depend on the dictionary's numbers: the same lessons give the same digest and the same bytes", () => {
    const learn = (before: number) => {
      const { dictionary, routing, teach } = pupil();
      for (let i = 0; i < before; i += 1) dictionary.intern(nac(200 - i));
      routing.linkUp(0, 0, routerId(10), 1);
      for (const fill of [190, 3, 195, 7]) teach(0, { nac: nac(fill), metric: 2 });
      routing.linkUp(0, 1, routerId(11), 1);
      const out = new Writer(new Uint8Array(1_100));
      routing.pollControl(0, 1, out);
      const into = new Digest();
      routing.digest(into);
      return { digest: into.hex(), bytes: [...out.bytes.subarray(0, out.offset)] };
    };
    expect(learn(20)).toEqual(learn(0));
  });
});
