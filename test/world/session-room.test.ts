import { expect, test } from "vitest";
import { SessionRoom } from "../../core/stack/session-room.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { EndCode } from "../../core/wire/cell.js";
import { StackWorld, type WorldNode } from "../support/stack-world.js";

/** Small, so that it is soon full. */
const ROOM = 16;

/** eve and ada, each with friends, come to a host by a relay of their own. */
function crowded() {
  const world = new StackWorld({ seed: "room", suite: "native" });
  world.wire("north", "host").wire("south", "host");
  world.wire("eve", "north").wire("fay", "north").wire("ada", "south");
  world.run(5 * SECOND_US);
  const host = world.node("host");
  Object.assign((host.stack as unknown as { ends: object }).ends, { room: new SessionRoom(ROOM) });

  /** Through a session of its own for each tag, as long as there is room. */
  const visit = (from: string, count: number, tag = "t"): readonly number[] =>
    Array.from({ length: count }, (_, i) => {
      const stream = world.node(from).stack.openStream(world.nowUs, host.nac, 80, undefined, `${tag}${i}`);
      world.run(400 * MILLISECOND_US);
      return stream;
    });
  const leave = (from: string, streams: readonly number[]): void => {
    for (const stream of streams) world.node(from).stack.reset(world.nowUs, stream, EndCode.cancelled);
    world.run(2 * SECOND_US);
  };
  return { world, host, visit, leave };
}

function resetsOf(node: WorldNode): number[] {
  return node.events.flatMap((event) => (event.kind === "streamReset" ? [event.stream] : []));
}

const openedAt = (host: WorldNode): number => host.events.filter(({ kind }) => kind === "streamOpened").length;

test("a full table gives up the session that was unused for longest, and none that is in use", () => {
  const { world, host, visit, leave } = crowded();
  const late = visit("eve", 1, "late");
  const early = visit("eve", 1, "early");
  visit("ada", 8);
  visit("eve", 6);
  leave("eve", early);
  leave("eve", late);
  expect(host.stack.status().sessions).toBe(ROOM);

  visit("fay", 1, "new");
  expect(openedAt(host)).toBe(ROOM + 1);
  const { done } = host.stack.status().handshakes;
  leave("eve", visit("eve", 1, "late"));
  expect(host.stack.status().handshakes.done).toBe(done); // its session still stands
  visit("eve", 1, "early");
  expect(host.stack.status().handshakes.done).toBe(done + 1);
  expect(host.stack.status().sessions).toBe(ROOM);
  for (const name of ["ada", "eve", "fay"]) expect(resetsOf(world.node(name))).toEqual([]);
  expect(host.stack.status().drops.sessionLimit).toBe(0);
});

test("a link may have all of a table, and keeps half of it when others come", () => {
  const { world, host, visit } = crowded();
  visit("eve", ROOM);
  expect(host.stack.status().sessions).toBe(ROOM);
  expect(resetsOf(world.node("eve"))).toEqual([]);

  const [mine] = visit("ada", ROOM / 2 + 2);
  expect(openedAt(host)).toBe(ROOM + ROOM / 2);
  expect(resetsOf(world.node("eve"))).toHaveLength(ROOM / 2);
  expect(resetsOf(world.node("ada"))).not.toContain(mine);
  expect(host.stack.status().sessions).toBe(ROOM);
  expect(host.stack.status().drops.sessionLimit).toBeGreaterThan(0);
});

test("behind the same link whoever has most sessions gives one up for a NAC that has none", () => {
  const { world, host, visit } = crowded();
  visit("eve", ROOM);
  const [mine] = visit("fay", 1);
  expect(openedAt(host)).toBe(ROOM + 1);
  expect(resetsOf(world.node("eve"))).toHaveLength(1);
  expect(resetsOf(world.node("fay"))).not.toContain(mine);
  visit("eve", 1, "again"); // one who has many does not get it back
  expect(host.stack.status().sessions).toBe(ROOM);
  expect(openedAt(host)).toBe(ROOM + 1);
  expect(resetsOf(world.node("fay"))).toEqual([]);
});
