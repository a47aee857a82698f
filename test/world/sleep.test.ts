import { expect, test } from "vitest";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { StackWorld, type WorldNode } from "../support/stack-world.js";

const NAMES = ["ada", "bob", "cyd", "dan", "eve", "fay"];
const CABLE = { delayUs: 10 * MILLISECOND_US, jitterUs: 5 * MILLISECOND_US };
const SLEEPS: readonly [string, number][] = [
  ["30 seconds", 30 * SECOND_US],
  ["10 minutes", 600 * SECOND_US],
  ["8 hours", 8 * 3600 * SECOND_US],
];
/** After a sleep all links are back, and all routes right, within this time. */
const BACK_US = 3 * SECOND_US;

/** A ring of six with one cable across it. Some links are dialled by one end, some by the other, some by both. */
function ring(seed: string): { world: StackWorld; nodes: WorldNode[] } {
  const world = new StackWorld({ seed });
  for (const [i, name] of NAMES.entries()) {
    const next = NAMES[(i + 1) % NAMES.length]!;
    world.wire(name, next, CABLE);
    if (i % 2 === 0) world.dial(next, name);
  }
  world.wire("ada", "dan", CABLE);
  world.run(20 * SECOND_US);
  return { world, nodes: NAMES.map((name) => world.node(name)) };
}

/** Who lost a link to whom, since `from`. */
function downs(nodes: readonly WorldNode[], from: readonly number[]): string[] {
  return nodes.flatMap((node, i) =>
    node.events.slice(from[i]).flatMap((event) => {
      return event.kind === "linkDown" ? [`${node.name}-${node.sockets[event.path]!.peer.name}`] : [];
    }),
  );
}

/** Each cable carries a link, and each node has a route to each other one. */
function isWhole(world: StackWorld, nodes: readonly WorldNode[]): boolean {
  return nodes.every((node) => {
    const paths = new Set(node.stack.peers(world.nowUs).map(({ path }) => path));
    const known = new Set(node.stack.routes().map(({ nac }) => Buffer.from(nac).toString("hex")));
    const others = nodes.filter((one) => one !== node);
    const knowsAll = others.every((one) => known.has(Buffer.from(one.nac).toString("hex")));
    return knowsAll && paths.size === node.sockets.length;
  });
}

test.each(SLEEPS)("a node that slept for %s has its links and routes back within three seconds", (_name, asleepUs) => {
  for (const sleeper of ["ada", "bob"]) {
    const { world, nodes } = ring(`sleep-${sleeper}-${asleepUs}`);
    const from = nodes.map((node) => node.events.length);
    const node = world.node(sleeper);
    world.kill(sleeper); // it hears nothing and its timers stand still
    if (asleepUs > 3600 * SECOND_US) {
      world.run(60 * SECOND_US);
      world.nowUs += asleepUs - 120 * SECOND_US; // the others sleep through most of it too: eight hours of hellos say nothing new
      world.run(60 * SECOND_US);
    } else world.run(asleepUs);
    const others = nodes.filter((one) => one !== node);
    const lost = downs(
      others,
      others.map((one) => from[nodes.indexOf(one)]!),
    );
    expect(lost.filter((link) => !link.endsWith(`-${sleeper}`))).toEqual([]); // nobody blames anybody else
    expect(lost.length).toBe(node.sockets.length);
    const awakeFrom = nodes.map((one) => one.events.length);

    node.isAlive = true;

    expect(world.run(BACK_US, () => isWhole(world, nodes))).toBe(true);
    world.run(30 * SECOND_US);
    expect(isWhole(world, nodes)).toBe(true);
    const after = downs(nodes, awakeFrom);
    expect(after.filter((link) => !link.includes(sleeper))).toEqual([]);
    expect(after.filter((link) => link.startsWith(sleeper)).length).toBeLessThanOrEqual(2 * node.sockets.length);
    for (const one of nodes) expect(one.stack.status().neighbours).toBe(one.sockets.length);
  }
});

test.each(SLEEPS)(
  "when all machines sleep for %s at once, no link is given up and every route stays",
  (_name, asleepUs) => {
    const { world, nodes } = ring(`all-${asleepUs}`);
    const from = nodes.map((node) => node.events.length);

    world.nowUs += asleepUs;
    world.run(60 * SECOND_US);

    expect(downs(nodes, from)).toEqual([]);
    expect(isWhole(world, nodes)).toBe(true);
  },
);

test("a node whose event loop stood still for 2 seconds or less loses nothing", () => {
  for (const pause of ["900/oak", "1500/oak", "1500/elm", "1500/fir", "2000/oak", "2000/elm", "2000/fir", "2000/yew"]) {
    const lagMs = Number.parseInt(pause, 10);
    const { world, nodes } = ring(pause);
    const from = nodes.map((node) => node.events.length);
    const cyd = world.node("cyd");
    for (let i = 0; i < 5; i += 1) {
      world.kill("cyd");
      world.run(lagMs * MILLISECOND_US);
      cyd.isAlive = true;
      world.run(7 * SECOND_US);
    }
    expect(downs(nodes, from), pause).toEqual([]);
    expect(isWhole(world, nodes), pause).toBe(true);
  }
});

test("a node that lagged waits longer for a neighbour that died meanwhile, but not for ever", () => {
  const { world } = ring("both");
  const ada = world.node("ada");
  world.kill("bob");
  world.kill("ada");
  world.run(4 * SECOND_US);
  ada.isAlive = true;
  const awakeUs = world.nowUs;
  const from = ada.events.length;
  const isLost = () => downs([ada], [from]).includes("ada-bob");

  expect(world.run(20 * SECOND_US, isLost)).toBe(true);
  expect(world.nowUs - awakeUs).toBeGreaterThan(6 * SECOND_US);
  expect(world.nowUs - awakeUs).toBeLessThanOrEqual(12 * SECOND_US);
});

test("a neighbour that says hello and processes nothing is left after ten seconds, and traffic takes the other way", () => {
  const world = new StackWorld({ seed: "stalled" })
    .wire("ada", "bob")
    .wire("bob", "cyd")
    .wire("ada", "eve")
    .wire("eve", "cyd");
  world.run(10 * SECOND_US);
  const [ada, bob, cyd] = [world.node("ada"), world.node("bob"), world.node("cyd")];
  const routing = bob.inside.plane.routing as unknown as {
    handleFrame: () => boolean;
    controlProcessed: () => number;
  };
  routing.handleFrame = () => true; // hellos go on; what they carry beside is not looked at
  routing.controlProcessed = () => 0;
  const stalledUs = world.nowUs;
  world.wire("cyd", "fay"); // news, which bob ought to process
  const reasons = (node: WorldNode) =>
    node.events.flatMap((event) => (event.kind === "linkDown" ? [event.reason] : []));

  expect(world.run(20 * SECOND_US, () => reasons(ada).includes("stalled") && reasons(cyd).includes("stalled"))).toBe(
    true,
  );
  expect(world.nowUs - stalledUs).toBeGreaterThan(9 * SECOND_US);
  expect(world.nowUs - stalledUs).toBeLessThan(14 * SECOND_US);
  const fay = world.node("fay");
  ada.stack.ping(world.nowUs, fay.nac, 7);
  expect(world.run(3 * SECOND_US, () => ada.events.some((event) => event.kind === "pong" && event.id === 7))).toBe(
    true,
  );
});

test.each(["ada", "cyd"])(
  "after %s stood still for a while with a stream open, requests are served at once",
  (sleeper) => {
    const world = new StackWorld({ seed: `session-${sleeper}` }).line("ada", "bob", "cyd");
    world.run(5 * SECOND_US);
    const [ada, cyd] = [world.node("ada"), world.node("cyd")];
    cyd.onEvent = (event) => {
      if (event.kind === "streamOpened") cyd.stack.acceptStream(world.nowUs, event.stream);
    };
    const isAccepted = (stream: number) =>
      ada.events.some((event) => event.kind === "streamAccepted" && event.stream === stream);
    for (const asleepUs of [12, 25, 28, 30, 31, 45, 90].map((seconds) => seconds * SECOND_US)) {
      const before = ada.stack.openStream(world.nowUs, cyd.nac, 80);
      expect(world.run(5 * SECOND_US, () => isAccepted(before))).toBe(true);
      world.freeze(sleeper);
      world.run(asleepUs);
      world.thaw(sleeper);
      ada.stack.finish(world.nowUs, before); // as a shell does on waking with a stream that it kept for too long
      ada.stack.reset(world.nowUs, before, 3);
      world.run(100 * MILLISECOND_US);

      const after = ada.stack.openStream(world.nowUs, cyd.nac, 80);

      expect(world.run(BACK_US + SECOND_US, () => isAccepted(after))).toBe(true);
      world.run(60 * SECOND_US); // sooner the link would be held back as one that flaps
    }
  },
);
