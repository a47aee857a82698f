import { describe, expect, test } from "vitest";
import { grid, insideOf, line, RoutingWorld, ring } from "../support/routing-world.js";

/** Puts a destination into the queue of those that have a route and want a better one. */
interface Queues {
  queue(nowUs: number, destination: number): void;
}

describe("when a cable is cut", () => {
  test("traffic finds the long way round and never loops", () => {
    const world = line("ada", "bob", "cyd").wire("ada", "cyd", { cost: 4 });
    world.run({ untilSettled: true, within: "10s" });
    expect(world.path("ada", "cyd")).toEqual(["ada", "bob", "cyd"]);

    world.cut("bob", "cyd");
    world.run({ untilSettled: true, within: "30s" });

    expect(world.path("ada", "cyd")).toEqual(["ada", "cyd"]);
    expect(world.loopsSeen()).toBe(0);
  });

  test("a feasible backup takes over in the same instant", () => {
    const world = new RoutingWorld("backup").add("ada", "left", "right", "dan");
    world.wire("ada", "left").wire("left", "dan").wire("ada", "right").wire("right", "dan");
    world.wire("right", "left");
    world.run({ untilSettled: true, within: "30s" });
    const [used] = world.path("ada", "dan").slice(1, 2);
    const other = used === "left" ? "right" : "left";
    expect(world.backups("ada", "dan")).toEqual([other]);

    const routing = world.routing("ada");
    routing.linkDown(world.nowUs, routing.nextHop(world.destination("dan")));

    expect(world.path("ada", "dan")).toEqual(["ada", other, "dan"]);
  });

  test("a partition loses the other half, and gets it back when it heals", () => {
    const world = grid(4, 4).run({ untilSettled: true, within: "60s" });
    for (let y = 0; y < 4; y += 1) world.cut(`1,${y}`, `2,${y}`);
    world.run({ untilSettled: true, within: "30s" });
    expect(world.knowing("3,3")).toHaveLength(7);

    for (let y = 0; y < 4; y += 1) world.wire(`1,${y}`, `2,${y}`);
    world.run({ within: "5s" });
    expect(world.knowing("3,3")).toHaveLength(15);
    world.run({ untilSettled: true, within: "60s" });
    expect(world.wrongRoutes()).toEqual([]);
    expect(world.loopsSeen()).toBe(0);
  });

  test("over lossy links nobody keeps a ghost", () => {
    const link = { loss: 0.2, reorder: 0.2, duplicate: 0.1 };
    const world = grid(5, 5, { link }).run({ untilSettled: true, within: "120s" });
    world.crash("2,2").run({ within: "20s" });
    expect(world.knowing("2,2")).toEqual([]);
    world.run({ untilSettled: true, within: "120s" });
    expect(world.wrongRoutes()).toEqual([]);
    expect(world.loopsSeen()).toBe(0);
  });
});

describe("when a node dies", () => {
  test("it is in nobody's table within ten seconds", () => {
    const world = grid(7, 7).run({ untilSettled: true, within: "60s" });
    world.crash("3,3").run({ within: "10s" });
    expect(world.knowing("3,3")).toEqual([]);
    world.run({ untilSettled: true, within: "60s" });
    expect(world.wrongRoutes()).toEqual([]);
    expect(world.loopsSeen()).toBe(0);
  });

  test("nobody counts to infinity: a triangle tells of the loss once per link and direction", () => {
    const world = new RoutingWorld("triangle").add("ada", "bob", "cyd", "dan");
    world.wire("ada", "bob").wire("bob", "cyd").wire("cyd", "ada").wire("cyd", "dan");
    world.run({ untilSettled: true, within: "30s" });
    const before = world.entriesTold;

    world.cut("cyd", "dan").run({ untilSettled: true, within: "30s" });

    expect(world.knowing("dan")).toEqual([]);
    // Three links, both directions; what dan loses himself he tells nobody.
    expect(world.entriesTold - before).toBeLessThanOrEqual(6);
    expect(world.loopsSeen()).toBe(0);
  });
});

describe("when a node restarts", () => {
  test("it is routable from everywhere within two seconds, before its death was noticed", () => {
    const world = grid(5, 5).run({ untilSettled: true, within: "60s" });
    world.restart("0,0").run({ within: "2s" });
    expect(world.path("4,4", "0,0").at(-1)).toBe("0,0");
    expect(world.knowing("0,0")).toHaveLength(24);
    world.run({ untilSettled: true, within: "60s" });
    expect(world.wrongRoutes()).toEqual([]);
    expect(world.loopsSeen()).toBe(0);
  });

  test("having lost its stored epoch, it goes beyond the one that others remember", () => {
    const world = ring("ada", "bob", "cyd", "dan").run({ untilSettled: true, within: "30s" });
    world.restart("ada", 5).run({ within: "3s" });
    expect(world.knowing("ada")).toHaveLength(3);
    expect(world.routing("bob").route(world.destination("ada"))?.epoch).toBeGreaterThan(1_000);
    world.run({ untilSettled: true, within: "60s" });
    expect(world.wrongRoutes()).toEqual([]);
  });
});

describe("starvation", () => {
  /** ada > bob > dan is short, ada > cyd > dan is long: after the cut, ada's only offer is not feasible. */
  const starved = (seed: string, loss = 0) => {
    const world = new RoutingWorld(seed, { link: { loss } }).add("ada", "bob", "cyd", "dan");
    world.wire("ada", "bob").wire("bob", "dan").wire("ada", "cyd").wire("cyd", "dan", { cost: 4 });
    return world.run({ untilSettled: true, within: "60s" });
  };

  test("is healed by a request to the origin, at once when there is traffic", () => {
    const world = starved("starved");
    expect(world.backups("ada", "dan")).toEqual([]);
    world.want("ada", "dan").cut("ada", "bob");
    while (world.path("ada", "dan")[1] === "bob") world.run({ within: "50ms" });
    world.run({ within: "200ms" }); // less than a request takes to be repeated: the answer came back by itself
    expect(world.path("ada", "dan")).toEqual(["ada", "cyd", "dan"]);
    expect(world.requests()).toContain("ada");
    expect(world.loopsSeen()).toBe(0);
  });

  test("is healed by the fourth request when three are lost, a second and a half after the first", () => {
    const world = starved("three lost");
    let lost = 0;
    for (const neighbour of insideOf(world.routing("ada")).table.neighbours) {
      const addRequest = neighbour.addRequest.bind(neighbour);
      neighbour.addRequest = (request) => {
        if (lost === 3) addRequest(request);
        else lost += 1;
      };
    }
    world.want("ada", "dan").cut("ada", "bob");
    while (lost === 0) world.run({ within: "10ms" });
    world.run({ within: "1400ms" });
    expect([lost, world.path("ada", "dan")]).toEqual([3, ["ada"]]);
    world.run({ within: "200ms" });
    expect(world.path("ada", "dan")).toEqual(["ada", "cyd", "dan"]);
  });

  test("is healed in the background without traffic, and over lossy links", () => {
    for (const loss of [0, 0.2]) {
      const world = starved(`starved/${loss}`, loss);
      world.cut("ada", "bob").run({ untilSettled: true, within: "60s" });
      expect(world.path("ada", "dan")).toEqual(["ada", "cyd", "dan"]);
      expect(world.requests()).toContain("ada");
      expect(world.wrongRoutes()).toEqual([]);
    }
  });

  test("of many at once is over within a few seconds, whatever starved before", () => {
    const many = Array.from({ length: 150 }, (_, i) => `d${i}`);
    const world = new RoutingWorld("many starve").add("ada", "bob", "cyd", "dan", ...many);
    world.wire("ada", "bob").wire("bob", "dan").wire("ada", "cyd").wire("cyd", "dan", { cost: 4 });
    for (const name of many) world.wire("dan", name);
    world.run({ untilSettled: true, within: "60s" });
    const lost = () => many.filter((name) => world.routing("ada").route(world.destination(name)) === undefined).length;
    world.cut("ada", "bob");
    while (lost() === 0) world.run({ within: "50ms" });
    expect(lost()).toBe(150);
    world.run({ within: "1900ms" }); // they wait for other offers for 1.5 s of these
    expect(lost()).toBeLessThan(70);
    world.run({ within: "1s" });
    expect(lost()).toBe(0);
    expect(world.loopsSeen()).toBe(0);
  });

  test("with a route, and then without one, asks as soon as others that have none", () => {
    const others = Array.from({ length: 40 }, (_, i) => `d${i}`);
    const world = new RoutingWorld("starves twice").add("ada", "bob", "cyd", "fay", "dan", ...others);
    world.wire("ada", "bob").wire("bob", "dan").wire("ada", "cyd").wire("cyd", "dan", { cost: 2 });
    world.wire("ada", "fay", { cost: 4 }).wire("fay", "dan");
    for (const name of others) world.wire("dan", name);
    world.run({ untilSettled: true, within: "60s" });
    const { starvation } = insideOf(world.routing("ada")).decision as unknown as { starvation: Queues };
    const dans = others.map((name) => world.destination(name));
    // As if each had wanted a better route for long: the background asks for one of them every half second.
    for (const destination of dans) starvation.queue(world.nowUs, destination);
    world.cut("ada", "bob").cut("ada", "fay");
    const lost = () => dans.filter((destination) => world.routing("ada").route(destination) === undefined).length;
    while (lost() < others.length) world.run({ within: "50ms" });
    world.run({ within: "2500ms" });
    expect(lost()).toBe(0);
  });

  test("costs no request where every other offer is feasible", () => {
    const world = ring("ada", "bob", "cyd").run({ untilSettled: true, within: "30s" });
    world.run({ untilSettled: true, within: "30s" });
    expect(world.requests()).toEqual([]);
  });
});

describe("a lost destination", () => {
  const cutOff = (seconds: number) => {
    const world = line("ada", "bob", "cyd").run({ untilSettled: true, within: "30s" });
    world.cut("bob", "cyd").run({ within: `${seconds}s` });
    expect(world.routing("ada").route(world.destination("cyd"))).toBeUndefined();
    return world.restart("cyd", 3).wire("bob", "cyd").run({ within: "3s" });
  };

  test("is remembered as long as its last proof could be shown: an older epoch must be raised beyond the one that was known", () => {
    const world = cutOff(30);
    expect(world.path("ada", "cyd")).toEqual(["ada", "bob", "cyd"]);
    expect(world.routing("ada").route(world.destination("cyd"))?.epoch).toBe(1_001);
  });

  test("is forgotten then, and is welcome again with any epoch", () => {
    const world = cutOff(200);
    expect(world.path("ada", "cyd")).toEqual(["ada", "bob", "cyd"]);
    expect(world.routing("ada").route(world.destination("cyd"))?.epoch).toBe(3);
  });
});
