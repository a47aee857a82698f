import { expect, test } from "vitest";
import { NacDictionary } from "../../core/address/dictionary.js";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import { type Elements, noElements } from "../../core/routing/elements.js";
import { Routing } from "../../core/routing/routing.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { traceNothing } from "../../core/trace/trace.js";
import { ControlFrame } from "../../core/wire/control-frame.js";
import { Reader, Writer } from "../../core/wire/cursor.js";
import { encodeRouteStatus } from "../../core/wire/route-status.js";
import {
  decodeRouteEntry,
  decodeRoutesHead,
  ENTRY_KIND,
  ENTRY_LIFE,
  ENTRY_ORIGIN,
  ENTRY_PROOF,
  ENTRY_RETRACTION,
  emptyRouteEntry,
  encodeRouteEntry,
  openRoutes,
  type RouteEntry,
  sealRoutes,
} from "../../core/wire/routes.js";

const SLOT_US = 5 * SECOND_US;
const NAC = new Uint8Array(16).fill(3); // its periodic generations are slots that are multiples of three
const OTHER = new Uint8Array(16).fill(6);
const routerId = (last: number) => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, last);

/** A node that hears of routes from the neighbour on link 0, and tells the one on link 1 of them. */
class Relay {
  slot = 300;
  private readonly numbers = [0, 0];
  private readonly routing: Routing;

  constructor(elements: Elements) {
    const dictionary = new NacDictionary();
    const ports = { dictionary, allocate: heapAllocator, elements, trace: traceNothing, random: () => 0 };
    this.routing = new Routing(ports, { routerId: routerId(1) });
    this.begin(this.slot);
    this.routing.linkUp(this.nowUs, 0, routerId(10), 1);
  }

  private get nowUs(): number {
    return this.slot * SLOT_US + 2 * SECOND_US;
  }

  begin(slot: number): void {
    this.slot = slot;
    this.routing.setSlot(this.nowUs, slot, slot * SLOT_US);
  }

  hear(entry: Partial<RouteEntry>, link = 0): void {
    const out = new Writer(new Uint8Array(1_200));
    this.numbers[link]! += 1;
    const start = openRoutes(out, this.numbers[link]!);
    const route = { epoch: 1, slot: 300, repair: 0, metric: 2, generation: 300 };
    encodeRouteEntry(out, { ...emptyRouteEntry(), ...route, id: 5, bytes: NAC, ...entry });
    sealRoutes(out, start, 1);
    expect(this.routing.handleFrame(this.nowUs, link, ControlFrame.routes, new Reader(out.bytes, 1, out.offset))).toBe(
      true,
    );
  }

  meet(): void {
    this.routing.linkUp(this.nowUs, 1, routerId(11), 1);
  }

  /** All that the neighbour on link 1 is told within a second, and with the next hello. It processes all of it. */
  told(): RouteEntry[] {
    const entries: RouteEntry[] = [];
    const read = (out: Writer) => {
      const input = new Reader(out.bytes, 0, out.offset);
      if (out.offset === 0 || input.u8() !== ControlFrame.routes) return;
      for (let left = decodeRoutesHead(input)!.count; left > 0; left -= 1) {
        const entry = emptyRouteEntry();
        expect(decodeRouteEntry(input, entry)).toBe(true);
        entries.push(entry);
      }
    };
    for (let nowUs = this.nowUs; nowUs <= this.nowUs + SECOND_US; nowUs += 10 * MILLISECOND_US) {
      this.routing.handleTimeout(nowUs);
      for (let link = this.routing.pollLink(); link >= 0; link = this.routing.pollLink()) {
        const out = new Writer(new Uint8Array(1_170));
        this.routing.pollControl(nowUs, link, out);
        if (link === 1) read(out);
      }
    }
    const hello = new Writer(new Uint8Array(1_170));
    this.routing.joinHello(this.nowUs + SECOND_US, 1, hello);
    read(hello);
    const status = new Writer(new Uint8Array(64));
    encodeRouteStatus(status, { processed: this.routing.controlSent(1), missing: [] });
    this.routing.handleFrame(this.nowUs, 1, ControlFrame.routeStatus, new Reader(status.bytes, 1, status.offset));
    return entries;
  }
}

/** Chains that cannot prove our metric of the first destination in `generation`. */
function unprovable(generation: number): Elements {
  return { ...noElements, writeMetric: (destination, _epoch, told) => destination > 0 || told !== generation };
}

test("a route is told in the generation before when nobody has proven it in the newest", () => {
  for (const [elements, generation] of [
    [noElements, 303],
    [unprovable(303), 300],
  ] as const) {
    const relay = new Relay(elements);
    relay.hear({});
    relay.begin(303);
    relay.hear({ flags: ENTRY_PROOF, generation: 303 });
    relay.meet();
    expect(relay.told().map((entry) => [entry.flags & ENTRY_KIND, entry.generation])).toEqual([[0, generation]]);
  }
});

test("a generation that cannot be proven at the metric told is not passed on", () => {
  for (const [elements, ids] of [
    [noElements, [0, 1]],
    [unprovable(303), [1]],
  ] as const) {
    const relay = new Relay(elements);
    relay.hear({});
    relay.hear({ bytes: OTHER, id: 6 });
    relay.meet();
    expect(relay.told()).toHaveLength(2);
    relay.begin(303);
    relay.hear({ flags: ENTRY_PROOF, generation: 303 });
    relay.hear({ flags: ENTRY_PROOF, generation: 303, bytes: OTHER, id: 6 });
    const proofs = relay.told().filter((entry) => (entry.flags & ENTRY_KIND) === ENTRY_PROOF);
    expect(proofs.map(({ id }) => id)).toEqual(ids);
  }
});

test.each([
  ["unproven, waits as bad news does", { repair: 1 }, undefined, false],
  ["with a generation from after the loss, is told at once", { repair: 1, generation: 303 }, undefined, true],
  ["and is proven to live by a sign of life, is told then", { repair: 1 }, { flags: ENTRY_LIFE, slot: 302 }, true],
  ["from the origin itself, is told at once", { repair: 1, metric: 0, flags: ENTRY_ORIGIN }, undefined, true],
  ["in a new epoch, is told at once", { epoch: 2 }, undefined, true],
])("what comes back of an origin that may be dead, %s", (_name, back, life, isTold) => {
  const relay = new Relay(noElements);
  relay.hear({});
  relay.meet();
  expect(relay.told()).toHaveLength(1);
  relay.hear({ flags: ENTRY_RETRACTION | ENTRY_ORIGIN });
  expect(relay.told().map(({ flags }) => flags & ENTRY_KIND)).toEqual([ENTRY_RETRACTION]);
  relay.begin(303);
  relay.hear(back);
  if (life !== undefined) relay.hear(life);
  const routes = relay.told().filter(({ flags }) => (flags & ENTRY_KIND) === 0);
  expect(routes).toHaveLength(isTold ? 1 : 0);
});

test.each([
  // Slots that are one more than a multiple of three are of the gear of 90 s. The route is told at the metric 3.
  ["every 15 s", 300, 303, { worse: 1, equal: 1, better: 1, nothing: 1 }],
  ["every 90 s", 301, 319, { worse: 1, equal: 0, better: 0, nothing: 1 }],
])("what is proven %s is proven to whom it is good for", (_name, first, next, proofs) => {
  const announced = { worse: 4, equal: 3, better: 2, nothing: undefined };
  for (const [how, metric] of Object.entries(announced)) {
    const relay = new Relay(noElements);
    relay.begin(first);
    relay.hear({ generation: first });
    relay.meet();
    expect(relay.told()).toMatchObject([{ metric: 3 }]);
    if (metric !== undefined) relay.hear({ generation: first, metric }, 1);
    relay.told();
    relay.begin(next);
    relay.hear({ flags: ENTRY_PROOF, generation: next });
    const told = relay.told().filter((entry) => (entry.flags & ENTRY_KIND) === ENTRY_PROOF);
    expect([how, told.length]).toEqual([how, proofs[how as keyof typeof proofs]]);
  }
});
