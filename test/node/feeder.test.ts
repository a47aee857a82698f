/** A daemon is told what a simulated network's nodes knew, by feeders with the real core. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { NacDictionary } from "../../core/address/dictionary.js";
import { printNac } from "../../core/address/nac.js";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import { identityFromSeeds, networkIdOf } from "../../core/crypto/identity.js";
import { SLOT_MS } from "../../core/link/network-time.js";
import { Stack } from "../../core/stack/stack.js";
import { traceNothing } from "../../core/trace/trace.js";
import { ControlFrame } from "../../core/wire/control-frame.js";
import { Reader, Writer } from "../../core/wire/cursor.js";
import { ENTRY_ORIGIN, emptyRouteEntry, encodeRouteEntry, openRoutes, sealRoutes } from "../../core/wire/routes.js";
import { FeedChains } from "../../node/bench/feed-chains.js";
import { FeedPlayer } from "../../node/bench/feed-player.js";
import { recordFeed } from "../../node/bench/feed-recorder.js";
import { decodeRecording, encodeRecording, type FeedRecording, NO_ROUTE } from "../../node/bench/feed-recording.js";
import { FeedTeller, type Telling } from "../../node/bench/feed-teller.js";
import { Feeder } from "../../node/bench/feeder.js";
import { countTables } from "../../node/bench/table-count.js";
import { directoryOf } from "../../node/config/directory.js";
import { parsePeer } from "../../node/config/endpoint.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import { Daemon } from "../../node/daemon.js";
import { createLog } from "../../node/log.js";
import { insideOf } from "../../sim/fault/stack-inside.js";
import { expand, parseScenario } from "../../sim/scenario/scenario.js";

const NODES = 24;
const DEAD = 3;
const TELLERS = 3;
const NETWORK = "feeder-test";
const SCENARIO = `
name: fed
seed: 1
duration: 22s
nodes: { count: ${NODES}, over: 2s }
topology: { kind: internet }
links:
  default: { latency: 10ms }
timeline:
  - { at: 12s, do: crash, select: { role: private, count: ${DEAD} } }
`;

const base = mkdtempSync(join(tmpdir(), "mariana-feeder-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

let made: FeedRecording | undefined;

/** From their eighth second on. */
function recording(): FeedRecording {
  if (made !== undefined) return made;
  const parsed = parseScenario(SCENARIO, "fed.yaml");
  if (!parsed.ok) throw new Error(parsed.errors.map(({ message }) => message).join("; "));
  const span = { fromUs: 8_000_000, untilUs: 22_000_000 };
  made = recordFeed(expand(parsed.scenario, undefined), { tellers: TELLERS, span, source: "fed" });
  return made;
}

/** By teller and destination, after all rows up to `atMs`. */
function routesAt({ head, ...rows }: FeedRecording, atMs: number): Map<number, number>[] {
  const routes = head.tellers.map(() => new Map<number, number>());
  for (let row = 0; row < rows.atMs.length && rows.atMs[row]! <= atMs; row += 1) {
    routes[rows.teller[row]!]!.set(rows.destination[row]!, rows.metric[row]!);
  }
  for (const all of routes) for (const [node, metric] of all) if (metric === NO_ROUTE) all.delete(node);
  return routes;
}

test("a recording begins with a route to everybody else, and ends without those to the dead", () => {
  const { head } = recording();
  for (const routes of routesAt(recording(), 0)) expect(routes.size).toBe(NODES - 1);
  const atEnd = routesAt(recording(), head.durationMs);
  for (const routes of atEnd) expect(routes.size).toBe(NODES - 1 - DEAD);
  const dead = (routes: Map<number, number>) => [...Array(NODES).keys()].filter((node) => !routes.has(node));
  const lost = head.tellers.map((teller, place) => dead(atEnd[place]!).filter((node) => node !== teller));
  expect(lost).toEqual(head.tellers.map(() => lost[0]));
});

test("a recording reads back as it was written, and what is cut off or changed is none", () => {
  const bytes = encodeRecording(recording());
  expect(decodeRecording(bytes)).toEqual(recording());
  expect(decodeRecording(bytes.subarray(0, bytes.length >> 1))).toBeUndefined();
  expect(decodeRecording(new Uint8Array(40))).toBeUndefined();
  expect(bytes.length).toBeLessThan(20_000);
});

test("a plan with too few public nodes that live throughout is refused", () => {
  const parsed = parseScenario(SCENARIO, "fed.yaml");
  if (!parsed.ok) throw new Error("the scenario is wrong");
  const options = { tellers: NODES, span: { fromUs: 0, untilUs: 1e6 }, source: "" };
  expect(() => recordFeed(expand(parsed.scenario, undefined), options)).toThrow(/public nodes live throughout/);
});

test("a daemon knows what its neighbours knew in the simulation, at their metrics, and forgets whom they forget", async () => {
  const suite = createNativeSuite();
  const log = createLog({ level: "error", unsafe: true, write: () => undefined });
  const chains = new FeedChains(suite, Math.floor(Date.now() / SLOT_MS));
  const feeders: Feeder[] = [];
  let daemon: Daemon | undefined;
  try {
    for (let i = 0; i < TELLERS; i += 1)
      feeders.push(await Feeder.open({ suite, network: NETWORK, nodes: NODES, log, chains }));
    const player = new FeedPlayer(recording(), feeders);
    player.load(Date.now());
    const config = { version: 1, network: { name: NETWORK }, udp: ["127.0.0.1:0"], log: { level: "error" } };
    writeFileSync(join(base, "config.json"), JSON.stringify(config), { mode: 0o600 });
    daemon = await Daemon.start({
      directory: directoryOf(base, {}),
      http: "off",
      socks: "off",
      peers: feeders.map(({ peer }) => parsePeer(peer)!),
      hosts: [],
      rotate: false,
    });
    const told = () => daemon!.routes().filter(({ metric }) => metric > 1); // the feeders themselves are next door
    const expected = (atMs: number) => bestOf(recording(), atMs);
    const { durationMs } = recording().head;

    await until(() => told().length === expected(0).size);
    for (const { nac, metric } of told()) expect(expected(0).get(nac)).toBe(metric);

    player.advance(durationMs);
    expect(player.isOver).toBe(true);
    await until(() => told().length === expected(durationMs).size);
    for (const { nac, metric } of told()) expect(expected(durationMs).get(nac)).toBe(metric);
    const { drops, chains: checked } = daemon.status();
    expect(drops.malformed).toBe(0);
    expect(checked!.verdicts).toMatchObject({ forged: 0, disputed: 0 }); // all that feeders tell is proven
    expect(checked!.verdicts.sound).toBeGreaterThan(NODES);
  } finally {
    await daemon?.stop();
    await Promise.all(feeders.map((feeder) => feeder.close()));
  }
}, 30_000);

test("a player tells each feeder its own rows as if they were of now, and goes on turning when it is held", async () => {
  const told = recording().head.tellers.map((): Telling[] => []);
  let turns = 0;
  const listeners = told.map((all) => ({
    tell(tellings: readonly Telling[]): void {
      turns += 1;
      all.push(...tellings);
    },
  }));
  const player = new FeedPlayer(recording(), listeners);
  expect(() => new FeedPlayer(recording(), [...listeners, ...listeners])).toThrow(RangeError);
  const nowMs = 1_900_000_000_000;
  player.load(nowMs);
  for (const tellings of told) {
    expect(tellings.length).toBe(NODES - TELLERS);
    for (const { slot, epoch } of tellings) {
      expect(nowMs / 5_000 - slot).toBeLessThan(60);
      expect(nowMs / 1_000 - epoch).toBeLessThan(300);
      expect(nowMs / 1_000 - epoch).toBeGreaterThan(0);
    }
  }
  player.start();
  player.hold();
  const before = turns;
  await new Promise((resolve) => setTimeout(resolve, 200));
  player.stop();
  expect(turns).toBeGreaterThan(before);
  expect(player.isOver).toBe(false);
});

test("an origin that is asked for a newer index through its teller gives it, and no later row takes it back", () => {
  const { stack, teller } = worldOf();
  const { routing, table } = insideOf(stack);
  teller.tell(T + 2, [telling(5, 3)]);
  routing.linkUp(T + 3, 7, new Uint8Array(8).fill(9), 1);
  while (routing.pollLink() === 7) routing.pollControl(T + 3, 7, new Writer(new Uint8Array(1_200))); // nobody else does
  const asked = routing.route(table.dictionary.find(NAC))!;
  const request = new Writer(new Uint8Array(64)).u8(9).raw(NAC).u32(asked.epoch).u32(asked.slot).u8(4).u32(0);
  expect(routing.handleFrame(T + 4, 7, ControlFrame.routeRequest, new Reader(request.bytes, 0, request.offset))).toBe(
    true,
  );
  stack.handleTimer(T + 5);
  expect(teller.answer(T + 6)).toBe(1);
  expect(routing.route(table.dictionary.find(NAC))).toMatchObject({ repair: 4, metric: 5 });

  teller.tell(T + 7, [telling(6, 3)]);
  expect(routing.route(table.dictionary.find(NAC))).toMatchObject({ repair: 4, metric: 6 });
  teller.tell(T + 8, [{ ...telling(6, 3), metric: NO_ROUTE }]);
  expect(routing.route(table.dictionary.find(NAC))).toBeUndefined();
});

test("a recorded origin proves that it lives when its time has come, and not before", () => {
  const { stack, teller } = worldOf();
  const { decision, table } = insideOf(stack);
  teller.tell(T + 2, [telling(5, 3)]);
  const proven = () => decision.liveness.lives.generation(table.dictionary.find(NAC));
  const first = proven();
  expect(first).toBeLessThanOrEqual(SLOT);
  expect(first).toBeGreaterThan(SLOT - 3); // of so few nodes, each speaks every three slots
  expect(teller.prove(T + 3, 4_999)).toBe(0);

  const laterUs = T + (first + 3 - SLOT) * 5_000_000;
  stack.handleTimer(laterUs);
  expect(teller.prove(laterUs, 0)).toBe(0); // in the middle of the slot
  expect(teller.prove(laterUs, 4_999)).toBe(1);
  expect(proven()).toBe(first + 3);
  expect(teller.prove(laterUs, 4_999)).toBe(0);
});

test("who doubts that a recorded origin lives is shown it in the slot that was asked for; of the dead nobody hears", () => {
  const { stack, teller } = worldOf();
  const { routing, decision, table } = insideOf(stack);
  teller.tell(T + 2, [telling(5, 3)]);
  routing.linkUp(T + 3, 7, new Uint8Array(8).fill(9), 1);
  const ask = (nowUs: number, life: number) => {
    while (routing.pollLink() === 7) routing.pollControl(nowUs, 7, new Writer(new Uint8Array(1_200)));
    const request = new Writer(new Uint8Array(64)).u8(9).raw(NAC).u32(1_500_000_000).u32(0).u8(0).u32(life);
    routing.handleFrame(nowUs, 7, ControlFrame.routeRequest, new Reader(request.bytes, 0, request.offset));
    routing.pollLink();
  };
  ask(T + 4, SLOT + 1);
  expect(teller.answer(T + 5)).toBe(0); // it has not begun
  stack.handleTimer(T + 5_000_000);
  expect(teller.answer(T + 5_000_001)).toBe(1);
  expect(decision.liveness.lives.proven(table.dictionary.find(NAC))).toBe(SLOT + 1);

  teller.tell(T + 5_000_002, [{ ...telling(5, 3), metric: NO_ROUTE }]);
  ask(T + 9_000_000, SLOT + 2);
  stack.handleTimer(T + 10_000_000);
  expect(teller.answer(T + 10_000_001)).toBe(0);
});

test("of what a real neighbour says, a feeder believes what it says of itself", () => {
  const { stack } = worldOf();
  const { routing, table } = insideOf(stack);
  routing.linkUp(T + 3, 7, new Uint8Array(8).fill(9), 1);
  const other = new Uint8Array(16).fill(0x82);
  const out = new Writer(new Uint8Array(200));
  const start = openRoutes(out, 1);
  const route = { ...emptyRouteEntry(), epoch: 9, slot: SLOT, generation: SLOT & 0xffff };
  encodeRouteEntry(out, { ...route, bytes: NAC, metric: 2, id: 0 });
  encodeRouteEntry(out, { ...route, bytes: other, metric: 0, id: 1, flags: ENTRY_ORIGIN });
  sealRoutes(out, start, 2);
  expect(routing.handleFrame(T + 4, 7, ControlFrame.routes, new Reader(out.bytes, 1, out.offset))).toBe(true);
  expect(routing.route(table.dictionary.find(NAC))).toBeUndefined();
  expect(routing.route(table.dictionary.find(other))).toMatchObject({ nextHop: 7 });
});

test("the bytes of columns are counted while they are in use", () => {
  const allocator = { ...heapAllocator };
  const count = countTables(allocator);
  const column = allocator.u16(10);
  expect(count.bytes).toBe(20);
  allocator.u32(5);
  allocator.release(column);
  expect(count.bytes).toBe(20);
});

const NAC = new Uint8Array(16).fill(0x81);
/** Nothing was said lately. */
const T = 10_000_000;
const SLOT = 300_000_000;

function telling(metric: number, repair: number): Telling {
  return { nac: NAC, metric, epoch: 1_500_000_000, slot: SLOT, repair };
}

/** A stack of its own at slot SLOT, with a teller whose link is up. */
function worldOf(): { readonly stack: Stack; readonly teller: FeedTeller } {
  const suite = createNativeSuite();
  const seed = (length: number) => new Uint8Array(length).fill(3);
  const service = identityFromSeeds(suite, networkIdOf(suite, NETWORK), seed(64), seed(32));
  const nothing = () => undefined;
  const stack = new Stack(
    T,
    {
      networkName: NETWORK,
      service,
      linkKeys: suite.kemKeys(seed(64)),
      storedEpoch: 0,
      wallClockSeconds: SLOT * 5,
    },
    {
      suite,
      entropy: (length) => seed(length),
      random32: () => 0,
      trace: traceNothing,
      allocate: heapAllocator,
      dictionary: new NacDictionary(),
      sink: { transmit: nothing, event: nothing, deliver: nothing, deliverDatagram: nothing, persist: nothing },
    },
  );
  const teller = new FeedTeller(stack, NODES);
  stack.start(T);
  teller.begin(T);
  return { stack, teller };
}

/** What a daemon next door to all tellers knows: the least metric, and its link's cost; by printed NAC. */
function bestOf(feed: FeedRecording, atMs: number): Map<string, number> {
  const best = new Map<string, number>();
  for (const routes of routesAt(feed, atMs)) {
    for (const [node, metric] of routes) {
      if (feed.head.tellers.includes(node)) continue;
      const nac = printNac(feed.nacs.subarray(node * 16, (node + 1) * 16));
      best.set(nac, Math.min(best.get(nac) ?? NO_ROUTE, metric + 1));
    }
  }
  return best;
}

/** Real time: 20 s at most. */
async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 1_000 && !isSo(); i += 1) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(isSo()).toBe(true);
}
