import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { randomFrom } from "../support/random.js";
import type { Port, PortWorld } from "./port.js";
import { OPEN_HOUSE, SimulatedWorld } from "./simulated-world.js";
import { hasIpv6, UdpWorld } from "./udp-world.js";

/** The largest that a stack sends (core/wire): SLOT_BYTES of node/udp.ts. */
const LARGEST_BYTES = 1280;

const WORLDS: readonly (readonly [string, () => PortWorld])[] = [
  ["real UDP on 127.0.0.1", () => new UdpWorld("127.0.0.1")],
  ...((await hasIpv6()) ? [["real UDP on ::1", () => new UdpWorld("::1")] as const] : []),
  ["the simulated internet", () => new SimulatedWorld()],
  ["simulated houses behind NATs", () => new SimulatedWorld(OPEN_HOUSE)],
];

describe.each(WORLDS)("%s", (_, make) => {
  let world: PortWorld;
  let ada: Port;
  let bob: Port;

  beforeEach(async () => {
    world = make();
    ada = await world.open();
    bob = await world.open();
  });

  afterEach(() => world.close());

  async function pathFrom(from: Port, to: Port): Promise<number> {
    return from.pathTo(await world.remoteOf(to));
  }

  test("bytes arrive as they were, each datagram whole and by itself, in whatever order", async () => {
    const random = randomFrom("contract/bytes");
    const path = await pathFrom(ada, bob);
    const sizes = [0, 1, 2, 63, 64, 65, 576, 1200, LARGEST_BYTES - 1, LARGEST_BYTES];
    const sent = [...sizes, ...Array.from({ length: 90 }, () => random.below(LARGEST_BYTES + 1))].map((size, i) => {
      const bytes = random.bytes(size);
      if (size > 1) bytes[0] = i; // no two alike
      return bytes;
    });
    for (const bytes of sent) ada.send(path, bytes, 0, bytes.length);
    await world.settle(() => bob.arrivals.length >= sent.length);
    const texts = (all: readonly Uint8Array[]) => all.map((bytes) => Array.from(bytes).join()).sort();
    expect(texts(bob.arrivals.map(({ bytes }) => bytes))).toEqual(texts(sent));
    expect(ada.arrivals).toEqual([]);
  });

  test("a part of a buffer is sent, and the buffer may be used again as soon as send returned", async () => {
    const path = await pathFrom(ada, bob);
    const buffer = new Uint8Array(16);
    for (let i = 0; i < 20; i += 1) {
      buffer.fill(0xee).fill(i, 5, 8);
      ada.send(path, buffer, 5, 3);
    }
    buffer.fill(0xff);
    await world.settle(() => bob.arrivals.length >= 20);
    const firsts = bob.arrivals.map(({ bytes }) => bytes[0]!).sort((a, b) => a - b);
    expect(firsts).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(bob.arrivals.every(({ bytes }) => bytes.length === 3 && bytes.every((byte) => byte === bytes[0]))).toBe(
      true,
    );
  });

  test("all that a remote sends comes on one path, answers on it reach the remote, and come on its path to us", async () => {
    const toBob = await pathFrom(ada, bob);
    for (let i = 0; i < 5; i += 1) ada.send(toBob, Uint8Array.of(i), 0, 1);
    await world.settle(() => bob.arrivals.length >= 5);
    const paths = new Set(bob.arrivals.map(({ path }) => path));
    expect(bob.arrivals).toHaveLength(5);
    expect(paths.size).toBe(1);
    const [toAda] = [...paths];
    for (let i = 0; i < 5; i += 1) bob.send(toAda!, Uint8Array.of(i), 0, 1);
    await world.settle(() => ada.arrivals.length >= 5);
    expect(ada.arrivals.map(({ path }) => path)).toEqual([toBob, toBob, toBob, toBob, toBob]);
    expect(await pathFrom(ada, bob)).toBe(toBob);
  });

  test("each remote has a path of its own", async () => {
    const cyd = await world.open();
    expect(await pathFrom(cyd, ada)).not.toBe(await pathFrom(cyd, bob));
    ada.send(await pathFrom(ada, cyd), Uint8Array.of(1), 0, 1);
    bob.send(await pathFrom(bob, cyd), Uint8Array.of(2), 0, 1);
    await world.settle(() => cyd.arrivals.length >= 2);
    const pathOf = (byte: number) => cyd.arrivals.find(({ bytes }) => bytes[0] === byte)!.path;
    expect(pathOf(1)).not.toBe(pathOf(2));
    cyd.send(pathOf(1), Uint8Array.of(3), 0, 1);
    await world.settle(() => ada.arrivals.length >= 1);
    expect(ada.arrivals.map(({ bytes }) => bytes[0])).toEqual([3]);
    expect(bob.arrivals).toEqual([]);
  });

  test("too large is the caller's mistake, said at once, and nothing is sent", async () => {
    const path = await pathFrom(ada, bob);
    expect(() => ada.send(path, new Uint8Array(70_000), 0, 70_000)).toThrow(RangeError);
    ada.send(path, Uint8Array.of(1), 0, 1);
    await world.settle(() => bob.arrivals.length >= 1);
    expect(bob.arrivals.map(({ bytes }) => bytes.length)).toEqual([1]);
  });

  test("what is sent to nobody is gone without a word, and does not keep others from being reached", async () => {
    for (let n = 0; n < 20; n += 1) ada.send(ada.pathTo(world.nobody(n)), Uint8Array.of(n), 0, 1);
    ada.send(await pathFrom(ada, bob), Uint8Array.of(77), 0, 1);
    await world.settle(() => bob.arrivals.length >= 1);
    expect(bob.arrivals.map(({ bytes }) => bytes[0])).toEqual([77]);
    expect(ada.arrivals).toEqual([]);
  });

  test("paths are as many as the bound; then the oldest that nobody uses is another's, and one in use never", async () => {
    const paths = Array.from({ length: world.pathsMax }, (_, n) => ada.pathTo(world.nobody(n)));
    expect(new Set(paths).size).toBe(world.pathsMax);
    ada.isPathInUse = (path) => path === paths[0];
    for (let n = 0; n < 100; n += 1) {
      const path = ada.pathTo(world.nobody(world.pathsMax + n));
      expect(path).toBe(paths[n + 1]);
    }
    expect(ada.pathTo(world.nobody(0))).toBe(paths[0]);
    expect(ada.pathTo(world.nobody(200))).toBe(paths[200]);
    expect(ada.pathsFull).toBe(0);
  });

  test("a remote that was answered keeps its path through a flood of strangers", async () => {
    const answered = ada.pathTo(world.nobody(0));
    ada.send(answered, Uint8Array.of(1), 0, 1);
    // Not a whole number of turns of the clock hand, which would come by at the right place by chance.
    for (let n = 1; n < world.pathsMax * 3 + 77; n += 1) ada.pathTo(world.nobody(n));
    expect(ada.pathTo(world.nobody(0))).toBe(answered);
  });

  test("while every path is in use a stranger has none, and is counted; whoever has one is still reached", async () => {
    const toBob = await pathFrom(ada, bob);
    for (let n = 0; n < world.pathsMax - 1; n += 1) ada.pathTo(world.nobody(n));
    ada.isPathInUse = () => true;
    expect(ada.pathTo(world.nobody(world.pathsMax))).toBe(-1);
    expect(ada.pathsFull).toBe(1);
    const cyd = await world.open();
    cyd.send(await pathFrom(cyd, ada), Uint8Array.of(9), 0, 1);
    await world.settle(() => ada.pathsFull >= 2);
    expect(ada.arrivals).toEqual([]);
    expect(ada.pathsFull).toBe(2);
    ada.send(toBob, Uint8Array.of(5), 0, 1);
    await world.settle(() => bob.arrivals.length >= 1);
    expect(bob.arrivals.map(({ bytes }) => bytes[0])).toEqual([5]);
  });
});
