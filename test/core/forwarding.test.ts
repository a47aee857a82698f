import { expect, test } from "vitest";
import { Digest } from "../../core/collections/digest.js";
import { Forwarder, takeHop } from "../../core/forwarding/forwarder.js";
import { ASKED_BY_US, KeyRelay } from "../../core/forwarding/key-relay.js";
import { LoopbackQueue } from "../../core/forwarding/loopback-queue.js";
import { RouteWait } from "../../core/forwarding/route-wait.js";
import { linkKeyMaterial } from "../../core/session/key-fetch.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../../core/time/instant.js";
import { END_PACKET_BYTES, HOP_LIMIT, HOPS_OFFSET } from "../../core/wire/network-header.js";

const START_US = 50 * SECOND_US;

// Where a packet goes.

test.each([
  ["ours", true, -1, 0, { kind: "local" }],
  ["ours even with hops left over", true, 3, 32, { kind: "local" }],
  ["out of hops", false, 3, 1, { kind: "drop", reason: "hopLimit" }],
  ["out of hops and without a route", false, -1, 0, { kind: "drop", reason: "hopLimit" }],
  ["without a route", false, -1, 2, { kind: "drop", reason: "noRoute" }],
  ["for link 0", false, 0, 2, { kind: "relay", link: 0 }],
  ["for a far link", false, 140, HOP_LIMIT, { kind: "relay", link: 140 }],
] as const)("a packet that is %s is decided as such", (_what, isLocal, nextHop, hopsLeft, expected) => {
  expect(new Forwarder().decide(isLocal, nextHop, hopsLeft)).toEqual(expected);
});

test("a decision for the same link is the same object, so that forwarding allocates nothing", () => {
  const forwarder = new Forwarder();
  const first = forwarder.decide(false, 5, 9);
  expect(forwarder.decide(false, 6, 9)).not.toBe(first);
  expect(forwarder.decide(false, 5, 20)).toBe(first);
});

test("in a ring without an end a packet makes as many hops as the limit and no more", () => {
  const forwarder = new Forwarder();
  const packet = new Uint8Array(40);
  packet[7 + HOPS_OFFSET] = HOP_LIMIT;
  let hops = 0;
  while (forwarder.decide(false, 1, packet[7 + HOPS_OFFSET]!).kind === "relay") {
    takeHop(packet, 7);
    hops += 1;
  }
  expect(hops).toBe(HOP_LIMIT - 1); // and one from the sender to the first relay
  expect(packet.filter((byte) => byte !== 0)).toEqual(Uint8Array.of(1));
});

// Packets that wait for a route.

function nacOf(number: number): Uint8Array {
  return new Uint8Array(16).fill(number);
}

function packetOf(number: number): Uint8Array {
  const bytes = new Uint8Array(END_PACKET_BYTES + 13);
  bytes.fill(number, 13);
  return bytes;
}

/** Hands out what has a route. Answers packet numbers in order, and how many expired. */
function release(wait: RouteWait, nowUs: number, routed: (nac: number) => boolean) {
  const out: number[] = [];
  const expired = wait.release(
    nowUs,
    (nacs, at) => (routed(nacs[at]!) ? nacs[at]! : -1),
    (destination, packet) => {
      expect(packet.length).toBe(END_PACKET_BYTES);
      expect(destination).toBeLessThan(256);
      out.push(packet[END_PACKET_BYTES - 1]!);
    },
  );
  return { out, expired };
}

test("waiting packets leave in order when their destination has a route, the others keep theirs", () => {
  const wait = new RouteWait();
  for (const [i, nac] of [7, 8, 7, 9, 8, 7].entries()) {
    expect(wait.add(START_US + i, nacOf(nac), packetOf(i), 13)).toBe(true);
  }

  expect(release(wait, START_US + 10, (nac) => nac === 7)).toEqual({ out: [0, 2, 5], expired: 0 });
  expect(wait.waiting).toBe(3);
  expect(wait.nextTimeoutUs).toBe(START_US + 1 + SECOND_US);
  expect(release(wait, START_US + 11, () => true)).toEqual({ out: [1, 3, 4], expired: 0 });
  expect(wait.nextTimeoutUs).toBe(NEVER);
});

test("a packet waits one second and no longer", () => {
  const wait = new RouteWait();
  wait.add(START_US, nacOf(1), packetOf(1), 13);
  wait.add(START_US + 400 * MILLISECOND_US, nacOf(1), packetOf(2), 13);

  expect(release(wait, START_US + SECOND_US - 1, () => false)).toEqual({ out: [], expired: 0 });
  expect(release(wait, START_US + SECOND_US, () => false)).toEqual({ out: [], expired: 1 });
  expect(release(wait, START_US + SECOND_US, () => true)).toEqual({ out: [2], expired: 0 });
});

test("of sixty-five waiting packets the oldest goes, and the caller is told", () => {
  const wait = new RouteWait();
  for (let i = 0; i < 64; i += 1) expect(wait.add(START_US, nacOf(1), packetOf(i), 13)).toBe(true);
  expect(wait.add(START_US, nacOf(1), packetOf(64), 13)).toBe(false);
  expect(wait.waiting).toBe(64);

  const { out } = release(wait, START_US + 1, () => true);

  expect(out).toEqual(Array.from({ length: 64 }, (_, i) => i + 1));
});

test("packets that are put back while the queue is handed out are not lost and not handed out twice", () => {
  const wait = new RouteWait();
  for (let i = 0; i < 64; i += 1) wait.add(START_US, nacOf(1), packetOf(i), 13);
  let sent = 0;
  wait.release(
    START_US + 1,
    () => 1,
    (_destination, packet) => {
      sent += 1;
      wait.add(START_US + 1, nacOf(1), Uint8Array.from(packet), 0); // the route was gone again
    },
  );
  expect(sent).toBe(64);
  expect(release(wait, START_US + 2, () => true).out).toEqual(Array.from({ length: 64 }, (_, i) => i));
});

test("the digest of a queue tells contents apart", () => {
  const digestOf = (nac: number, packet: number) => {
    const wait = new RouteWait();
    wait.add(START_US, nacOf(nac), packetOf(packet), 13);
    const into = new Digest();
    wait.digest(into);
    return into.hex();
  };
  expect(digestOf(1, 1)).toBe(digestOf(1, 1));
  expect(new Set([digestOf(1, 1), digestOf(1, 2), digestOf(2, 1)]).size).toBe(3);
});

// Key requests of others.

const NONCE = new Uint8Array(8).fill(3);
const KEY = linkKeyMaterial(new Uint8Array(800));

test("a key that passed by is kept; of 1,025 keys the oldest makes room", () => {
  const relay = new KeyRelay();
  for (let i = 0; i < 1025; i += 1) relay.store(i, KEY);
  expect(relay.cached(0)).toBeUndefined();
  expect(relay.cached(1)).toBe(KEY);
  relay.store(1, KEY); // anew
  relay.store(2000, KEY);
  expect(relay.cached(1)).toBe(KEY);
  expect(relay.cached(2)).toBeUndefined();
});

test("the first asker is served by the best route, each repeat by the next backup", () => {
  const relay = new KeyRelay();
  expect(relay.ask(START_US, 5, 1, NONCE)).toBe(0);
  expect(relay.ask(START_US + 250 * MILLISECOND_US, 5, 1, NONCE)).toBe(1);
  expect(relay.ask(START_US + 750 * MILLISECOND_US, 5, 1, NONCE)).toBe(2);
});

test("a second asker waits for the request under way, and one answer is for all askers", () => {
  const relay = new KeyRelay();
  relay.ask(START_US, 5, 1, NONCE);
  const other = new Uint8Array(8).fill(9);
  expect(relay.ask(START_US + 1, 5, 2, other)).toBe("wait");
  expect(relay.ask(START_US + 2, 5, ASKED_BY_US, NONCE)).toBe("wait");
  expect(relay.isAsked(5)).toBe(true);

  const askers = relay.answer(5);

  expect(askers).toEqual([
    { link: 1, nonce: NONCE },
    { link: 2, nonce: other },
    { link: ASKED_BY_US, nonce: NONCE },
  ]);
  expect(relay.isAsked(5)).toBe(false);
  expect(relay.answer(5)).toEqual([]);
});

test("who repeats is answered once, under the newest nonce; the relay keeps no view of another's buffer", () => {
  const relay = new KeyRelay();
  const nonce = new Uint8Array(8).fill(1);
  relay.ask(START_US, 5, 1, nonce);
  nonce.fill(2);
  relay.ask(START_US + 1, 5, 1, nonce);
  nonce.fill(7);
  expect(relay.answer(5)).toEqual([{ link: 1, nonce: new Uint8Array(8).fill(2) }]);
});

test("a request is forgotten five seconds after the last asking", () => {
  const relay = new KeyRelay();
  relay.ask(START_US, 5, 1, NONCE);
  relay.ask(START_US + 4 * SECOND_US, 5, 1, NONCE);
  relay.ask(START_US + 6 * SECOND_US, 6, 1, NONCE);
  expect(relay.isAsked(5)).toBe(true);

  relay.ask(START_US + 9 * SECOND_US, 7, 1, NONCE);

  expect(relay.isAsked(5)).toBe(false);
  expect(relay.ask(START_US + 9 * SECOND_US, 5, 1, NONCE)).toBe(0);
});

test("1,024 requests and eight askers are remembered; beyond, others are refused and we are not", () => {
  const relay = new KeyRelay();
  for (let i = 0; i < 8; i += 1) expect(relay.ask(START_US, 0, i, NONCE)).not.toBe("full");
  expect(relay.ask(START_US, 0, 8, NONCE)).toBe("full");
  expect(relay.ask(START_US, 0, ASKED_BY_US, NONCE)).toBe("wait");

  for (let i = 1; i < 1024; i += 1) expect(relay.ask(START_US, i, 1, NONCE)).toBe(0);
  expect(relay.ask(START_US, 5000, 1, NONCE)).toBe("full");
  expect(relay.ask(START_US, 5000, ASKED_BY_US, NONCE)).toBe(0);
  expect(relay.ask(START_US + 6 * SECOND_US, 5001, 1, NONCE)).toBe(0); // they expired
});

test("who asks for a thousand keys that nobody has keeps no other link from asking", () => {
  const relay = new KeyRelay();
  for (let i = 0; i < 3_000; i += 1) relay.ask(START_US + i, i, 1, NONCE);
  expect(relay.ask(START_US + 3_000, 0, 2, NONCE)).toBe("wait"); // link 1 asks for it too
  for (let i = 5_000; i < 5_400; i += 1) expect(relay.ask(START_US + i, i, 2, NONCE)).toBe(0);
  for (let i = 6_000; i < 9_000; i += 1) relay.ask(START_US + i, i, 1, NONCE); // has the most: takes nobody's place
  for (let i = 5_000; i < 5_400; i += 1) expect(relay.answer(i)).toEqual([{ link: 2, nonce: NONCE }]);
  expect(relay.answer(0).map(({ link }) => link)).toContain(2); // what another waits for is not given up
});

test("links that all want as much as they can get have equal shares", () => {
  const relay = new KeyRelay();
  let destination = 0;
  for (let round = 0; round < 1_000; round += 1) {
    for (const link of [1, 1, 1, 1, 1, 1, 2, 3, 4]) relay.ask(START_US, destination++, link, NONCE);
  }
  const shares = [0, 0, 0, 0, 0];
  for (let i = 0; i < destination; i += 1) for (const { link } of relay.answer(i)) shares[link]! += 1;
  expect(shares.reduce((sum, share) => sum + share)).toBe(1_024);
  for (const link of [1, 2, 3, 4]) expect(Math.abs(shares[link]! - 256)).toBeLessThanOrEqual(2);
});

// Packets from one of our NACs to another.

function drain(queue: LoopbackQueue, nowUs = START_US): number[][] {
  const seen: number[][] = [];
  queue.drain(nowUs, (destination, packet) => seen.push([destination, packet[0]!]));
  return seen;
}

test("packets of our own to our own come out in order, as copies", () => {
  const queue = new LoopbackQueue();
  const bytes = packetOf(1);
  expect(queue.add(4, bytes, 13)).toBe(true);
  bytes.fill(2);
  expect(queue.add(5, bytes, 13)).toBe(true);

  expect(drain(queue)).toEqual([
    [4, 1],
    [5, 2],
  ]);
  expect(queue.isEmpty).toBe(true);
  expect(queue.nextTimeoutUs).toBe(NEVER);
});

test("a full queue refuses, and takes again once it was drained", () => {
  const queue = new LoopbackQueue();
  for (let i = 0; i < 256; i += 1) expect(queue.add(i, packetOf(i), 13)).toBe(true);
  expect(queue.add(256, packetOf(0), 13)).toBe(false);

  expect(drain(queue).map(([destination]) => destination)).toEqual(Array.from({ length: 256 }, (_, i) => i));
  expect(queue.add(256, packetOf(0), 13)).toBe(true);
});

test("two ends that answer each other for ever do not hold up a call: the rest is due in the next", () => {
  const queue = new LoopbackQueue();
  queue.add(1, packetOf(1), 13);
  let visits = 0;
  queue.drain(START_US, (destination) => {
    visits += 1;
    queue.add(-destination, packetOf(1), 13);
  });
  expect(visits).toBe(256);
  expect(queue.nextTimeoutUs).toBe(START_US + 1);
});
