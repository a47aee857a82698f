import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CapsWatch } from "../../sim/oracle/caps-watch.js";
import { LiveGraph } from "../../sim/oracle/live-graph.js";
import { sampleOf } from "../../sim/oracle/samples.js";
import { ShortestPaths } from "../../sim/oracle/shortest-paths.js";
import { metricsOf } from "../../sim/report/metrics.js";
import { CensusWorld } from "../support/census-world.js";

const OPEN = { isAwake: () => true, isOpen: () => true };

describe("shortest paths", () => {
  const link = fc.record({
    a: fc.nat(19),
    b: fc.nat(19),
    there: fc.integer({ min: 1, max: 4 }),
    back: fc.integer({ min: 1, max: 4 }),
  });

  test("are those that trying every link again and again finds, whatever the graph and its one-way costs", () => {
    fc.assert(
      fc.property(
        fc.array(link, { maxLength: 60 }),
        fc.uniqueArray(fc.nat(19), { minLength: 1, maxLength: 20 }),
        (links, to) => {
          const world = new CensusWorld(20);
          const edges = links.filter(({ a, b }) => a !== b);
          for (const { a, b, there, back } of edges) world.link(a, b, there, true).link(b, a, back, true);
          const graph = new LiveGraph(20);
          const paths = new ShortestPaths(20);
          for (let round = 0; round < 2; round += 1) {
            graph.build(world.census, OPEN);
            paths.search(graph, to, to.length); // nothing of a search is left for the next
          }
          const found = to.map((_, k) => Array.from(paths.distance.subarray(k * 20, k * 20 + 20)));
          expect(found).toEqual(to.map((destination) => relaxed(destination, edges)));
        },
      ),
    );
  });

  test("end where no route could be held: at metric 64", () => {
    const world = new CensusWorld(70).line();
    const graph = new LiveGraph(70);
    const paths = new ShortestPaths(70);
    graph.build(world.census, OPEN);
    paths.search(graph, [0], 1);
    expect(Array.from(paths.distance.subarray(62, 66))).toEqual([62, 63, 255, 255]);
  });

  function relaxed(destination: number, links: readonly { a: number; b: number; there: number; back: number }[]) {
    const distance: number[] = Array.from({ length: 20 }, (_, node) => (node === destination ? 0 : 255));
    for (let round = 0; round < 20; round += 1) {
      for (const { a, b, there, back } of links) {
        if (distance[b]! < 255) distance[a] = Math.min(distance[a]!, distance[b]! + there);
        if (distance[a]! < 255) distance[b] = Math.min(distance[b]!, distance[a]! + back);
      }
    }
    return distance.map((cost) => (cost >= 64 ? 255 : cost));
  }
});

describe("the live graph", () => {
  test("has links that both ends have up, between nodes that live, awake and not cut off", () => {
    const world = new CensusWorld(6).link(0, 1).link(1, 2, 1, true).link(2, 3).link(3, 4).link(4, 5);
    world.end(5);
    const graph = new LiveGraph(6);
    graph.build(world.census, { isAwake: () => true, isOpen: (a, b) => a + b !== 5 });
    expect([0, 1, 2, 3, 4, 5].map((node) => graph.degreeOf(node))).toEqual([1, 1, 0, 1, 1, 0]);
    expect(graph.component[0]).toBe(graph.component[1]);
    expect(graph.component[0]).not.toBe(graph.component[3]);
    expect(graph.component[5]).toBe(-1);
  });
});

describe("the sample of a second", () => {
  test("is 64 different nodes, others in another second", () => {
    const first = sampleOf(7, 1, 5_000);
    expect(new Set(first).size).toBe(64);
    expect(sampleOf(7, 1, 5_000)).toEqual(first);
    expect(sampleOf(7, 2, 5_000)).not.toEqual(first);
    expect(sampleOf(7, 1, 10)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});

describe("the oracle of loops", () => {
  const circle = () => new CensusWorld(4).line().route(1, 3, 2).route(2, 3, 1);

  test("sees packets go round, and names the circle", () => {
    expect(circle().until(1)).toMatchObject({
      oracle: "loop",
      nodes: [3, 1, 2],
      text: expect.stringContaining("1 > 2 > 1"),
    });
  });

  test("sees a circle that lasted for one window only", () => {
    const world = circle();
    world.nowUs = 5_000;
    world.observatory.handleWindow(5_000);
    world.route(2, 3, 3);
    expect(world.until(1)).toMatchObject({ oracle: "loop", atUs: 5_000 });
    expect(world.finish().loops).toBeGreaterThan(0);
  });

  test("says nothing of a line, nor of routes that end at nobody", () => {
    expect(new CensusWorld(4).line().unroute(2, 3).until(3)).toBeUndefined();
  });

  test("says nothing of a circle through a liar", () => {
    const world = new CensusWorld(4, [["byzantine", 0, 1, "metric"]]).line().route(1, 3, 2).route(2, 3, 1);
    expect(world.until(3)).toBeUndefined();
  });

  test("says nothing of a hop over a session with an earlier life of the peer", () => {
    const world = new CensusWorld(4).line();
    world.until(2);
    world.end(2).start(2).link(2, 1, 1, true).route(2, 3, 1); // node 1 still holds the session with the node 2 that was
    expect(world.until(3)).toBeUndefined();
  });
});

describe("the oracle of ghosts", () => {
  const dead = (deeds: ConstructorParameters<typeof CensusWorld>[1] = []) => {
    const world = new CensusWorld(4, [...deeds, ["crash", 10, 3]]).line();
    world.until(10);
    return world.end(3).unroute(1, 3).unroute(2, 3);
  };

  test("sees a route to a node that is dead for more than a minute", () => {
    expect(dead().until(71)).toMatchObject({ oracle: "ghost", atUs: 71e6, nodes: [3, 0] });
  });

  test("lets a route be that goes within the minute", () => {
    const world = dead();
    expect(world.until(70)).toBeUndefined();
    expect(world.unroute(0, 3).until(90)).toBeUndefined();
    expect(metricsOf(world.finish()).ghosts).toBe(0);
  });

  test("lets a node be that stands still, until a minute after it goes on", () => {
    const world = dead([
      ["pause", 9, 0],
      ["resume", 100, 0],
    ]);
    expect(world.until(160)).toBeUndefined();
    expect(world.until(170)).toMatchObject({ oracle: "ghost" });
  });

  test("counts whom liars keep from the news as eclipsed", () => {
    // 0 - 1 - 2 - 3, where 1 lies: 0 can hear of the end of 3 from nobody else.
    const world = dead([["byzantine", 5, 1, "ghost"]]);
    expect(world.until(80)).toBeUndefined();
    expect(metricsOf(world.finish())).toMatchObject({ eclipsed: 1, ghosts: 0, removal: { count: 1, max: 0 } });
  });
});

describe("removals", () => {
  test("last from the crash until the last live node has lost the route", () => {
    const world = new CensusWorld(4, [["crash", 10, 3]]).line();
    world.until(10);
    world.end(3).unroute(2, 3);
    world.until(14);
    world.nowUs = 14_250_000;
    world.unroute(1, 3).unroute(0, 3).until(100);
    expect(metricsOf(world.finish()).removal).toEqual({ count: 1, censored: 0, p50: 4.25, p99: 4.25, max: 4.25 });
  });

  test("are censored by a return before that, and in the last minute", () => {
    const world = new CensusWorld(4, [["crash", 10, 3]]).line();
    world.until(10);
    world.end(3);
    world.until(12);
    world.start(3);
    world.until(50);
    world.end(3).unroute(0, 3).unroute(1, 3).unroute(2, 3);
    world.until(60);
    expect(metricsOf(world.finish()).removal).toEqual({ count: 0, censored: 2, p50: null, p99: null, max: null });
  });

  test("do not count those who leave in good order", () => {
    const world = new CensusWorld(4).line();
    world.until(10);
    world.end(3, "leave").unroute(0, 3).unroute(1, 3).unroute(2, 3).until(100);
    expect(metricsOf(world.finish()).crashes).toBe(0);
  });
});

describe("joins", () => {
  function joining() {
    const world = new CensusWorld(5, [], { warmupUs: 1e6 });
    world.link(0, 1).link(1, 2).link(2, 3);
    world.until(2);
    world.nowUs = 2_100_000;
    return world.link(3, 4);
  }

  test("last from the first link until 99 % of those with a path have a route", () => {
    const world = joining();
    for (const node of [0, 1, 2, 3]) {
      world.nowUs += 100_000;
      world.route(node, 4, node + 1);
      world.observatory.handleWindow(world.nowUs);
    }
    expect(metricsOf(world.finish()).join).toEqual({ count: 1, censored: 0, p50: 0.4, p99: 0.4, max: 0.4 });
  });

  test("that are not done count with their age after ten seconds, and are censored before", () => {
    const world = joining();
    world.until(5);
    world.end(4);
    expect(metricsOf(world.finish()).join).toMatchObject({ count: 0, censored: 1 });
    const slow = joining();
    slow.until(15);
    expect(metricsOf(slow.finish()).join).toMatchObject({ count: 1, censored: 0, max: 12.9 });
  });
});

describe("when all has been quiet", () => {
  test("right tables pass", () => {
    expect(new CensusWorld(5).line().until(60)).toBeUndefined();
  });

  test("a node with a path but no route is seen", () => {
    const world = new CensusWorld(5).line().unroute(0, 4);
    expect(world.until(19)).toBeUndefined();
    expect(world.until(40)).toMatchObject({ oracle: "starvation", nodes: [4, 0] });
  });

  test("a route dearer than the path is seen, and one to where no path leads", () => {
    expect(new CensusWorld(5).line().route(0, 4, 1, 5).until(40)).toMatchObject({ oracle: "truth", nodes: [4, 0] });
    const apart = new CensusWorld(3).link(0, 1).route(0, 1, 1).route(1, 0, 0).route(0, 2, 1, 2).until(40);
    expect(apart).toMatchObject({ oracle: "truth", nodes: [2, 0] });
  });

  test("nobody misses a route over a link that the network cut", () => {
    const world = new CensusWorld(3, [["cut", 5, 1, 2]]).line();
    for (const [node, to] of [
      [0, 2],
      [1, 2],
      [2, 0],
      [2, 1],
    ] as const) {
      world.unroute(node, to);
    }
    expect(world.until(60)).toBeUndefined();
  });
});

test("a pair that has a path all the time and is never served starves, though the world is never quiet", () => {
  const world = new CensusWorld(4).line().unroute(0, 3);
  let violation: unknown;
  for (let second = 1; second <= 90 && violation === undefined; second += 1) {
    world.route(1, 2, 2); // something always changes
    violation = world.until(second);
  }
  expect(violation).toMatchObject({ oracle: "starvation", nodes: [3, 0] });
  expect(metricsOf(world.finish()).unreachablePairShare).toMatchObject({ max: 1 / 12 });
});

test("stretch is what the links of a route cost over the shortest path", () => {
  const world = new CensusWorld(3).link(0, 1, 1).link(1, 2, 1).link(0, 2, 1);
  world.route(0, 2, 1, 2).route(1, 2, 2).route(2, 0, 0).route(1, 0, 0).route(0, 1, 1).route(2, 1, 1);
  world.until(1);
  expect(metricsOf(world.finish()).stretch).toEqual({ p50: 1, p95: expect.any(Number) });
  expect(world.finish().stretch[100]).toBeGreaterThan(0);
});

test("a store that holds more than its bound is seen", () => {
  const watch = new CapsWatch(undefined as never);
  watch.note(1, 0, { routes: { limit: 10, peak: 10 } });
  expect(watch.found).toBeUndefined();
  watch.note(2, 5, { routes: { limit: 10, peak: 11 } });
  expect(watch.found).toMatchObject({ oracle: "caps", nodes: [5], text: expect.stringContaining("routes") });
  expect(watch.peaks).toEqual({ routes: { limit: 10, peak: 11 } });
});
