import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import type { Session } from "../../core/session/session.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { ControlFrame, RecordKind } from "../../core/wire/control-frame.js";
import { Writer } from "../../core/wire/cursor.js";
import { PacketType } from "../../core/wire/flight.js";
import { PATH_TOKEN_BYTES } from "../../core/wire/path-challenge.js";
import { RECORD_HEADER_BYTES, RECORD_OVERHEAD_BYTES, recordIndex } from "../../core/wire/record.js";
import { encodeUnknown, UNKNOWN_BYTES } from "../../core/wire/unknown.js";
import { StackWorld, type WorldNode } from "../support/stack-world.js";

const CABLE = { delayUs: 10 * MILLISECOND_US };

function sha256(...parts: Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

function moves(node: WorldNode): number {
  return node.events.filter((event) => event.kind === "linkMoved").length;
}

function downs(node: WorldNode): number {
  return node.events.filter((event) => event.kind === "linkDown").length;
}

/** `host` serves `bytes` to whoever opens a stream; `client` opens one. Answers the hash of what came, once all did. */
function download(world: StackWorld, client: WorldNode, host: WorldNode, bytes: Uint8Array) {
  const offsets = new Map<number, number>();
  const push = (stream: number) => {
    const at = offsets.get(stream) ?? 0;
    const taken = host.stack.write(world.nowUs, stream, bytes.subarray(at));
    offsets.set(stream, at + taken);
    if (taken > 0 && at + taken === bytes.length) host.stack.finish(world.nowUs, stream);
  };
  host.onEvent = (event) => {
    if (event.kind === "streamOpened") {
      host.stack.acceptStream(world.nowUs, event.stream);
      push(event.stream);
    } else if (event.kind === "streamWritable" && (offsets.get(event.stream) ?? 0) < bytes.length) push(event.stream);
  };
  const stream = client.stack.openStream(world.nowUs, host.nac, 80);
  let count = 0;
  let lastUs = world.nowUs;
  let pauseUs = 0;
  return {
    get isWhole() {
      const parts = client.received.get(stream)?.length ?? 0;
      if (parts !== count) {
        pauseUs = Math.max(pauseUs, world.nowUs - lastUs);
        lastUs = world.nowUs;
        count = parts;
      }
      return client.events.some((event) => event.kind === "streamFinished" && event.stream === stream);
    },
    get isBroken() {
      return client.events.some((event) => event.kind === "streamReset" && event.stream === stream);
    },
    get bytes() {
      return (client.received.get(stream) ?? []).reduce((sum, part) => sum + part.length, 0);
    },
    get sha256() {
      return sha256(...(client.received.get(stream) ?? []));
    },
    /** The longest time between two deliveries. */
    get pauseUs() {
      return pauseUs;
    },
  };
}

/** ada dials bob; both know each other's NAC. */
function pair(seed: string, cable = CABLE): { world: StackWorld; ada: WorldNode; bob: WorldNode } {
  const world = new StackWorld({ seed }).wire("ada", "bob", cable);
  world.run(3 * SECOND_US);
  return { world, ada: world.node("ada"), bob: world.node("bob") };
}

test.each([
  ["the client behind the NAT that dialled", "ada", "ada", "bob"],
  ["the host behind the NAT that dialled", "ada", "bob", "ada"],
  ["the client that was dialled", "bob", "bob", "ada"],
  ["the host that was dialled", "bob", "ada", "bob"],
])("a download goes on while %s changes its address again and again", (_who, mover, client, host) => {
  const { world } = pair(`roam-${mover}-${client}`, { ...CABLE, jitterUs: MILLISECOND_US } as typeof CABLE);
  const stays = mover === "ada" ? "bob" : "ada";
  const bytes = world.random.bytes(5_000_000);
  const transfer = download(world, world.node(client), world.node(host), bytes);
  for (const share of [0.2, 0.4, 0.6, 0.8]) {
    expect(world.run(60 * SECOND_US, () => transfer.isWhole || transfer.bytes >= share * bytes.length)).toBe(true);
    world.rebind(mover, stays);
    const before = moves(world.node(stays));
    expect(world.run(3 * SECOND_US, () => transfer.isWhole || moves(world.node(stays)) > before)).toBe(true);
  }
  expect(world.run(60 * SECOND_US, () => transfer.isWhole)).toBe(true);

  expect(transfer.sha256).toBe(sha256(bytes));
  expect(transfer.pauseUs).toBeLessThan(3 * SECOND_US);
  world.run(5 * SECOND_US);
  const [moved, other] = [world.node(mover), world.node(stays)];
  expect(transfer.pauseUs).toBeGreaterThan(0);
  expect([moves(moved), moves(other)]).toEqual([0, 4]);
  expect([downs(moved), downs(other)]).toEqual([0, 0]);
  expect(other.stack.peers(world.nowUs)).toMatchObject([{ path: 4 }]);
  expect(other.stack.pathsInUse).toContain(4);
});

test("a quiet link is followed as well, with its next hello, and over a cable that loses a tenth", () => {
  for (const seed of ["q1", "q2", "q3", "q4", "q5", "q6"]) {
    const { world, ada, bob } = pair(seed, { ...CABLE, loss: 0.1 } as typeof CABLE);
    world.run(5 * SECOND_US);
    world.rebind("ada", "bob");
    expect(world.run(5800 * MILLISECOND_US, () => moves(bob) === 1)).toBe(true);
    world.run(10 * SECOND_US);
    expect([moves(ada), moves(bob), downs(ada), downs(bob)]).toEqual([0, 1, 0, 0]);
  }
});

test("a neighbour that moved is followed though its old address would still reach it", () => {
  const { world, ada, bob } = pair("keeps");
  world.rebind("ada", "bob", true);

  expect(world.run(5 * SECOND_US, () => moves(bob) === 1)).toBe(true);

  world.run(10 * SECOND_US);
  expect([moves(ada), moves(bob), downs(ada), downs(bob)]).toEqual([0, 1, 0, 0]);
});

test("a link that moved keeps its pin and its dialer, and is dialled where it always was when it is lost", () => {
  const world = new StackWorld({ seed: "pin" }).lay("ada", "bob", CABLE);
  world.dial("ada", "bob", world.pinOf("bob"));
  world.run(3 * SECOND_US);
  const ada = world.node("ada");
  world.rebind("bob", "ada");
  expect(world.run(5 * SECOND_US, () => moves(ada) === 1)).toBe(true);
  expect(ada.stack.peers(world.nowUs)).toMatchObject([{ path: 1, pinned: true, found: "config", incoming: false }]);

  world.mend("ada", "bob"); // the first address reaches bob again
  const { linkKeys } = world.node("bob");
  world.kill("bob");
  world.run(10 * SECOND_US);
  const bob = world.node("bob");
  bob.isAlive = true;
  bob.linkKeys = linkKeys;
  bob.boot().start(world.nowUs);
  bob.sockets[0]!.peerPath = 0;

  expect(world.run(31 * SECOND_US, () => ada.stack.status().neighbours === 1)).toBe(true);
  expect(ada.stack.peers(world.nowUs)).toMatchObject([{ path: 0, pinned: true }]);
});

test("a successor of a link that moved is dialled at the address that was given, and takes the place of the moved one", () => {
  const world = new StackWorld({ seed: "successor" }).wire("ada", "bob", CABLE);
  world.run(3 * SECOND_US);
  const [ada, bob] = [world.node("ada"), world.node("bob")];
  world.rebind("bob", "ada", true);
  expect(world.run(5 * SECOND_US, () => moves(ada) === 1)).toBe(true);
  world.isRecording = true;
  world.run(3 * SECOND_US);
  const record = world.seen.findLast(({ from, bytes }) => from === "ada" && bytes[0] === PacketType.record)!;
  const hint = new Uint8Array(UNKNOWN_BYTES);
  encodeUnknown(new Writer(hint), { index: recordIndex(record.bytes, 0, record.bytes.length) });
  bob.sockets[0]!.peerPath = 0; // bob is back at his first address

  ada.stack.handleDatagram(world.nowUs, 1, hint, 0, hint.length); // as if he had forgotten the session
  world.run(10 * SECOND_US);

  expect(ada.stack.status().handshakes.started).toBe(2);
  expect(ada.stack.peers(world.nowUs)).toMatchObject([{ path: 0, incoming: false }]);
  expect(bob.stack.status().neighbours).toBe(1);
});

// Who is not the neighbour.

/** mallory sees each record of ada to bob and is quicker than the cable with a copy. */
function race(world: StackWorld, passesOn: boolean): { bytesToMallory: number; challenges: number } {
  world.lay("mallory", "bob", CABLE).lay("mallory", "ada", CABLE);
  const seen = { bytesToMallory: 0, challenges: 0 };
  let isOwn = false;
  world.carries = (from, to, bytes) => {
    if (from === "ada" && to === "bob" && bytes[0] === PacketType.record && !isOwn) {
      isOwn = true;
      world.inject("mallory", "bob", bytes);
      isOwn = false;
    }
    if (to === "mallory" && from === "bob") {
      seen.bytesToMallory += bytes.length;
      seen.challenges += 1;
    }
    if (to === "mallory" && passesOn) world.inject("mallory", from === "bob" ? "ada" : "bob", bytes);
    return to !== "mallory" && from !== "mallory";
  };
  return seen;
}

test.each([
  [true, "passes our questions on to the neighbour"],
  [false, "keeps our questions to itself"],
])("whoever copies records from its own address, quicker than the originals, gets nothing (%s: it %s)", (passesOn) => {
  const { world, ada, bob } = pair(`race-${passesOn}`);
  const seen = race(world, passesOn);
  const bytes = world.random.bytes(5_000_000);
  const startUs = world.nowUs;
  const up = download(world, bob, ada, bytes);
  expect(world.run(60 * SECOND_US, () => up.isWhole)).toBe(true);
  world.run(20 * SECOND_US);

  expect(up.sha256).toBe(sha256(bytes));
  expect(up.isBroken).toBe(false);
  expect(up.pauseUs).toBeLessThan(500 * MILLISECOND_US);
  expect([moves(ada), moves(bob), downs(ada), downs(bob)]).toEqual([0, 0, 0, 0]);
  const seconds = Math.ceil((world.nowUs - startUs) / SECOND_US);
  expect(seen.challenges).toBeGreaterThan(0);
  expect(seen.challenges).toBeLessThanOrEqual(3 * (seconds + 1));
});

test("a path that is not validated never gets more bytes than came from it", () => {
  const { world, ada, bob } = pair("amplify");
  world.lay("mallory", "bob", CABLE);
  const sent = { in: 0, out: 0 };
  world.carries = (from, to, bytes) => {
    if (from === "bob" && to === "mallory") sent.out += bytes.length;
    if (from !== "ada" || to !== "bob" || bytes[0] !== PacketType.record) return true;
    if (sent.in === 0) {
      sent.in = bytes.length;
      world.inject("mallory", "bob", bytes); // and the original never comes, nor anything after it
    }
    return false;
  };

  world.run(3 * SECOND_US); // before silence ends the link

  expect(sent.in).toBe(128);
  expect(sent.out).toBe(128);
  expect([moves(bob), downs(ada), downs(bob)]).toEqual([0, 0, 0]);
});

test.each([
  [39, "the shortest"],
  [60, "longer ones"],
  [128, "as long as our own"],
])(
  "a neighbour that asks from an address of somebody else, in records of %i bytes (%s), makes us send no more there",
  (bytes) => {
    const { world, ada, bob } = pair(`reflect-${bytes}`);
    world.lay("victim", "bob");
    const { links } = ada.inside.links as unknown as { links: Iterable<{ session: Session }> };
    const [{ session }] = [...links] as [{ session: Session }];
    const sent = { in: 0, out: 0, toAda: 0 };
    world.carries = (from, to, { length }) => {
      if (from === "bob" && to === "victim") sent.out += length;
      if (from === "bob" && to === "ada") sent.toAda += 1;
      return true;
    };
    for (let i = 0; i < 660; i += 1) {
      const record = new Uint8Array(bytes);
      const out = new Writer(record, RECORD_HEADER_BYTES).u8(RecordKind.control).u8(ControlFrame.pathChallenge);
      out.raw(world.random.bytes(PATH_TOKEN_BYTES));
      session.seal(record, 0, bytes - RECORD_OVERHEAD_BYTES);
      world.inject("victim", "bob", record);
      sent.in += bytes;
      world.run((i < 60 ? 100 : 10) * MILLISECOND_US);
      expect(sent.out).toBeLessThanOrEqual(sent.in);
    }

    expect(sent.out).toBeGreaterThan(0); // answers, and questions of our own when enough has come
    expect(sent.toAda).toBeGreaterThanOrEqual(12);
    expect(sent.toAda).toBeLessThanOrEqual(13 * (12 + 3) + 12); // answers, questions, hellos
    expect([moves(bob), downs(ada), downs(bob)]).toEqual([0, 0, 0]);
  },
);

test("old records from many addresses are replays: no answer, no state, no move", () => {
  const { world, ada, bob } = pair("replays");
  world.isRecording = true;
  world.run(20 * SECOND_US);
  const records = world.seen.filter(({ from, bytes }) => from === "ada" && bytes[0] === PacketType.record);
  for (let i = 0; i < 200; i += 1) world.lay("crowd", "bob");
  const crowd = world.node("crowd");
  const before = [bob.inside.links.index.size, bob.inside.plane.timed.filter((one) => one !== undefined).length];
  world.seen.length = 0;
  const replays = bob.stack.status().replays;
  for (const [path] of crowd.sockets.entries()) {
    for (const { bytes } of records) world.transmit(crowd, path, bytes);
  }
  world.run(10 * SECOND_US);

  expect(bob.stack.status().replays - replays).toBe(200 * records.length);
  expect(world.seen.filter(({ from, to }) => from === "bob" && to === "crowd")).toEqual([]);
  expect([bob.inside.links.index.size, bob.inside.plane.timed.filter((one) => one !== undefined).length]).toEqual(
    before,
  );
  expect([moves(bob), downs(ada), downs(bob)]).toEqual([0, 0, 0]);
});

test("a stranger who copies while the neighbour really moves keeps it from being followed for as long as he does", () => {
  const { world, bob, ada } = pair("both ways");
  race(world, false);
  world.run(5 * SECOND_US);
  world.rebind("ada", "bob");
  world.run(2 * SECOND_US);
  expect([moves(bob), downs(ada), downs(bob)]).toEqual([0, 0, 0]);

  world.carries = () => true; // the stranger is gone
  expect(world.run(3500 * MILLISECOND_US, () => moves(bob) > 0)).toBe(true);
  world.run(10 * SECOND_US);

  expect([downs(ada), downs(bob)]).toEqual([0, 0]);
  expect(bob.stack.peers(world.nowUs)).toMatchObject([{ path: bob.sockets.length - 1 }]);
});
