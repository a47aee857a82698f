import { expect, test } from "vitest";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { LINK_DATAGRAM_BYTES } from "../../core/wire/control-frame.js";
import { PacketType } from "../../core/wire/flight.js";
import { encodeNetworkHeader, NAC_OFFSET } from "../../core/wire/network-header.js";
import { RECORD_HEADER_BYTES, RECORD_INDEX_OFFSET } from "../../core/wire/record.js";
import { Backlog, TURN_READS } from "../../node/backlog.js";
import { StackWorld, type WorldNode } from "../support/stack-world.js";

/** A machine ten times slower than a small one, so that few datagrams flood it. */
const READ_US = 80;
const HANDLE_US = 450;
/** What the system holds for a socket: with net.core.rmem_max as it comes, about so many full datagrams. */
const SYSTEM_MAX = 180;
/** Of full-size records, each second; the machine could handle 1,900. */
const FLOOD_PER_MS = 6;
const FLOOD_US = 10 * SECOND_US;

/** The shell of a slow machine: datagrams wait in the system until a turn of the loop reads them. */
class SlowShell {
  lost = 0;
  private readonly system: { readonly path: number; readonly bytes: Uint8Array }[] = [];
  readonly backlog: Backlog | undefined;
  private readonly handle: (path: number, bytes: Uint8Array) => void;
  private turnUs: number;

  constructor(world: StackWorld, node: WorldNode, hasBacklog: boolean) {
    this.turnUs = world.nowUs;
    const { stack } = node;
    this.backlog = hasBacklog ? new Backlog((index) => stack.isSessionKnown(index)) : undefined;
    const handle = stack.handleDatagram.bind(stack);
    this.handle = (path, bytes) => void handle(world.nowUs, path, bytes, 0, bytes.length);
    stack.handleDatagram = (_nowUs, path, bytes) => {
      if (this.system.length >= SYSTEM_MAX) this.lost += 1;
      else this.system.push({ path, bytes });
      return stack.nextDeadlineUs;
    };
  }

  run(untilUs: number): void {
    while (this.turnUs <= untilUs) {
      let handled = 0;
      const handle = (path: number, bytes: Uint8Array) => {
        handled += 1;
        this.handle(path, bytes);
      };
      const read = this.system.splice(0, TURN_READS);
      for (const { path, bytes } of read) if (!this.backlog?.take(this.turnUs, path, bytes)) handle(path, bytes);
      this.backlog?.handleTurn(this.turnUs, handle);
      this.turnUs += Math.max(MILLISECOND_US, read.length * READ_US + handled * HANDLE_US);
    }
  }
}

/**
 * mallory wants so much carried to bob each millisecond, and a stranger sends junk that looks like it; ada is another
 * neighbour of the relay.
 */
function flood({ hasBacklog = true, perMs = FLOOD_PER_MS, junkPerMs = 0, junkBytes = LINK_DATAGRAM_BYTES }) {
  const world = new StackWorld({ seed: "overload" }).wire("mallory", "relay").wire("ada", "relay").wire("bob", "relay");
  world.run(5 * SECOND_US);
  const [mallory, relay, bob] = ["mallory", "relay", "bob"].map((name) => world.node(name)) as [
    WorldNode,
    WorldNode,
    WorldNode,
  ];
  const shell = new SlowShell(world, relay, hasBacklog);
  const link = mallory.linkTo("relay");
  const packet = new Uint8Array(LINK_DATAGRAM_BYTES);
  world.lay("trudy", "relay");
  const junk = world.random.bytes(junkBytes);
  junk[0] = PacketType.record;
  const endUs = world.nowUs + FLOOD_US;
  let carried = 0;
  world.carries = (from, to, bytes) => {
    if (from === "relay" && to === "bob" && bytes.length === LINK_DATAGRAM_BYTES) carried += 1;
    return true;
  };
  while (world.nowUs < endUs) {
    for (let i = 0; i < perMs; i += 1) {
      encodeNetworkHeader(packet, RECORD_HEADER_BYTES, 32, 0);
      packet.set(bob.nac, RECORD_HEADER_BYTES + NAC_OFFSET);
      mallory.inside.links.forward(link, packet, 0);
    }
    for (let i = 0; i < junkPerMs; i += 1) {
      junk[RECORD_INDEX_OFFSET + i] = world.random.below(256);
      world.inject("trudy", "relay", junk);
    }
    world.run(MILLISECOND_US);
    shell.run(world.nowUs);
  }
  const nodes = ["mallory", "relay", "ada", "bob"].map((name) => world.node(name));
  return {
    carried,
    dropped: shell.backlog?.dropped ?? 0,
    downs: nodes.flatMap((node) => node.events.filter((event) => event.kind === "linkDown")),
    /** Of the hellos that its neighbours said, what the relay did not hear; the worst link. */
    helloLoss: Math.max(0, ...relay.stack.peers(world.nowUs).map(({ lossPerMille }) => lossPerMille)),
    lost: shell.lost,
  };
}

test("a relay that is asked to carry three times what it can still hears every hello, and carries what it can", () => {
  const { carried, dropped, downs, helloLoss, lost } = flood({});

  expect(downs).toEqual([]);
  expect(helloLoss).toBeLessThan(20);
  expect(lost).toBeLessThan((FLOOD_PER_MS * FLOOD_US) / MILLISECOND_US / 100); // the system's buffer hardly ever overflowed
  expect(dropped).toBeGreaterThan(1000);
  expect(carried).toBeGreaterThan((FLOOD_US / SECOND_US) * 700);
});

test("the same relay without a backlog loses hellos like all else", () => {
  const { helloLoss } = flood({ hasBacklog: false });

  expect(helloLoss).toBeGreaterThan(100); // so the test before shows something
});

test.each([LINK_DATAGRAM_BYTES, LINK_DATAGRAM_BYTES - 1])(
  "strangers' junk of %i bytes, more than the relay could open, takes nothing from what a neighbour wants carried",
  (junkBytes) => {
    const { carried, dropped, downs, helloLoss } = flood({ perMs: 1, junkPerMs: 2, junkBytes });

    expect(downs).toEqual([]);
    expect(helloLoss).toBeLessThan(20);
    expect(carried).toBeGreaterThan((0.99 * FLOOD_US) / MILLISECOND_US);
    expect(dropped).toBeGreaterThan((1.4 * FLOOD_US) / MILLISECOND_US);
  },
);

test("a thousand records of sessions that nobody has get 64 hints in a second, and the bound is shown", () => {
  const world = new StackWorld({ seed: "hints" }).lay("mallory", "bob");
  const bob = world.node("bob");
  world.isRecording = true;
  for (let i = 0; i < 1000; i += 1) {
    const record = world.random.bytes(128);
    record[0] = PacketType.record;
    world.inject("mallory", "bob", record);
    world.run(MILLISECOND_US / 2);
  }
  world.run(SECOND_US);

  const hints = world.seen.filter(({ from, bytes }) => from === "bob" && bytes[0] === PacketType.unknown);
  expect(hints.length).toBeGreaterThanOrEqual(64);
  expect(hints.length).toBeLessThanOrEqual(2 * 64);
  const { caps } = bob.stack.status();
  expect(caps).toMatchObject({ linkHints: { limit: 64, peak: 64 }, linksIncoming: { limit: 128, peak: 0 } });
});

test("the bound of links that others open is shown with how near it came", () => {
  const world = new StackWorld({ seed: "near" }).wire("ada", "bob").wire("cyd", "bob").wire("bob", "dan");
  world.run(3 * SECOND_US);

  expect(world.node("bob").stack.status().caps).toMatchObject({ linksIncoming: { limit: 128, peak: 2 } });
});

test("what the shell says of its load is in the next hello, and the neighbour shows it", () => {
  const world = new StackWorld({ seed: "load" }).wire("ada", "bob");
  world.run(3 * SECOND_US);
  const [ada, bob] = [world.node("ada"), world.node("bob")];
  expect(ada.stack.peers(world.nowUs)).toMatchObject([{ queueDelayMs: 0, load: 0 }]);

  bob.stack.handleLoad(world.nowUs, { queueDelayUs: 12_345, busy: 200 });
  world.run(3 * SECOND_US);
  expect(ada.stack.peers(world.nowUs)).toMatchObject([{ queueDelayMs: 13, load: 200 }]);
  bob.stack.handleLoad(world.nowUs, { queueDelayUs: 3600 * SECOND_US, busy: 999 });
  world.run(3 * SECOND_US);

  expect(ada.stack.peers(world.nowUs)).toMatchObject([{ queueDelayMs: 0xffff, load: 255 }]);
});

test("a hint makes a dialer that waits dial at once, but not more often than once a second", () => {
  const world = new StackWorld({ seed: "hurry" }).wire("ada", "bob");
  world.run(3 * SECOND_US);
  world.kill("bob");
  world.run(120 * SECOND_US); // ada's pauses have grown to half a minute
  const asked = () =>
    world.seen.filter(({ from, bytes }) => from === "ada" && bytes[0] === PacketType.keyRequest).length;
  world.isRecording = true;
  const record = world.random.bytes(128);
  record[0] = PacketType.record;
  for (let i = 0; i < 20; i += 1) {
    world.inject("bob", "ada", record);
    world.run(500 * MILLISECOND_US);
  }

  expect(asked()).toBeGreaterThanOrEqual(8);
  expect(asked()).toBeLessThanOrEqual(4 * 10);
});
