/** What the oracles make of liars, shown on tables written by hand. */
import { describe, expect, test } from "vitest";
import { metricsOf } from "../../sim/report/metrics.js";
import { CensusWorld, type Deed } from "../support/census-world.js";

/** A line whose last node dies at 20 s; all its routes but those of `keepers` are gone at once. */
function death(
  nodes: number,
  deeds: readonly Deed[],
  keepers: readonly number[],
  shape?: (world: CensusWorld) => void,
) {
  const world = new CensusWorld(nodes, [...deeds, ["crash", 20, nodes - 1]]).line();
  shape?.(world);
  world.until(20);
  world.end(nodes - 1);
  for (let node = 0; node < nodes - 1; node += 1) if (!keepers.includes(node)) world.unroute(node, nodes - 1);
  return world;
}

describe("removals among liars", () => {
  test("count a node behind a liar apart, from the death until it has forgotten", () => {
    // 0 - 1 - 2 - 3, where 1 lies: no honest path joins 0 to 2, who saw 3 die.
    const world = death(4, [["byzantine", 5, 1, "ghost"]], [0]);
    expect(world.until(40)).toBeUndefined();
    world.unroute(0, 3);
    expect(world.until(90)).toBeUndefined();
    expect(metricsOf(world.finish())).toMatchObject({
      eclipsed: 1,
      removal: { count: 1, censored: 0, max: 0 },
      removalEclipsed: { count: 1, censored: 0, max: 21 },
    });
  });

  test("give an eclipsed node that never forgets its age, and no ghost", () => {
    const world = death(4, [["byzantine", 5, 1, "ghost"]], [0]);
    expect(world.until(100)).toBeUndefined();
    expect(metricsOf(world.finish())).toMatchObject({ ghosts: 0, removalEclipsed: { count: 1, max: 80 } });
  });

  test("find a ghost at a node that an honest path joins to a watcher, however many liars are its neighbours", () => {
    const world = death(5, [["byzantine", 5, 1, "ghost"]], [0], (one) => one.link(0, 3));
    expect(world.until(80)).toBeUndefined();
    expect(world.until(82)).toMatchObject({ oracle: "ghost", nodes: [4, 0] });
  });

  test("last until the dead are gone for good when a liar brings them back", () => {
    const world = death(4, [["byzantine", 5, 1, "ghost"]], []);
    world.until(30);
    world.route(2, 3, 1, 3).until(45);
    world.unroute(2, 3).until(100);
    expect(metricsOf(world.finish())).toMatchObject({ removal: { count: 1, max: 25 }, ghosts: 0 });
  });

  test("find a ghost that rises from the dead after everybody had forgotten", () => {
    const world = death(4, [["byzantine", 5, 1, "replay"]], []);
    expect(world.until(110)).toBeUndefined();
    world.route(2, 3, 1, 3);
    expect(world.until(112)).toMatchObject({ oracle: "ghost", nodes: [3, 2] });
  });

  test("call all eclipsed when every neighbour of the dead lies", () => {
    const world = death(4, [["byzantine", 5, 2, "ghost"]], [0, 1]);
    expect(world.until(50)).toBeUndefined();
    world.unroute(0, 3).unroute(1, 3);
    expect(world.until(90)).toBeUndefined();
    expect(metricsOf(world.finish())).toMatchObject({
      eclipsed: 2,
      removal: { count: 0, censored: 1 },
      removalEclipsed: { count: 2, max: 31 },
    });
  });
});

describe("a false removal", () => {
  const forgetful = (deeds: readonly Deed[] = []) => new CensusWorld(4, deeds).line();

  test("is a living node that one honest node forgets for more than five seconds, though it was reachable for twenty", () => {
    const world = forgetful();
    world.until(30);
    world.unroute(0, 3).until(34);
    expect(world.finish().falseRemovals).toBe(0);
    world.until(36);
    expect(world.finish().falseRemovals).toBe(1);
    world.until(60);
    const { falseRemovals, falseRemovalRate } = metricsOf(world.finish());
    expect(falseRemovals).toBe(1); // once for each loss
    expect(falseRemovalRate).toBeCloseTo(3600e6 / (4 * world.nowUs), 6);
  });

  test("is none when the route is back within five seconds", () => {
    const world = forgetful();
    world.until(30);
    world.unroute(0, 3).until(33);
    world.route(0, 3, 1, 3).until(60);
    expect(world.finish().falseRemovals).toBe(0);
  });

  test("is none when no honest path led there all the while: cut off, behind a liar, asleep, or young", () => {
    const cut = forgetful([["cut", 25, 1, 2]]);
    const liar = forgetful([["byzantine", 5, 1, "ghost"]]);
    const asleep = forgetful([
      ["pause", 20, 3],
      ["resume", 28, 3],
    ]);
    for (const world of [cut, liar, asleep]) {
      world.until(30);
      world.unroute(0, 3).until(60);
      expect(world.finish().falseRemovals).toBe(0);
    }
    const young = forgetful();
    young.until(5);
    young.unroute(0, 3).until(11);
    expect(young.finish().falseRemovals).toBe(0);
  });

  test("is none of a node that did die, or that lies itself", () => {
    const dead = death(4, [], []);
    dead.until(60);
    expect(dead.finish().falseRemovals).toBe(0);
    const lying = forgetful([["byzantine", 5, 3, "stall"]]);
    lying.until(30);
    lying.unroute(0, 3).until(60);
    expect(lying.finish().falseRemovals).toBe(0);
  });
});

describe("an advert of a liar", () => {
  /** 0 - 1 - 2 - 3 - 4, where 1 lies. It can hear of 4 at 2 from its neighbour, so 3 is what it may say itself. */
  const world = () => new CensusWorld(5, [["byzantine", 1, 1, "metric"]]).line();

  test.each([
    [4, 0, 0],
    [3, 0, 1],
    [2, 1, 0],
    [1, 1, 0],
  ])(
    "that makes a route of metric %i is forged %i times, and passed on as it was heard %i times",
    (metric, forged, gains) => {
      const one = world();
      one.until(2);
      one.route(0, 4, 1, metric).until(6);
      expect(metricsOf(one.finish())).toMatchObject({ forgedAccepted: forged, replayGains: gains });
    },
  );

  test("is no forgery when it was put right within two seconds, or when the liar's neighbours had told it so", () => {
    const brief = world();
    brief.until(2);
    brief.route(0, 4, 1, 1).until(3);
    brief.route(0, 4, 1, 4).until(6);
    const told = world();
    told.route(2, 4, 3, 1); // a better one, for a while
    told.until(2);
    told.route(0, 4, 1, 3).until(6);
    for (const { observatory, nowUs } of [brief, told]) expect(observatory.finish(nowUs).forgedAccepted).toBe(0);
  });

  test("is no forgery while the proof of what the liar heard lasts, though that is worse by now", () => {
    const keepsFor = (seconds: number) => {
      const one = world();
      one.route(2, 4, 3, 1).until(2);
      one.route(2, 4, 3, 2).until(2 + seconds);
      one
        .route(0, 4, 1, 3)
        .route(0, 4, 1, 2)
        .until(6 + seconds);
      return one.finish();
    };
    expect(keepsFor(30)).toMatchObject({ forgedAccepted: 0, replayGains: 1 });
    expect(keepsFor(120)).toMatchObject({ forgedAccepted: 1, replayGains: 0 });
  });

  test("of the dead is for the removals to judge", () => {
    const one = death(5, [["byzantine", 5, 1, "ghost"]], []);
    one.until(21);
    one.route(0, 4, 1, 1).until(30);
    expect(one.finish()).toMatchObject({ forgedAccepted: 0, replayGains: 0 });
  });
});

test("route changes of liars are not counted", () => {
  const world = new CensusWorld(3, [["byzantine", 1, 1, "flap"]]).line();
  world.until(2);
  const before = world.finish().routeChanges;
  world.route(1, 2, 2, 2).route(0, 2, 1, 3).until(3);
  expect(world.finish().routeChanges - before).toBe(1);
});

test("a suspicion counts at honest nodes, and is false when the suspected lives and was reachable all the while", () => {
  const world = new CensusWorld(4, [
    ["byzantine", 1, 1, "accuse"],
    ["cut", 26, 2, 3],
  ]);
  world.line().link(0, 2);
  world.until(25);
  for (const node of [0, 1]) world.observatory.handleSuspicion(world.nowUs, node, 3);
  expect(metricsOf(world.finish())).toMatchObject({ suspicions: 1, falseSuspicions: 1 });
  world.until(28);
  world.observatory.handleSuspicion(world.nowUs, 0, 3); // alive, for all that 0 can know dead
  expect(metricsOf(world.finish())).toMatchObject({ suspicions: 2, falseSuspicions: 1 });
});
