import { expect, test } from "vitest";
import { nacFromHash } from "../../core/address/nac.js";
import { networkIdOf } from "../../core/crypto/identity.js";
import { Initiator } from "../../core/session/initiator.js";
import { answerKeyRequest, buildKeyRequest, linkKeyMaterial, readKeyRequest } from "../../core/session/key-fetch.js";
import type { LinkDownReason, StackEvent } from "../../core/stack/ports.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { LINK_DATAGRAM_BYTES, RecordKind } from "../../core/wire/control-frame.js";
import { Writer } from "../../core/wire/cursor.js";
import { PacketType } from "../../core/wire/flight.js";
import { KEY_PACKET_BYTES } from "../../core/wire/keyreq.js";
import {
  END_PACKET_BYTES,
  encodeNetworkHeader,
  NAC_OFFSET,
  NETWORK_HEADER_BYTES,
} from "../../core/wire/network-header.js";
import { RECORD_HEADER_BYTES } from "../../core/wire/record.js";
import { encodeUnknown, UNKNOWN_BYTES } from "../../core/wire/unknown.js";
import { Eavesdropper } from "../support/eavesdropper.js";
import { StackWorld, type WorldNode } from "../support/stack-world.js";

const END_PARAMS = { creditKiB: 64, streamsMax: 4, flags: 0 };

function neighbours(world: StackWorld, ...names: string[]): number[] {
  return names.map((name) => world.node(name).stack.status().neighbours);
}

function areAllUp(world: StackWorld, ...names: string[]): () => boolean {
  return () => names.every((name) => world.node(name).stack.status().routes >= names.length - 1);
}

function pings(world: StackWorld, from: string, to: string, withinUs = 2 * SECOND_US): boolean {
  const node = world.node(from);
  const id = 1000 + node.events.length;
  node.stack.ping(world.nowUs, world.node(to).nac, id);
  return world.run(withinUs, () => node.events.some((event) => event.kind === "pong" && event.id === id));
}

function downs(node: WorldNode): LinkDownReason[] {
  return node.events.flatMap((event) => (event.kind === "linkDown" ? [event.reason] : []));
}

function has(node: WorldNode, kind: StackEvent["kind"], stream: number): boolean {
  return node.events.some((event) => event.kind === kind && "stream" in event && event.stream === stream);
}

/** Accepts every stream and reads it, or not. */
function serve(world: StackWorld, host: WorldNode, isHungry = true): void {
  host.isHungry = isHungry;
  host.onEvent = (event) => {
    if (event.kind === "streamOpened") host.stack.acceptStream(world.nowUs, event.stream);
  };
}

/** Opens a stream and waits until the other end took it. */
function open(world: StackWorld, client: WorldNode, host: WorldNode): number {
  const stream = client.stack.openStream(world.nowUs, host.nac, 80);
  world.run(5 * SECOND_US, () => has(client, "streamAccepted", stream));
  expect(has(client, "streamAccepted", stream)).toBe(true);
  return stream;
}

function contains(bytes: Uint8Array, part: Uint8Array): boolean {
  return Buffer.from(bytes).includes(Buffer.from(part));
}

// One link for two ends.

test.each(Array.from({ length: 12 }, (_, i) => [i]))(
  "two ends that dial each other at once end with one link, whatever is lost and late (weather %i)",
  (seed) => {
    const cable = seed === 0 ? {} : { jitterUs: 20 * MILLISECOND_US, loss: 0.05 * (seed % 4) };
    const world = new StackWorld({ seed: `both-${seed}` })
      .lay("ada", "bob", cable)
      .dial("ada", "bob")
      .dial("bob", "ada");

    world.run(30 * SECOND_US);

    expect(neighbours(world, "ada", "bob")).toEqual([1, 1]);
    const [ada] = world.node("ada").stack.peers(world.nowUs);
    const [bob] = world.node("bob").stack.peers(world.nowUs);
    expect(ada!.incoming).toBe(!bob!.incoming);
    expect([ada!.found, bob!.found]).toEqual(["config", "config"]);
    const answered = () => pings(world, "ada", "bob"); // a ping is not repeated by itself
    expect(answered() || answered() || answered() || answered() || answered()).toBe(true);
  },
);

test.each([[0], [1], [2], [3], [4], [5]])(
  "two ends that dial each other find each other again after every outage (weather %i)",
  (seed) => {
    const world = new StackWorld({ seed: `again-${seed}` });
    world
      .lay("ada", "bob", { jitterUs: 20 * MILLISECOND_US })
      .dial("ada", "bob")
      .dial("bob", "ada");
    world.run(5 * SECOND_US);
    for (let i = 0; i < 3; i += 1) {
      world.cut("ada", "bob");
      world.run(20 * SECOND_US);
      expect(neighbours(world, "ada", "bob")).toEqual([0, 0]);
      world.mend("ada", "bob");

      expect(world.run(20 * SECOND_US, areAllUp(world, "ada", "bob"))).toBe(true);
      world.run(2 * SECOND_US);
      expect(neighbours(world, "ada", "bob")).toEqual([1, 1]);
    }
  },
);

test("a peer that dialled first is not dialled, and is dialled when its link is lost", () => {
  const world = new StackWorld().lay("ada", "bob").dial("bob", "ada");
  world.run(2 * SECOND_US);
  const ada = world.node("ada");

  world.dial("ada", "bob");
  world.run(5 * SECOND_US);
  expect(ada.stack.peers(world.nowUs)).toMatchObject([{ incoming: true, found: "config" }]);
  expect(ada.stack.status().handshakes.started).toBe(0);

  world.kill("bob");
  world.run(20 * SECOND_US);
  world.restart("bob", []); // he forgot that he knew ada
  expect(world.run(31 * SECOND_US, areAllUp(world, "ada", "bob"))).toBe(true);
  expect(ada.stack.peers(world.nowUs)).toMatchObject([{ incoming: false, found: "config" }]);
});

test("a one-way link is never up at either end", () => {
  const world = new StackWorld();
  world.lay("ada", "bob");
  world.carries = (from, _to, bytes) => from === "ada" || bytes[0] !== PacketType.record;
  world.dial("ada", "bob");

  world.run(30 * SECOND_US);

  expect(neighbours(world, "ada", "bob")).toEqual([0, 0]);
  for (const name of ["ada", "bob"]) expect(downs(world.node(name))).toEqual([]);
});

test("an outage of one direction that one end notices first costs the outage, not more", () => {
  const world = new StackWorld({ seed: "oneway" }).wire("ada", "bob");
  world.run(20 * SECOND_US);
  for (const lengthMs of [5900, 6300, 7000]) {
    world.block("bob", "ada");
    world.run(lengthMs * MILLISECOND_US);
    world.mend("ada", "bob");

    expect(world.run(3 * SECOND_US, () => pings(world, "ada", "bob", 500 * MILLISECOND_US))).toBe(true);
    world.run(60 * SECOND_US); // sooner it would be held back as one that flaps
    expect(neighbours(world, "ada", "bob")).toEqual([1, 1]);
  }
});

test("a CONF that is never confirmed leaves nothing behind", () => {
  const world = new StackWorld();
  world.lay("ada", "bob");
  let isDeaf = true;
  world.carries = (from, _to, bytes) => !(isDeaf && from === "bob" && bytes[0] === PacketType.record);
  world.dial("ada", "bob");
  const ada = world.node("ada");
  const timers = ada.inside.plane.timed.filter((one) => one !== undefined).length;

  expect(world.run(10 * SECOND_US, () => ada.stack.status().handshakes.failed === 1)).toBe(true);
  expect(ada.inside.links.index.size).toBe(0);
  expect(ada.inside.plane.timed.filter((one) => one !== undefined).length).toBe(timers);
  isDeaf = false;
  expect(world.run(5 * SECOND_US, areAllUp(world, "ada", "bob"))).toBe(true);
});

test("a node that dials its own address keeps no link to itself and tries ever more rarely", () => {
  const world = new StackWorld();
  const ada = world.node("ada");
  ada.sockets.push({ peer: ada, peerPath: 0, cable: {}, isCut: false });
  ada.stack.addPeer(world.nowUs, 0, undefined);

  world.run(60 * SECOND_US);

  expect(ada.stack.status().neighbours).toBe(0);
  expect(ada.stack.status().handshakes.started).toBeLessThan(12);
  expect(downs(ada)).toEqual([]);
});

// Pins.

test("a peer with the right pin is pinned, without one it is not", () => {
  const world = new StackWorld().lay("ada", "bob").wire("cyd", "bob");
  world.dial("ada", "bob", world.pinOf("bob"));

  expect(world.run(2 * SECOND_US, areAllUp(world, "ada", "bob", "cyd"))).toBe(true);

  expect(world.node("ada").stack.peers(world.nowUs)).toMatchObject([{ pinned: true, incoming: false }]);
  expect(world.node("cyd").stack.peers(world.nowUs)).toMatchObject([{ pinned: false, incoming: false }]);
  expect(world.node("bob").stack.peers(world.nowUs)).toMatchObject([{ pinned: false }, { pinned: false }]);
});

test("an address given without a pin and then with a wrong one is held to the pin", () => {
  const world = new StackWorld().lay("ada", "bob");
  const pin = world.pinOf("bob");
  pin[31]! ^= 1;
  world.dial("ada", "bob", undefined);
  world.dial("ada", "bob", pin);

  world.run(5 * SECOND_US);

  expect(world.node("ada").stack.status()).toMatchObject({ neighbours: 0 });
});

test("a wrong pin is refused and counted, and no link comes", () => {
  const world = new StackWorld().lay("ada", "bob");
  const pin = world.pinOf("bob");
  pin[31]! ^= 1;
  world.dial("ada", "bob", pin);

  world.run(20 * SECOND_US);

  expect(neighbours(world, "ada", "bob")).toEqual([0, 0]);
  expect(world.node("ada").stack.status().drops.badKey).toBeGreaterThan(0);
  expect(world.node("ada").stack.status().handshakes.started).toBe(0);
});

test("a pinned peer is dialled though it dialled first, and one link is left, which keeps the pin", () => {
  for (const seed of ["p1", "p2", "p3", "p4"]) {
    const world = new StackWorld({ seed }).lay("ada", "bob").dial("bob", "ada");
    world.run(2 * SECOND_US);
    world.dial("ada", "bob", world.pinOf("bob"));
    world.run(SECOND_US);
    const ada = world.node("ada");
    const pinned = () => ada.stack.peers(world.nowUs).filter((peer) => peer.pinned);
    expect(pinned().length).toBe(1);
    const [first] = pinned();

    world.run(60 * SECOND_US);

    expect(first!.pinned).toBe(true);
    expect(ada.stack.peers(world.nowUs)).toMatchObject([{ pinned: true, found: "config" }]);
  }
});

// Restarts and successors.

test("the restart of a listening end is found by its hint, well before the silence is noticed", () => {
  const world = new StackWorld({ seed: "hint" }).wire("ada", "bob");
  world.run(5 * SECOND_US);

  world.restart("bob", []);

  expect(world.run(4 * SECOND_US, () => world.node("bob").stack.status().neighbours === 1)).toBe(true);
  world.run(2 * SECOND_US);
  expect(downs(world.node("ada"))).toEqual(["replaced"]);
  expect(pings(world, "ada", "bob")).toBe(true);
});

test("a relay with forty restless neighbours hints to all of them in time", () => {
  const world = new StackWorld({ seed: "hub" });
  const names = Array.from({ length: 40 }, (_, i) => `n${i}`);
  for (const name of names) world.wire(name, "hub");
  world.run(5 * SECOND_US);
  expect(world.node("hub").stack.status().neighbours).toBe(40);
  expect(
    new Set(
      world
        .node("hub")
        .stack.peers(world.nowUs)
        .map(({ link }) => link),
    ).size,
  ).toBe(40);

  world.restart("hub", []);

  expect(world.run(5 * SECOND_US, () => world.node("hub").stack.status().neighbours === 40)).toBe(true);
  world.run(2 * SECOND_US);
  for (const name of names) expect(downs(world.node(name))).toEqual(["replaced"]);
});

test("hints that a stranger forges start a handshake a second at most and never end a link", () => {
  const world = new StackWorld({ seed: "forged" }).wire("ada", "bob");
  world.isRecording = true;
  world.run(5 * SECOND_US);
  const index = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  const ada = world.node("ada");
  const started = ada.stack.status().handshakes.started;
  for (let i = 0; i < 100; i += 1) {
    const record = world.seen.filter(({ from, bytes }) => from === "ada" && bytes[0] === PacketType.record).at(-1)!;
    const hint = new Uint8Array(UNKNOWN_BYTES);
    encodeUnknown(new Writer(hint), { index: index(record.bytes) });
    world.inject("bob", "ada", hint);
    world.run(100 * MILLISECOND_US);
    expect(areAllUp(world, "ada", "bob")()).toBe(true);
  }
  expect(ada.stack.status().handshakes.started - started).toBeLessThanOrEqual(11);
  world.run(10 * SECOND_US);
  expect(neighbours(world, "ada", "bob")).toEqual([1, 1]);
});

test("a link whose session wears out gets a successor, and no route is ever lost meanwhile", () => {
  const world = new StackWorld({ seed: "wear", sessionLimits: { numbersMax: 500 } });
  world.line("ada", "bob", "cyd");
  expect(world.run(5 * SECOND_US, areAllUp(world, "ada", "bob", "cyd"))).toBe(true);
  const [ada, bob, cyd] = [world.node("ada"), world.node("bob"), world.node("cyd")];
  serve(world, cyd);
  let least = 9;
  for (let i = 0; i < 8; i += 1) {
    const stream = open(world, ada, cyd);
    ada.stack.write(world.nowUs, stream, world.random.bytes(100_000));
    ada.stack.finish(world.nowUs, stream);
    world.run(4 * SECOND_US, () => {
      least = Math.min(least, ...[ada, bob, cyd].map((node) => node.stack.status().routes));
      return false;
    });
    expect(has(cyd, "streamReset", i + 1)).toBe(false);
  }
  world.run(20 * SECOND_US);

  expect(least).toBeGreaterThanOrEqual(2);
  expect([...cyd.received.values()].map((parts) => parts.reduce((sum, part) => sum + part.length, 0))).toEqual(
    Array(8).fill(100_000),
  );
  expect(downs(ada).length).toBeGreaterThanOrEqual(2);
  for (const reason of [...downs(ada), ...downs(bob), ...downs(cyd)]) expect(["replaced", "bye"]).toContain(reason);
  expect(neighbours(world, "ada", "bob", "cyd")).toEqual([1, 2, 1]);
});

test("a worn-out end-to-end session gets no new streams, and one at its end resets those it has", () => {
  const world = new StackWorld({ seed: "wear-end", sessionLimits: { numbersMax: 700 } });
  world.wire("ada", "bob");
  world.run(2 * SECOND_US);
  const [ada, bob] = [world.node("ada"), world.node("bob")];
  serve(world, bob);
  const first = open(world, ada, bob);
  ada.stack.write(world.nowUs, first, world.random.bytes(400_000));
  world.run(5 * SECOND_US);
  expect(ada.stack.status().sessions).toBe(1);

  const second = open(world, ada, bob);

  expect(ada.stack.status().sessions).toBe(2);
  ada.onEvent = (event) => {
    if (event.kind === "streamWritable") ada.stack.write(world.nowUs, event.stream, new Uint8Array(400_000));
  };
  for (let i = 0; i < 4; i += 1) ada.stack.write(world.nowUs, second, new Uint8Array(400_000));
  expect(world.run(60 * SECOND_US, () => has(ada, "streamReset", second))).toBe(true);
  expect(ada.events).toContainEqual({ kind: "streamReset", stream: second, code: 7 });
  expect(has(ada, "streamReset", first)).toBe(false);
});

// Strangers.

test("links that others open are bounded; our own peers find room beside them", () => {
  const world = new StackWorld({ seed: "crowd" });
  for (let i = 0; i < 135; i += 1) world.lay("crowd", "bob");
  const crowd = world.node("crowd");
  for (let path = 0; path < 135; path += 1) crowd.stack.addPeer(world.nowUs, path, undefined);
  world.run(3 * SECOND_US);
  const bob = world.node("bob");
  expect(bob.stack.status().neighbours).toBe(128);
  expect(bob.stack.status().drops.linkLimit).toBeGreaterThan(0);

  world.lay("bob", "cyd").dial("bob", "cyd");
  world.run(2 * SECOND_US);

  expect(world.node("cyd").stack.status().neighbours).toBe(1);
  expect(bob.stack.status().neighbours).toBe(129);
});

/** `node` is told that all paths to one of the others are one machine's, as a shell with IP addresses would. */
function tellCrowds(world: StackWorld, node: WorldNode): void {
  const names = [...world.nodes.keys()];
  const { stack } = node;
  const handle = stack.handleDatagram.bind(stack);
  stack.handleDatagram = (nowUs, path, bytes, at, length) =>
    handle(nowUs, path, bytes, at, length, names.indexOf(node.sockets[path]!.peer.name));
}

/** How many links `node` has to each of the others. */
function shares(world: StackWorld, node: WorldNode): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { path } of node.stack.peers(world.nowUs)) {
    const { name } = node.sockets[path]!.peer;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

test("one machine with many ports leaves room for others, and pushes nobody out", () => {
  const world = new StackWorld({ seed: "many-ports" });
  world.lay("ada", "bob").lay("cyd", "bob").lay("dan", "bob");
  for (let i = 0; i < 140; i += 1) world.lay("mallory", "bob");
  const [bob, mallory] = [world.node("bob"), world.node("mallory")];
  tellCrowds(world, bob);
  world.dial("ada", "bob");
  world.run(SECOND_US);
  for (let path = 0; path < 140; path += 1) mallory.stack.addPeer(world.nowUs, path, undefined);
  world.run(5 * SECOND_US);
  expect(shares(world, bob)).toEqual({ ada: 1, mallory: 127 });
  const oldest = bob.stack.peers(world.nowUs).slice(0, 100);

  world.dial("cyd", "bob").dial("dan", "bob");
  world.run(40 * SECOND_US); // mallory dials on

  expect(shares(world, bob)).toEqual({ ada: 1, cyd: 1, dan: 1, mallory: 125 });
  expect(downs(bob)).toEqual(["crowded", "crowded"]);
  expect([...downs(world.node("ada")), ...downs(world.node("cyd"))]).toEqual([]);
  const left = bob.stack.peers(world.nowUs).map(({ link, path }) => `${link} ${path}`);
  expect(left).toEqual(expect.arrayContaining(oldest.map(({ link, path }) => `${link} ${path}`)));
});

test("machines that want more than there is share alike, and then nothing changes any more", () => {
  const world = new StackWorld({ seed: "alike" });
  const names = ["mallory", "trudy", "oscar"];
  for (const name of names) for (let i = 0; i < 46; i += 1) world.lay(name, "bob");
  const bob = world.node("bob");
  tellCrowds(world, bob);
  for (const name of names) {
    for (let path = 0; path < 46; path += 1) world.node(name).stack.addPeer(world.nowUs, path, undefined);
    world.run(3 * SECOND_US);
  }
  world.run(10 * SECOND_US);
  expect(Object.values(shares(world, bob)).sort()).toEqual([42, 43, 43]);
  const before = downs(bob).length;

  world.run(20 * SECOND_US);

  expect(downs(bob).length).toBe(before);
});

test("handshakes begun again and again on one path hold one place", () => {
  const world = new StackWorld({ seed: "again-and-again" });
  world.lay("mallory", "bob");
  world.carries = (_from, _to, bytes) => bytes[0] !== PacketType.record; // nobody is ever echoed
  world.dial("mallory", "bob");
  const bob = world.node("bob");
  let most = 0;
  for (let i = 0; i < 8; i += 1) {
    world.restart("mallory", ["bob"]);
    world.run(700 * MILLISECOND_US, () => {
      most = Math.max(most, bob.inside.links.index.size);
      return false;
    });
  }
  expect(bob.stack.status().handshakes.done).toBeGreaterThan(4);
  expect(most).toBe(1);
});

test("a flood of INITs, genuine ones repeated among them, leaves no state", () => {
  const world = new StackWorld({ seed: "flood" }).wire("mallory", "bob");
  world.isRecording = true;
  world.run(3 * SECOND_US);
  const init = world.seen.find(({ bytes }) => bytes[0] === PacketType.init)!.bytes;
  world.kill("mallory");
  world.run(30 * SECOND_US);
  const bob = world.node("bob");
  const before = bob.inside.links.index.size;
  for (let i = 0; i < 300; i += 1) {
    const bytes = init.slice();
    if (i % 3 !== 0) bytes[4 + world.random.below(1180)]! ^= 1 << world.random.below(8); // all but mac2
    world.inject("mallory", "bob", bytes);
  }
  world.run(100 * MILLISECOND_US);

  expect(bob.inside.links.index.size).toBe(before);
  expect(bob.stack.status().drops.handshake).toBe(200);
  expect(bob.stack.status().neighbours).toBe(0);
});

test("a NAC's key is not given at an IP address", () => {
  const world = new StackWorld().lay("mallory", "bob");
  world.isRecording = true;
  const bob = world.node("bob");
  const networkId = networkIdOf(world.suite, "world");
  world.inject("mallory", "bob", buildKeyRequest(networkId, bob.nac, new Uint8Array(8)));
  world.run(SECOND_US);
  expect(world.seen).toEqual([]);
  expect(bob.stack.status().drops.notOurs).toBe(1);

  world.inject("mallory", "bob", buildKeyRequest(networkId, undefined, new Uint8Array(8)));
  world.run(SECOND_US);

  expect(world.seen.map(({ from, bytes }) => [from, bytes[0]])).toEqual([["bob", PacketType.keyResponse]]);
});

test("NACs that nobody announced do not get into the dictionary, whoever names them", () => {
  const world = new StackWorld({ seed: "junk" }).line("ada", "bob", "cyd");
  expect(world.run(5 * SECOND_US, areAllUp(world, "ada", "bob", "cyd"))).toBe(true);
  const [ada, bob, cyd] = [world.node("ada"), world.node("bob"), world.node("cyd")];
  const sizes = () => [bob, cyd].map((node) => node.inside.ports.dictionary.size);
  const before = sizes();
  const networkId = networkIdOf(world.suite, "world");
  const context = { suite: world.suite, entropy: (length: number) => world.random.bytes(length), networkId };
  const junkNac = () => nacFromHash(world.random.bytes(32));
  for (let i = 0; i < 40; i += 1) {
    // A packet to nowhere, a key request for nobody, and an INIT to cyd that wants its answer sent to nobody.
    const packet = new Uint8Array(LINK_DATAGRAM_BYTES);
    encodeNetworkHeader(packet, RECORD_HEADER_BYTES, 32, 0);
    packet.set(junkNac(), RECORD_HEADER_BYTES + NAC_OFFSET);
    ada.inside.links.forward(ada.linkTo("bob"), packet, 0);

    const request = buildKeyRequest(networkId, junkNac(), world.random.bytes(8));
    ada.inside.links.sendKeyPacket(ada.linkTo("bob"), RecordKind.keyRequest, 32, request);

    const initiator = new Initiator(context, {
      peerPublicKey: cyd.identity.kem.publicKey,
      returnNac: junkNac(),
      params: END_PARAMS,
      flightBytes: END_PACKET_BYTES,
      localIndex: i + 1,
    });
    encodeNetworkHeader(packet, RECORD_HEADER_BYTES, 32, 0);
    packet.set(cyd.nac, RECORD_HEADER_BYTES + NAC_OFFSET);
    packet.set(initiator.start(world.nowUs)!, RECORD_HEADER_BYTES + NETWORK_HEADER_BYTES);
    ada.inside.links.forward(ada.linkTo("bob"), packet, 0);
    world.run(30 * MILLISECOND_US);
  }
  world.run(2 * SECOND_US);

  expect(sizes()).toEqual(before);
  expect(bob.stack.status().drops.noRoute).toBe(80);
  expect(cyd.stack.status().drops.noRoute + cyd.stack.status().drops.waitLimit).toBe(40); // the answers, after a second
  expect(cyd.stack.status().sessions).toBe(0);
});

// Keys by hops.

test("a lying KEYRESP is dropped and counted, and the true one still counts", () => {
  const world = new StackWorld({ seed: "liar" }).line("ada", "bob", "cyd");
  expect(world.run(5 * SECOND_US, areAllUp(world, "ada", "bob", "cyd"))).toBe(true);
  const [ada, bob, cyd] = [world.node("ada"), world.node("bob"), world.node("cyd")];
  serve(world, cyd);
  world.block("cyd", "bob");
  const stream = ada.stack.openStream(world.nowUs, cyd.nac, 80);
  world.run(100 * MILLISECOND_US);

  const networkId = networkIdOf(world.suite, "world");
  const asked = buildKeyRequest(networkId, cyd.nac, new Uint8Array(8));
  const request = readKeyRequest(networkId, asked, 0, asked.length);
  if (typeof request === "string") throw new Error(request);
  const lie = answerKeyRequest(request, linkKeyMaterial(bob.identity.kem.publicKey));
  bob.inside.links.sendKeyPacket(bob.linkTo("ada"), RecordKind.keyResponse, 0, lie);
  world.run(100 * MILLISECOND_US);
  expect(ada.stack.status().drops.badKey).toBe(1);
  expect(has(ada, "streamReset", stream)).toBe(false);

  world.mend("bob", "cyd");
  expect(world.run(5 * SECOND_US, () => has(ada, "streamAccepted", stream))).toBe(true);
});

test("a key that passed by is given by the first hop that holds it", () => {
  const keyRequests = new Map<string, number>();
  const world = new StackWorld({
    seed: "cache",
    onSeal: (node, plaintext) => {
      const isRequest = plaintext[0] === RecordKind.keyRequest && plaintext.length === 2 + KEY_PACKET_BYTES;
      if (isRequest) keyRequests.set(node, (keyRequests.get(node) ?? 0) + 1);
    },
  });
  world.line("ada", "bob", "cyd", "dan", "eve").wire("fay", "bob");
  const names = ["ada", "bob", "cyd", "dan", "eve", "fay"];
  expect(world.run(5 * SECOND_US, areAllUp(world, ...names))).toBe(true);
  serve(world, world.node("eve"));
  open(world, world.node("ada"), world.node("eve"));
  expect(Object.fromEntries(keyRequests)).toEqual({ ada: 1, bob: 1, cyd: 1, dan: 1 });
  keyRequests.clear();

  open(world, world.node("fay"), world.node("eve"));

  expect(Object.fromEntries(keyRequests)).toEqual({ fay: 1 });
});

// Our two addresses.

test("the client NAC is announced at the first request and withdrawn ten minutes after the last", () => {
  const world = new StackWorld({ seed: "client" }).line("ada", "bob", "cyd");
  expect(world.run(5 * SECOND_US, areAllUp(world, "ada", "bob", "cyd"))).toBe(true);
  world.run(30 * SECOND_US);
  const [ada, cyd] = [world.node("ada"), world.node("cyd")];
  expect(cyd.stack.status().routes).toBe(2);
  expect(pings(world, "ada", "ada")).toBe(true);
  expect(cyd.stack.status().routes).toBe(2); // our own service needs no announcement

  serve(world, cyd);
  ada.stack.reset(world.nowUs, open(world, ada, cyd), 3);
  expect(cyd.stack.status().routes).toBe(3);
  world.run(590 * SECOND_US);
  expect(cyd.stack.status().routes).toBe(3);
  world.run(150 * SECOND_US);

  expect(cyd.stack.status().routes).toBe(2);
  expect(pings(world, "ada", "cyd")).toBe(true);
});

test("no message and no session of a node names both its NACs", () => {
  const plaintexts: Uint8Array[] = [];
  const ear = new Eavesdropper();
  const world = new StackWorld({
    seed: "two",
    onSeal: (node, plaintext, key) => {
      if (node === "ada") plaintexts.push(ear.unfold(plaintext, key));
    },
  });
  world.line("ada", "bob", "cyd");
  expect(world.run(5 * SECOND_US, areAllUp(world, "ada", "bob", "cyd"))).toBe(true);
  const [ada, cyd] = [world.node("ada"), world.node("cyd")];
  serve(world, cyd);
  open(world, ada, cyd);
  const client = cyd.stack
    .routes()
    .find(({ nac }) => ![ada, world.node("bob")].some((node) => sameNac(node.nac, nac)))!;

  world.wire("ada", "zoe"); // a new neighbour hears of both, one by one
  world.run(2 * SECOND_US);
  world.restart("bob", ["cyd"]);
  world.run(10 * SECOND_US);

  expect(world.node("zoe").stack.status().routes).toBe(4);
  expect(plaintexts.some((bytes) => contains(bytes, ada.nac))).toBe(true);
  expect(plaintexts.some((bytes) => contains(bytes, client.nac))).toBe(true);
  expect(plaintexts.filter((bytes) => contains(bytes, ada.nac) && contains(bytes, client.nac)).length).toBe(0);
});

function sameNac(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

// Packets on their way.

test("a packet in a loop is dropped when its hops are used up", () => {
  const world = new StackWorld({ seed: "loop" }).line("ada", "bob", "cyd", "dan");
  expect(world.run(5 * SECOND_US, areAllUp(world, "ada", "bob", "cyd", "dan"))).toBe(true);
  const [ada, bob, cyd, dan] = ["ada", "bob", "cyd", "dan"].map((name) => world.node(name)) as [
    WorldNode,
    WorldNode,
    WorldNode,
    WorldNode,
  ];
  const destination = cyd.inside.ports.dictionary.find(dan.nac);
  const back = cyd.linkTo("bob");
  const trueHop = cyd.inside.plane.routing.nextHop.bind(cyd.inside.plane.routing);
  cyd.inside.plane.routing.nextHop = (one) => (one === destination ? back : trueHop(one));
  const packet = new Uint8Array(LINK_DATAGRAM_BYTES);
  encodeNetworkHeader(packet, RECORD_HEADER_BYTES, 32, 0);
  packet.set(dan.nac, RECORD_HEADER_BYTES + NAC_OFFSET);
  world.isRecording = true;

  ada.inside.links.forward(ada.linkTo("bob"), packet, 0);
  world.run(500 * MILLISECOND_US);

  const hops = world.seen.filter(({ bytes }) => bytes.length === LINK_DATAGRAM_BYTES).length;
  expect(hops).toBe(32);
  expect(bob.stack.status().drops.hopLimit + cyd.stack.status().drops.hopLimit).toBe(1);
});

test("a shutdown says BYE, and the routes are gone a moment later", () => {
  const world = new StackWorld({ seed: "bye" }).line("ada", "bob", "cyd");
  expect(world.run(5 * SECOND_US, areAllUp(world, "ada", "bob", "cyd"))).toBe(true);
  const stream = world.node("ada").stack.openStream(world.nowUs, world.node("cyd").nac, 80);
  serve(world, world.node("cyd"));
  world.run(SECOND_US);

  world.node("cyd").stack.shutdown(world.nowUs);
  world.kill("cyd");
  world.run(300 * MILLISECOND_US);

  expect(downs(world.node("bob"))).toEqual(["bye"]);
  expect(downs(world.node("cyd"))).toEqual(["shutdown"]);
  expect(world.node("ada").stack.status().routes).toBe(1);
  expect(world.node("ada").events).toContainEqual({ kind: "streamReset", stream, code: 7 });
});

// What is left behind.

test("a stream that waits for a node that died is reset, at both ends", () => {
  const world = new StackWorld({ seed: "died" }).line("ada", "bob", "cyd");
  expect(world.run(5 * SECOND_US, areAllUp(world, "ada", "bob", "cyd"))).toBe(true);
  const [ada, bob, cyd] = [world.node("ada"), world.node("bob"), world.node("cyd")];
  serve(world, cyd);
  serve(world, bob);
  const waiting = open(world, ada, cyd);
  const served = cyd.stack.openStream(world.nowUs, bob.nac, 80);
  world.run(60 * SECOND_US); // a quiet stream to a living node is kept
  expect(ada.stack.status().streams).toBe(1);

  world.kill("cyd");
  world.run(31 * SECOND_US);

  expect(ada.events).toContainEqual({ kind: "streamReset", stream: waiting, code: 7 });
  expect(bob.events.some((event) => event.kind === "streamReset" && event.code === 7)).toBe(true);
  expect(has(cyd, "streamAccepted", served)).toBe(true);
  for (const node of [ada, bob]) expect(node.stack.status()).toMatchObject({ streams: 0, sessions: 0 });
});

test("a session without streams closes after two minutes and leaves nothing", () => {
  const world = new StackWorld({ seed: "idle" }).wire("ada", "bob");
  world.run(2 * SECOND_US);
  const [ada, bob] = [world.node("ada"), world.node("bob")];
  const timers = [ada, bob].map((node) => node.inside.plane.timed.filter((one) => one !== undefined).length);
  expect(pings(world, "ada", "bob")).toBe(true);
  world.run(115 * SECOND_US);
  expect(ada.stack.status().sessions).toBe(1);

  world.run(10 * SECOND_US);

  for (const node of [ada, bob]) {
    expect(node.stack.status()).toMatchObject({ sessions: 0, streams: 0 });
    expect(node.inside.ends.index.size).toBe(0);
    expect(node.inside.ends.contacts.all.size).toBe(0);
  }
  expect([ada, bob].map((node) => node.inside.plane.timed.filter((one) => one !== undefined).length)).toEqual(timers);
});

test("a request that is taken back before there was a route leaves nothing to look for", () => {
  const world = new StackWorld({ seed: "cancel" }).wire("ada", "bob");
  world.run(2 * SECOND_US);
  const ada = world.node("ada");
  for (let i = 0; i < 50; i += 1) {
    const stream = ada.stack.openStream(world.nowUs, nacFromHash(world.random.bytes(32)), 80);
    world.run(MILLISECOND_US);
    ada.stack.reset(world.nowUs, stream, 3);
  }
  expect(ada.inside.ends.contacts.all.size).toBe(0);
  expect(ada.inside.ends.contacts.seekers.size).toBe(0);
  expect(ada.stack.status().streams).toBe(0);
});

test("more wishes for one NAC than a session has streams are answered with overload", () => {
  const world = new StackWorld().wire("ada", "bob");
  const ada = world.node("ada");
  const nobody = nacFromHash(world.random.bytes(32));
  const streams = Array.from({ length: 1030 }, () => ada.stack.openStream(world.nowUs, nobody, 80));
  const overloads = ada.events.filter((event) => event.kind === "streamReset" && event.code === 6);
  expect(overloads.length).toBe(6);
  world.run(11 * SECOND_US);
  expect(ada.events.filter((event) => event.kind === "streamReset").length).toBe(streams.length);
  expect(ada.stack.status().streams).toBe(0);
});

test("two hundred streams at once all come through", () => {
  const world = new StackWorld({ seed: "many" }).wire("ada", "bob");
  world.run(2 * SECOND_US);
  const [ada, bob] = [world.node("ada"), world.node("bob")];
  bob.onEvent = (event) => {
    if (event.kind === "streamOpened") bob.stack.acceptStream(world.nowUs, event.stream);
    if (event.kind !== "streamFinished") return;
    bob.stack.write(world.nowUs, event.stream, bob.bytesReceived(event.stream));
    bob.stack.finish(world.nowUs, event.stream);
  };
  const asked = new Map<number, Uint8Array>();
  ada.onEvent = (event) => {
    if (event.kind !== "streamWritable") return;
    ada.stack.write(world.nowUs, event.stream, asked.get(event.stream)!);
    ada.stack.finish(world.nowUs, event.stream);
  };
  for (let i = 0; i < 200; i += 1) {
    asked.set(ada.stack.openStream(world.nowUs, bob.nac, 80), world.random.bytes(world.random.between(1, 2500)));
  }

  const finished = () => ada.events.filter((event) => event.kind === "streamFinished").length;
  expect(world.run(20 * SECOND_US, () => finished() === 200)).toBe(true);

  for (const [stream, bytes] of asked) expect(ada.bytesReceived(stream)).toEqual(bytes);
  world.run(SECOND_US);
  for (const node of [ada, bob]) expect(node.stack.status()).toMatchObject({ streams: 0, sessions: 1 });
});

test("a reader that does not read bounds what is under way, and gets the rest when it reads", () => {
  const world = new StackWorld({ seed: "slow" }).line("ada", "bob", "cyd");
  expect(world.run(5 * SECOND_US, areAllUp(world, "ada", "bob", "cyd"))).toBe(true);
  const [ada, cyd] = [world.node("ada"), world.node("cyd")];
  serve(world, cyd, false);
  const stream = open(world, ada, cyd);
  const total = 4_000_000;
  let sent = 0;
  const chunk = new Uint8Array(64_000);
  const push = () => {
    for (;;) {
      const taken = ada.stack.write(world.nowUs, stream, chunk.subarray(0, Math.min(chunk.length, total - sent)));
      sent += taken;
      if (taken < chunk.length) break;
    }
    if (sent === total) ada.stack.finish(world.nowUs, stream);
  };
  ada.onEvent = (event) => {
    if (event.kind === "streamWritable") push();
  };
  push();
  world.run(20 * SECOND_US);
  const delivered = () => [...cyd.received.values()].flat().reduce((sum, part) => sum + part.length, 0);
  expect(delivered()).toBe(1 << 20); // the first credit of a stream
  expect(sent - delivered()).toBeLessThanOrEqual(512 * 1024);

  cyd.isHungry = true;
  cyd.consumed.push({ stream: 1, bytes: delivered() });
  expect(world.run(30 * SECOND_US, () => has(cyd, "streamFinished", 1))).toBe(true);

  expect(delivered()).toBe(total);
});

test("a reset in the middle of a transfer frees both ends", () => {
  const world = new StackWorld({ seed: "reset" }).wire("ada", "bob");
  world.run(2 * SECOND_US);
  const [ada, bob] = [world.node("ada"), world.node("bob")];
  serve(world, bob, false);
  for (const whose of ["ada", "bob"]) {
    const stream = open(world, ada, bob);
    ada.stack.write(world.nowUs, stream, new Uint8Array(500_000));
    world.run(20 * MILLISECOND_US);
    const served = bob.events.findLast((event) => event.kind === "streamOpened");
    if (whose === "ada") ada.stack.reset(world.nowUs, stream, 3);
    else if (served?.kind === "streamOpened") bob.stack.reset(world.nowUs, served.stream, 3);

    world.run(SECOND_US);

    for (const node of [ada, bob]) expect(node.stack.status().streams).toBe(0);
    const [mine, theirs] = whose === "ada" ? [ada, bob] : [bob, ada];
    expect(theirs.events.at(-1)).toMatchObject({ kind: "streamReset", code: 3 });
    expect(mine.events.at(-1)?.kind).not.toBe("streamReset");
  }
});

test("links that come and go reuse their numbers and their timers", () => {
  const world = new StackWorld({ seed: "churn" }).wire("ada", "bob").wire("ada", "cyd");
  world.run(5 * SECOND_US);
  const ada = world.node("ada");
  const before = ada.inside.plane.timed.length;
  for (let i = 0; i < 15; i += 1) {
    world.restart(i % 2 === 0 ? "bob" : "cyd", []);
    world.run(4 * SECOND_US);
  }
  world.run(20 * SECOND_US);
  expect(neighbours(world, "ada", "bob", "cyd")).toEqual([2, 1, 1]);
  expect(ada.inside.plane.timed.length).toBeLessThanOrEqual(before + 2);
  expect(ada.inside.links.index.size).toBe(2);
  for (const { link } of ada.stack.peers(world.nowUs)) expect(link).toBeLessThan(4);
});

test("a node with eight neighbours says hello to all of them in one go, and each hears it every two seconds", () => {
  const names = [..."abcdefgh"];
  const world = new StackWorld({ seed: "together" });
  for (const name of names) world.wire("hub", name);
  world.run(20 * SECOND_US);
  const fromUs = world.nowUs;
  world.isRecording = true;
  world.run(60 * SECOND_US);

  const said = world.seen.filter(({ from }) => from === "hub");
  const times = [...new Set(said.map(({ atUs }) => atUs))];
  expect(said.length).toBeGreaterThanOrEqual(8 * 29);
  expect(times.length).toBeLessThan(said.length / 4);
  for (const name of names) {
    const heard = [fromUs, ...said.filter(({ to }) => to === name).map(({ atUs }) => atUs), world.nowUs];
    const gaps = heard.slice(1).map((atUs, i) => atUs - heard[i]!);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(2 * SECOND_US);
  }
});

test("nodes that start in one moment do not say hello in one moment for long", () => {
  const world = new StackWorld({ seed: "in step" });
  for (const name of [..."abcdefgh"]) world.wire(`${name}1`, `${name}2`);
  world.run(120 * SECOND_US);
  world.isRecording = true;
  world.run(2 * SECOND_US);

  const phases = [..."abcdefgh"].map((name) => world.seen.find(({ from }) => from === `${name}1`)!.atUs).sort();
  expect(phases.at(-1)! - phases[0]!).toBeGreaterThan(500 * MILLISECOND_US);
});

test("a link whose hellos leave with those of others is looked after like any other: it ends when its neighbour stalls", () => {
  const names = [..."abcdef"];
  const world = new StackWorld({ seed: "attended" });
  for (const name of names) world.wire("hub", name);
  world.run(20 * SECOND_US);
  for (const name of names) {
    const routing = world.node(name).inside.plane.routing as unknown as { handleFrame: () => boolean };
    routing.handleFrame = () => true;
    Object.assign(routing, { controlProcessed: () => 0 });
  }
  const hub = world.node("hub");
  world.wire("hub", "news");
  world.run(12_500 * MILLISECOND_US); // ten seconds, and the longest way to the next hello

  expect(downs(hub).filter((reason) => reason === "stalled")).toHaveLength(names.length);
});
