import { expect, test } from "vitest";
import { NacDictionary } from "../../core/address/dictionary.js";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import { type Elements, noElements, type Verdict } from "../../core/routing/elements.js";
import { Routing } from "../../core/routing/routing.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { traceNothing } from "../../core/trace/trace.js";
import { ControlFrame } from "../../core/wire/control-frame.js";
import { Reader, Writer } from "../../core/wire/cursor.js";
import {
  ENTRY_RETRACTION,
  emptyRouteEntry,
  encodeRouteEntry,
  openRoutes,
  type RouteEntry,
  sealRoutes,
} from "../../core/wire/routes.js";

const SLOT_US = 5 * SECOND_US;
const nacOf = (first: number) => new Uint8Array(16).fill(first);

/** A node with one neighbour, and chains that have too few hashes for the NAC that begins with `dear`. */
class Listener {
  nowUs = 300 * SLOT_US + 2 * SECOND_US;
  isPoor = true;
  checks = 0;
  readonly routing: Routing;
  private readonly dictionary = new NacDictionary();
  private number = 0;

  constructor(dear: number) {
    const verdictOf = (destination: number): Verdict => {
      if (this.dictionary.bytesOf(destination)[0] !== dear) return "sound";
      this.checks += 1;
      return this.isPoor ? "busy" : "sound";
    };
    const elements: Elements = { ...noElements, checkMetric: (_now, _link, destination) => verdictOf(destination) };
    const { dictionary } = this;
    const ports = { dictionary, allocate: heapAllocator, elements, trace: traceNothing, random: () => 0 };
    this.routing = new Routing(ports, { routerId: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1) });
    this.routing.setSlot(this.nowUs, 300, 300 * SLOT_US);
    this.routing.linkUp(this.nowUs, 0, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 2), 1);
  }

  /** One message with these entries. */
  hear(...entries: Partial<RouteEntry>[]): void {
    const out = new Writer(new Uint8Array(1_200));
    this.number += 1;
    const start = openRoutes(out, this.number);
    for (const entry of entries) {
      const route = { epoch: 1, slot: 300, repair: 0, metric: 2, generation: 300, id: 0xffff };
      encodeRouteEntry(out, { ...emptyRouteEntry(), ...route, ...entry });
    }
    sealRoutes(out, start, entries.length);
    const input = new Reader(out.bytes, 1, out.offset);
    expect(this.routing.handleFrame(this.nowUs, 0, ControlFrame.routes, input)).toBe(true);
  }

  run(us: number): void {
    const endUs = this.nowUs + us;
    for (; this.nowUs < endUs; this.nowUs += 10 * MILLISECOND_US) {
      if (this.routing.nextTimeoutUs <= this.nowUs) this.routing.handleTimeout(this.nowUs);
    }
  }

  metric(first: number): number | undefined {
    const destination = this.dictionary.find(nacOf(first));
    return destination < 0 ? undefined : this.routing.route(destination)?.metric;
  }
}

test("what its neighbour said behind an entry that waits for hashes waits too, and loses nothing", () => {
  const bob = new Listener(2);
  bob.hear({ bytes: nacOf(1) }, { bytes: nacOf(2) }, { bytes: nacOf(3) });
  bob.hear({ bytes: nacOf(4) }, { bytes: nacOf(3), flags: ENTRY_RETRACTION });
  bob.run(2 * SECOND_US);
  expect([1, 2, 3, 4].map((first) => bob.metric(first))).toEqual([3, undefined, undefined, undefined]);
  expect(bob.checks).toBeLessThanOrEqual(21); // every 100 ms, and no more often

  bob.isPoor = false;
  bob.run(150 * MILLISECOND_US);
  expect([1, 2, 3, 4].map((first) => bob.metric(first))).toEqual([3, 3, undefined, 3]); // in the order in which it was said
  expect(bob.routing.liveness).toMatchObject({ held: 1, forged: 0 });
  expect(bob.routing.controlProcessed(0)).toBe(2);
});

test("after five seconds the entry is passed over, and the rest of the message counts", () => {
  const bob = new Listener(2);
  bob.hear({ bytes: nacOf(2) }, { bytes: nacOf(3) }, { bytes: nacOf(2), metric: 1 });
  bob.hear({ bytes: nacOf(4) });
  bob.run(4_900 * MILLISECOND_US);
  expect(bob.metric(3)).toBeUndefined();
  bob.run(300 * MILLISECOND_US);
  expect([2, 3, 4].map((first) => bob.metric(first))).toEqual([undefined, 3, 3]);
  expect(bob.routing.controlProcessed(0)).toBe(2);
  bob.hear({ bytes: nacOf(5) });
  expect(bob.metric(5)).toBe(3); // nothing stands before it any more
});

test("a link that goes down takes with it what waited", () => {
  const bob = new Listener(2);
  bob.hear({ bytes: nacOf(2) }, { bytes: nacOf(3) });
  bob.routing.linkDown(bob.nowUs, 0);
  bob.isPoor = false;
  bob.run(SECOND_US);
  expect([2, 3].map((first) => bob.metric(first))).toEqual([undefined, undefined]);
});
