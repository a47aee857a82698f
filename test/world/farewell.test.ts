/** A node that ends in good order: its visitors hear of it at once, whatever the cables lose. */
import { expect, test } from "vitest";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { EndCode } from "../../core/wire/cell.js";
import { type Cable, StackWorld, type WorldNode } from "../support/stack-world.js";

const names = ["ada", "bob", "cyd", "dan"] as const;

/** ada has `streams` open streams to dan, and has heard a word on each. */
function visited(seed: string, streams: number, cable: Cable = {}) {
  const world = new StackWorld({ seed }).line(...names);
  const isSettled = () => names.every((name) => world.node(name).stack.status().routes >= names.length - 1);
  expect(world.run(5 * SECOND_US, isSettled), seed).toBe(true);
  const [ada, dan] = [world.node("ada"), world.node("dan")];
  const held: number[] = [];
  dan.onEvent = (event) => {
    if (event.kind !== "streamOpened") return;
    held.push(event.stream);
    dan.stack.acceptStream(world.nowUs, event.stream);
    dan.stack.write(world.nowUs, event.stream, Uint8Array.of(1));
  };
  const opened = Array.from({ length: streams }, () => ada.stack.openStream(world.nowUs, dan.nac, 80));
  expect(
    world.run(5 * SECOND_US, () => ada.received.size === streams),
    seed,
  ).toBe(true);
  for (const node of world.nodes.values()) for (const socket of node.sockets) Object.assign(socket, { cable });
  return { world, ada, dan, held, opened };
}

/** What a shell does: breaks its streams, departs, shuts down when its sessions are gone. Answers how long it took. */
function leave(world: StackWorld, node: WorldNode, held: readonly number[]): number {
  const startUs = world.nowUs;
  for (const stream of held) node.stack.reset(world.nowUs, stream, EndCode.cancelled);
  node.stack.depart(world.nowUs);
  expect(world.run(300 * MILLISECOND_US, () => node.stack.status().sessions === 0)).toBe(true);
  node.stack.shutdown(world.nowUs);
  const tookUs = world.nowUs - startUs;
  world.kill(node.name);
  return tookUs;
}

const brokenAt = (node: WorldNode): number => node.events.filter((event) => event.kind === "streamReset").length;

test("every stream of a visitor ends with a reset within a second of a graceful stop, with a tenth lost on each cable", () => {
  for (let run = 0; run < 10; run += 1) {
    const seed = `farewell-${run}`;
    const { world, ada, dan, held, opened } = visited(seed, 3, { delayUs: 2 * MILLISECOND_US, loss: 0.1 });

    const tookUs = leave(world, dan, held);

    const isTold = world.run(SECOND_US - tookUs, () => brokenAt(ada) === opened.length);
    expect(isTold, `a visitor was not told; seed ${seed}`).toBe(true);
  }
});

test("without loss a node that leaves waits for one report and no longer, and says CLOSE once", () => {
  const { world, ada, dan, held, opened } = visited("farewell-quick", 3);

  const tookUs = leave(world, dan, held);

  expect(tookUs).toBeLessThan(100 * MILLISECOND_US);
  world.run(100 * MILLISECOND_US);
  expect(brokenAt(ada)).toBe(opened.length);
  expect(ada.stack.status().sessions).toBe(0);
});

test("a node without open streams leaves without any wait", () => {
  const { world, ada, dan, held, opened } = visited("farewell-idle", 1);
  ada.stack.reset(world.nowUs, opened[0]!, EndCode.cancelled);
  world.run(SECOND_US);

  expect(leave(world, dan, held)).toBe(0);
  expect(world.run(100 * MILLISECOND_US, () => ada.stack.status().sessions === 0)).toBe(true);
});

test("a burst that takes the first hundred milliseconds of a farewell takes nobody's reset", () => {
  const { world, ada, dan, held, opened } = visited("farewell-burst", 3);
  const untilUs = world.nowUs + 100 * MILLISECOND_US;
  world.carries = (from) => from !== "dan" || world.nowUs >= untilUs;

  leave(world, dan, held);

  expect(world.run(500 * MILLISECOND_US, () => brokenAt(ada) === opened.length)).toBe(true);
});

test("a visitor whose reports are lost still hears CLOSE, although the window for resets is full", () => {
  const { world, ada, dan, held, opened } = visited("farewell-window", 3);
  world.block("ada", "bob");
  for (const stream of held) dan.stack.write(world.nowUs, stream, world.random.bytes(60_000));
  world.run(20 * MILLISECOND_US);

  leave(world, dan, held);

  expect(world.run(500 * MILLISECOND_US, () => brokenAt(ada) === opened.length)).toBe(true);
});
