import { describe, expect, test } from "vitest";
import { NAT_PROFILES } from "../../sim/network/nat-profiles.js";
import { type Scene, type Story, tell } from "../support/story.js";

const PROFILES = Object.keys(NAT_PROFILES).filter((name) => name !== "udp-blocked");

/** Ada and bob, each in a house of their own with such a NAT, and two public nodes. */
function houses(ofAda: string, ofBob: string, more: string): string {
  return `
nodes: { names: [p0, p1, ada, bob] }
topology: { kind: graph, edges: [[p0, p1], [ada, p0], [bob, p1]] }
links: { default: { latency: 10ms, loss: 1% } }
subnets:
  - { name: first, select: ada, nat: ${ofAda} }
  - { name: second, select: bob, nat: ${ofBob} }
seed: 1
${more}`;
}

function linkEvents(story: Story, node: string, isUp: boolean, fromSeconds: number): readonly number[] {
  return story.events.flatMap((event) =>
    event.kind === "link" && event.node === node && event.isUp === isUp && event.atSeconds >= fromSeconds
      ? [event.atSeconds]
      : [],
  );
}

const isMeshed = (scene: Scene) => expect(scene.isMeshed()).toBe(true);

describe("behind NATs", () => {
  const pairs = PROFILES.flatMap((a, i) => PROFILES.slice(i).map((b) => [a, b] as const));
  test.each(pairs)("a node behind %s and one behind %s reach each other through the mesh", (ofAda, ofBob) => {
    const story = tell(
      houses(
        ofAda,
        ofBob,
        `duration: 100s
timeline:
  - { at: 20s, do: traffic, kind: request, from: ada, to: bob, size: 20KiB }
  - { at: 20s, do: traffic, kind: stream, from: bob, to: ada, size: 20KiB }
expect: [delivery.share == 100%, "unreachablePairShare.max == 0% from 10s to 100s"]`,
      ),
      { 10: isMeshed, 99: (scene) => expect(scene.way("ada", "bob")).toEqual(["ada", "p0", "p1", "bob"]) },
    );
    // The NATs forget what is silent for 30 s or more: hellos keep the mappings.
    expect(linkEvents(story, "ada", false, 0)).toEqual([]);
  });

  test("that let no UDP pass a node never has a link: it has no join, nobody has a route to it, and its datagrams are counted", () => {
    const story = tell(houses("home", "udp-blocked", "duration: 60s\nexpect: [joins == 3, join.count == 3]"), {
      59: (scene) => {
        expect(scene.holders("bob")).toEqual([]);
        expect(scene.isMeshed(["p0", "p1", "ada"])).toBe(true);
        expect(scene.isMeshed()).toBe(false);
      },
    });
    expect(story.drops.udpBlocked).toBeGreaterThan(3);
    expect(linkEvents(story, "bob", true, 0)).toEqual([]);
    expect(story.report.metrics).toMatchObject({ unreachablePairShare: { max: 0 } }); // no path: nobody starves
  });
});

describe("a NAT", () => {
  test.each(PROFILES)("(%s) that gives all mappings other ports costs no link: neighbours follow", (profile) => {
    const story = tell(
      houses(
        profile,
        "home",
        "duration: 60s\ntimeline: [{ at: 20s, do: rebind, subnet: first }]\nexpect: [loops == 0]",
      ),
      { 31: isMeshed, 59: isMeshed },
    );
    expect(linkEvents(story, "ada", false, 0)).toEqual([]);
    expect(linkEvents(story, "p0", false, 0)).toEqual([]);
    expect(story.report.metrics).toMatchObject({ unreachablePairShare: { max: 0 } });
  });

  test.each(PROFILES)("(%s) that reboots with another address costs no more", (profile) => {
    const story = tell(
      houses(
        profile,
        "home",
        "duration: 60s\ntimeline: [{ at: 20s, do: reboot, subnet: first }]\nexpect: [loops == 0]",
      ),
      { 31: isMeshed, 59: isMeshed },
    );
    expect(linkEvents(story, "ada", false, 0)).toEqual([]);
    expect(story.drops.noMapping! + story.drops.unreachable!).toBeGreaterThan(0); // what was sent to where it was
  });

  test("before another one changes nothing for who is inside: found at both, kept through the outer one's reboot", () => {
    tell(
      `
nodes: { names: [p0, p1, ada, bob] }
topology: { kind: graph, edges: [[p0, p1], [ada, p0], [bob, p1]] }
links: { default: { latency: 10ms } }
subnets:
  - { name: carrier, nat: carrier-grade }
  - { name: flat, select: ada, nat: home, within: carrier }
  - { name: tower, select: bob, nat: symmetric, within: carrier }
seed: 1
duration: 60s
timeline:
  - { at: 20s, do: reboot, subnet: carrier }
  - { at: 40s, do: traffic, kind: request, from: ada, to: bob, size: 20KiB }
expect: [delivery.share == 100%]`,
      { 10: isMeshed, 31: isMeshed },
    );
  });

  test.each([true, false])(
    "that hairpins (%s) or not: two houses of one carrier reach each other through the mesh",
    (hairpin) => {
      tell(
        `
nodes: { names: [p0, ada, bob] }
topology: { kind: graph, edges: [[ada, p0], [bob, p0]] }
links: { default: { latency: 10ms } }
nats: { street: { like: carrier-grade, hairpin: ${hairpin} } }
subnets:
  - { name: carrier, nat: street }
  - { name: left, select: ada, nat: home, within: carrier }
  - { name: right, select: bob, nat: home, within: carrier }
seed: 1
duration: 40s
timeline: [{ at: 20s, do: traffic, kind: request, from: ada, to: bob, size: 20KiB }]
expect: [delivery.share == 100%]`,
        { 30: (scene) => expect(scene.way("ada", "bob")).toEqual(["ada", "p0", "bob"]) },
      );
    },
  );

  test("with a mesh behind it joins its own without asking anybody outside, and lives on when the way out is cut", () => {
    tell(
      `
nodes: { names: [p0, ada, bob] }
topology: { kind: graph, edges: [[ada, p0], [bob, p0], [ada, bob]] }
links: { default: { latency: 10ms } }
subnets: [{ name: house, select: [ada, bob], nat: home }]
seed: 1
duration: 40s
timeline: [{ at: 20s, do: crash, select: p0 }]`,
      { 30: (scene) => expect(scene.way("ada", "bob")).toEqual(["ada", "bob"]) },
    );
  });
});
