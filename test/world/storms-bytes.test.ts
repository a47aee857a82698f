import { expect, test } from "vitest";
import { CONTROL_BYTES_PER_10S } from "../../core/routing/control-budget.js";
import type { Decision } from "../../core/routing/decision.js";
import type { RouteTable } from "../../core/routing/route-table.js";
import type { Routing } from "../../core/routing/routing.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { LINK_DATAGRAM_BYTES } from "../../core/wire/control-frame.js";
import { encodeNetworkHeader, NAC_OFFSET } from "../../core/wire/network-header.js";
import { RECORD_HEADER_BYTES } from "../../core/wire/record.js";
import { StackWorld } from "../support/stack-world.js";

const NACS = 1_500;

function routingOf(world: StackWorld, name: string): Routing {
  return world.node(name).inside.plane.routing as unknown as Routing;
}

/**
 * mallory is the origin of so many NACs, which go through a new epoch each second, and keeps to no budget. Where `look` is called
 * after each second all prove every 15 s that they live.
 */
function stormed(seconds: number, look?: (world: StackWorld) => void) {
  const world = new StackWorld({
    seed: "bytes",
    makeStack: (make, _name, nowUs, config, ...given) =>
      make(nowUs, { ...config, isStrict: look !== undefined }, ...given),
  });
  world.wire("mallory", "bob").wire("ada", "bob").wire("eve", "ada");
  world.run(5 * SECOND_US);
  const mallory = world.node("mallory");
  const { dictionary } = mallory.inside.ports;
  const routing = routingOf(world, "mallory");
  const destinations = Array.from({ length: NACS }, () => dictionary.intern(world.random.bytes(16)));
  for (const { budget } of (routing as unknown as { table: RouteTable }).table.neighbours) budget.opensUs = () => 0;
  world.isRecording = true;
  for (let second = 0; second < seconds; second += 1) {
    for (const destination of destinations) routing.originate(world.nowUs, destination, 1_000 + second);
    mallory.stack.handleTimer(world.nowUs);
    world.run(SECOND_US);
    look?.(world);
  }
  return world;
}

/** The most bytes of any ten seconds, by whole seconds. */
function fullest(world: StackWorld, from: string, to: string): number {
  const perSecond: number[] = [];
  for (const { atUs, bytes } of world.seen.filter((one) => one.from === from && one.to === to)) {
    const second = Math.floor(atUs / SECOND_US);
    perSecond[second] = (perSecond[second] ?? 0) + bytes.length;
  }
  let most = 0;
  for (let i = 0; i < perSecond.length; i += 1) {
    most = Math.max(
      most,
      perSecond.slice(i, i + 10).reduce((sum, bytes) => sum + (bytes ?? 0), 0),
    );
  }
  return most;
}

test("a neighbour that sends five times what it may makes us send no more than 16 KB/s to another, and hellos come through", () => {
  const world = stormed(15);

  expect(fullest(world, "mallory", "bob")).toBeGreaterThan(4 * CONTROL_BYTES_PER_10S);
  expect(fullest(world, "bob", "ada")).toBeGreaterThan(CONTROL_BYTES_PER_10S / 2); // so the bound was needed
  expect(fullest(world, "bob", "ada")).toBeLessThanOrEqual(CONTROL_BYTES_PER_10S);
  expect(fullest(world, "ada", "eve")).toBeLessThanOrEqual(CONTROL_BYTES_PER_10S);
  for (const name of ["bob", "ada", "eve"]) {
    const { events, stack } = world.node(name);
    expect(events.filter(({ kind }) => kind === "linkDown")).toEqual([]);
    expect(stack.status().caps.controlBytes!.peak).toBeLessThanOrEqual(CONTROL_BYTES_PER_10S);
    for (const peer of stack.peers(world.nowUs)) expect(peer.lossPerMille).toBe(0);
  }
  expect(world.node("bob").stack.status().caps.controlBytes!.peak).toBeGreaterThan(CONTROL_BYTES_PER_10S / 2);
});

test("while news fills the budget a loss is told at once", () => {
  const world = stormed(15);
  const ada = routingOf(world, "ada");
  const { dictionary } = world.node("ada").inside.ports;
  const known = Array.from({ length: ada.count }, (_, i) => i).find(
    (destination) =>
      ada.epochOf(destination) >= 1_000 && ada.epochOf(destination) < 2_000 && ada.nextHop(destination) >= 0,
  )!;
  const nac = dictionary.bytesOf(known);
  const mallory = world.node("mallory");
  routingOf(world, "mallory").withdraw(world.nowUs, mallory.inside.ports.dictionary.find(nac));
  mallory.stack.handleTimer(world.nowUs);

  expect(world.run(SECOND_US, () => ada.nextHop(known) < 0)).toBe(true);
});

test("while news fills the budget the living are proven all the same", () => {
  const heard: number[] = [];
  stormed(40, (world) => {
    const { nac } = world.node("bob");
    const [own, told] = ["bob", "ada"].map((name) => {
      const { lives } = (routingOf(world, name) as unknown as { decision: Decision }).decision.liveness;
      return lives.generation(world.node(name).inside.ports.dictionary.find(nac));
    });
    heard.push(own! - told!);
  });
  expect(heard.filter((slots) => slots > 0).length).toBeLessThan(3);
});

test("a link that carries much for others may tell more: two per cent of that", () => {
  const world = new StackWorld({ seed: "carried" }).wire("ada", "bob").wire("bob", "cyd");
  world.run(5 * SECOND_US);
  const bob = world.node("bob");
  const link = bob.linkTo("cyd");
  const { byLink } = (routingOf(world, "bob") as unknown as { table: RouteTable }).table;
  const packet = new Uint8Array(LINK_DATAGRAM_BYTES);
  const spend = () => {
    const before = byLink[link]!.budget.opensUs(0);
    byLink[link]!.budget.charge(world.nowUs, 10_000);
    return byLink[link]!.budget.opensUs(0) - Math.max(before, world.nowUs);
  };
  const poor = spend();
  for (let ms = 0; ms < 22_000; ms += 10) {
    for (let i = 0; i < 20; i += 1) {
      encodeNetworkHeader(packet, RECORD_HEADER_BYTES, 2, 0); // it was sealed in place
      packet.set(world.node("cyd").nac, RECORD_HEADER_BYTES + NAC_OFFSET);
      bob.inside.links.forward(link, packet, 0);
    }
    world.run(SECOND_US / 100);
  }

  expect(poor).toBe(800_000);
  expect(spend()).toBeLessThan(poor / 2); // 2.4 MB/s are carried: 48 KB/s may be said
  expect(spend()).toBeGreaterThan(poor / 4);
});

test("a neighbour that probes a thousand times a second is answered eight times a second", () => {
  const world = new StackWorld({ seed: "probes" }).wire("mallory", "bob");
  world.run(5 * SECOND_US);
  const mallory = world.node("mallory");
  const sender = (mallory.inside.links as unknown as { sender: { sendHello(nowUs: number, link: unknown): void } })
    .sender;
  const link = [
    ...(mallory.inside.links as unknown as { links: Iterable<{ neighbour: { doubt(nowUs: number): void } }> }).links,
  ][0]!;
  world.isRecording = true;
  for (let i = 0; i < 5_000; i += 1) {
    link.neighbour.doubt(world.nowUs);
    sender.sendHello(world.nowUs, link);
    world.run(1_000);
  }

  const answers = world.seen.filter(({ from }) => from === "bob");
  expect(answers.length).toBeLessThanOrEqual(16 + 5 * 8 + 5);
  expect(answers.length).toBeGreaterThan(16);
});

test("who is told a large table over a long link that loses some of it hears of a loss within a second all the while", () => {
  const world = new StackWorld({ seed: "newcomer" }).wire("ada", "bob");
  world.run(5 * SECOND_US);
  const [ada, bob] = [routingOf(world, "ada"), routingOf(world, "bob")];
  for (const { budget } of (ada as unknown as { table: RouteTable }).table.neighbours) budget.opensUs = () => 0;
  const { dictionary } = world.node("ada").inside.ports;
  const destinations = Array.from({ length: 4_000 }, () => dictionary.intern(world.random.bytes(16)));
  for (const destination of destinations) ada.originate(world.nowUs, destination, 1_000);
  world.node("ada").stack.handleTimer(world.nowUs);
  expect(world.run(60 * SECOND_US, () => bob.count > destinations.length)).toBe(true);
  world.run(20 * SECOND_US);

  world.wire("bob", "eve", { delayUs: 75 * MILLISECOND_US, loss: 0.02 });
  const eve = routingOf(world, "eve");
  const isThere = (name: string, destination: number): boolean => {
    const known = world.node(name).inside.ports.dictionary.find(dictionary.bytesOf(destination));
    return known >= 0 && routingOf(world, name).nextHop(known) >= 0;
  };
  const beganUs = world.nowUs;
  const delaysUs: number[] = [];
  while (eve.count < bob.count - 1) {
    world.run(200 * MILLISECOND_US);
    const told = destinations.find((destination) => isThere("eve", destination));
    if (told === undefined) continue;
    ada.withdraw(world.nowUs, told);
    world.node("ada").stack.handleTimer(world.nowUs);
    world.run(SECOND_US, () => !isThere("bob", told));
    const lostUs = world.nowUs;
    expect(world.run(30 * SECOND_US, () => !isThere("eve", told))).toBe(true);
    delaysUs.push(world.nowUs - lostUs);
  }

  expect(delaysUs.length).toBeGreaterThan(2);
  expect(Math.max(...delaysUs)).toBeLessThan(SECOND_US);
  expect(world.nowUs - beganUs).toBeLessThan(5 * SECOND_US);
});
