/** Floods of first flights against whole stacks: what they cost, what they leave, and what strangers get back. */
import { describe, expect, test } from "vitest";
import { Digest } from "../../core/collections/digest.js";
import { networkIdOf } from "../../core/crypto/identity.js";
import { drawIndex, type SessionContext } from "../../core/session/context.js";
import { CALM_INITS } from "../../core/session/cookie-gate.js";
import { INIT_WAIT_US, INITS_PER_LINK, InitQueue, SERVED_BURST, SERVED_INITS } from "../../core/session/init-queue.js";
import { Initiator } from "../../core/session/initiator.js";
import { buildKeyRequest } from "../../core/session/key-fetch.js";
import { END_PARAMS } from "../../core/stack/end-session.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../../core/time/instant.js";
import { encodeNetworkHeader, NAC_OFFSET, NETWORK_HEADER_BYTES } from "../../core/wire/network-header.js";
import { RECORD_HEADER_BYTES } from "../../core/wire/record.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import { anyNac, END_BYTES, LINK_BYTES } from "../support/handshake-pair.js";
import { LoneStack } from "../support/lone-stack.js";
import { createModelledSuite } from "../support/modelled-suite.js";
import { type Random, randomFrom } from "../support/random.js";
import { type StackInside, StackWorld, type WorldNode } from "../support/stack-world.js";

const modelled = createModelledSuite();
const LINK_PARAMS = { creditKiB: 0, streamsMax: 0, flags: 0 };

interface Digesting {
  digest(into: Digest): void;
}

/** The stack's own books, counters left out. */
function booksOf(lone: LoneStack) {
  const { links, ends, plane, ports } = lone.stack as unknown as StackInside & { links: Digesting; ends: Digesting };
  const into = new Digest();
  links.digest(into);
  ends.digest(into);
  return {
    digest: into.hex(),
    linkNumbers: links.index.size,
    endNumbers: ends.index.size,
    contacts: ends.contacts.all.size,
    timers: plane.timed.filter((one) => one !== undefined).length,
    nacs: ports.dictionary.size,
    peers: lone.stack.peers(lone.nowUs).length,
  };
}

function linkInit(lone: LoneStack): Initiator {
  return new Initiator(lone.context, {
    peerPublicKey: lone.linkKeys.publicKey,
    params: LINK_PARAMS,
    flightBytes: LINK_BYTES,
    localIndex: drawIndex(lone.context.entropy),
  });
}

describe("INITs on a link", () => {
  test("a hundred thousand with a bad mac1 from four thousand paths change nothing but counters, and get no byte", () => {
    const lone = new LoneStack(createNativeSuite());
    const before = booksOf(lone);
    const drops = lone.stack.status().drops.handshake;
    const init = linkInit(lone).start(lone.nowUs)!;
    for (let i = 0; i < 100_000; i += 1) {
      const junk = init.slice();
      const at = 8 + (i % (LINK_BYTES - 24)); // everything that mac1 covers behind the label, and mac1
      junk[at]! ^= 1 + (i % 255);
      lone.stack.handleDatagram(lone.nowUs, i % 4096, junk, 0, junk.length);
      if (i % 1000 === 0) lone.wait(10 * MILLISECOND_US);
    }
    const status = lone.stack.status();
    expect(status.handshakes.mac).toBe(100_000);
    expect(status.drops.handshake - drops).toBe(100_000);
    expect(booksOf(lone)).toEqual(before);
    expect(lone.bytesOut.size).toBe(0);
  }, 60_000);

  test("a thousand good ones that are never finished leave no state, and each gets as many bytes as it had", () => {
    const lone = new LoneStack(modelled);
    const before = booksOf(lone);
    for (let path = 0; path < 1000; path += 1) {
      const [resp] = lone.receive(path, linkInit(lone).start(lone.nowUs)!);
      expect(resp).toHaveLength(LINK_BYTES);
      lone.wait(25 * MILLISECOND_US);
    }
    expect({ ...booksOf(lone), digest: "" }).toEqual({ ...before, digest: "" });
    lone.wait(60 * SECOND_US);
    expect(lone.bytesOut).toEqual(lone.bytesIn); // nobody was called after
    expect(lone.stack.status().caps).toMatchObject({ linkBiscuits: { peak: 0 } });
  });

  test("a thousand good ones at once cost fifty key agreements, and the cookies for the others no state either", () => {
    const lone = new LoneStack(modelled);
    const before = booksOf(lone);
    for (let path = 0; path < 1000; path += 1) lone.receive(path, linkInit(lone).start(lone.nowUs)!);
    const { cookie } = lone.stack.status().handshakes;
    expect(cookie).toBe(1000 - CALM_INITS);
    expect({ ...booksOf(lone), digest: "" }).toEqual({ ...before, digest: "" });
    for (const [path, bytes] of lone.bytesIn) expect(lone.sentTo(path)).toBeLessThanOrEqual(bytes);
  });
});

describe("a queue of INITs", () => {
  const initOf = (number: number) => {
    const init = new Uint8Array(END_BYTES).fill(1);
    init.set([number >>> 16, number >>> 8, number], END_BYTES - 32); // where mac1 stands
    return init;
  };
  const offer = (queue: InitQueue, nowUs: number, link: number, number: number) =>
    queue.offer(nowUs, link, number, initOf(number), 0, END_BYTES);
  /** Lets it serve until `untilUs`; answers what was served, in order. */
  const serve = (queue: InitQueue, untilUs: number) => {
    const served: number[] = [];
    let late = 0;
    while (queue.nextTimeoutUs <= untilUs) {
      queue.handleTimeout(
        queue.nextTimeoutUs,
        (number) => served.push(number),
        () => (late += 1),
      );
    }
    return { served, late };
  };

  test("serves at once what comes slowly, and keeps nothing", () => {
    const queue = new InitQueue();
    for (let i = 0; i < 4000; i += 1) expect(offer(queue, (i * SECOND_US) / SERVED_INITS, 1, i)).toBe("now");
    expect([queue.size, queue.nextTimeoutUs, queue.cap.peak]).toEqual([0, NEVER, 0]);
  });

  test("gives links their turns: a flood by one holds up the others by one INIT at most", () => {
    const queue = new InitQueue();
    for (let i = 0; i < SERVED_BURST; i += 1) expect(offer(queue, 0, 1, i)).toBe("now");
    for (let i = 100; i < 100 + INITS_PER_LINK; i += 1) expect(offer(queue, 0, 1, i)).toBe("kept");
    expect(offer(queue, 0, 1, 999)).toBe("crowded");
    for (const number of [1001, 1002]) expect(offer(queue, 0, 2, number)).toBe("kept");
    expect(offer(queue, 0, 3, 1003)).toBe("kept");
    expect(queue.cap.peak).toBe(INITS_PER_LINK);
    const { served } = serve(queue, SECOND_US);
    expect(served.slice(0, 7)).toEqual([100, 1001, 1003, 101, 1002, 102, 103]);
    expect(served).toHaveLength(INITS_PER_LINK + 3);
    expect(queue.size).toBe(0);
  });

  test("keeps to its rate, and drops what waited longer than its sender does", () => {
    const slow = new InitQueue(10, 1);
    expect(offer(slow, SECOND_US, 1, 0)).toBe("now");
    for (let i = 1; i <= INITS_PER_LINK; i += 1) expect(offer(slow, SECOND_US, 1, i)).toBe("kept");
    const { served, late } = serve(slow, 60 * SECOND_US);
    expect(served).toEqual(Array.from({ length: 39 }, (_, i) => i + 1)); // one each 100 ms, for less than four seconds
    expect(late).toBe(INITS_PER_LINK - 39);
    expect(INIT_WAIT_US).toBe(4 * SECOND_US);
    expect(slow.size).toBe(0);
  });

  test("drops a copy of what waits on the same link, and no copy that another link brings", () => {
    const queue = new InitQueue(1, 1);
    expect(offer(queue, SECOND_US, 1, 0)).toBe("now");
    expect(offer(queue, SECOND_US, 1, 5)).toBe("kept");
    expect(offer(queue, SECOND_US, 1, 5)).toBe("repeat");
    expect(offer(queue, SECOND_US, 2, 5)).toBe("kept"); // or else whoever sees an INIT could keep it from being served
  });
});

/** Sends `packet` to the NAC of `to` as an end-to-end packet, from a node that does as it likes. */
function sendEnd(from: WorldNode, by: string, to: WorldNode, packet: Uint8Array): void {
  const out = new Uint8Array(LINK_BYTES);
  encodeNetworkHeader(out, RECORD_HEADER_BYTES, 32, 0);
  out.set(to.nac, RECORD_HEADER_BYTES + NAC_OFFSET);
  out.set(packet, RECORD_HEADER_BYTES + NETWORK_HEADER_BYTES);
  from.inside.links.forward(from.linkTo(by), out, 0);
}

function contextOf(world: StackWorld): SessionContext {
  return {
    suite: world.suite,
    entropy: (length) => world.random.bytes(length),
    networkId: networkIdOf(world.suite, "world"),
  };
}

function endInit(context: SessionContext, to: WorldNode, returnNac: Uint8Array): Uint8Array {
  const initiator = new Initiator(context, {
    peerPublicKey: to.identity.kem.publicKey,
    returnNac,
    params: END_PARAMS,
    flightBytes: END_BYTES,
    localIndex: drawIndex(context.entropy),
  });
  return initiator.start(0)!;
}

const areUp = (world: StackWorld, routes: number) => () =>
  [...world.nodes.values()].every((node) => node.stack.status().routes >= routes);

test("a flood of good INITs by one neighbour does not keep another's user waiting", () => {
  const world = new StackWorld({ seed: "fair" }).wire("mal", "bob").wire("ada", "bob");
  expect(world.run(5 * SECOND_US, areUp(world, 2))).toBe(true);
  const [mal, ada, bob] = [world.node("mal"), world.node("ada"), world.node("bob")];
  const context = contextOf(world);
  const inits = Array.from({ length: 120 }, () => endInit(context, bob, mal.nac));
  for (const init of inits) sendEnd(mal, "bob", bob, init);
  world.run(5 * MILLISECOND_US);
  const { handshakes, caps, queues } = bob.stack.status();
  expect(caps.initQueue).toEqual({ limit: INITS_PER_LINK, peak: INITS_PER_LINK });
  expect(Object.values(queues).some((depth) => depth > 50)).toBe(true);
  expect(handshakes.crowded).toBeGreaterThan(10);

  const askedUs = world.nowUs;
  ada.stack.ping(world.nowUs, bob.nac, 1);
  const isAnswered = () => ada.events.some((event) => event.kind === "pong");
  const refill = (i: number) => sendEnd(mal, "bob", bob, inits[i % inits.length]!);
  for (let i = 0; i < 500 && !isAnswered(); i += 1) {
    refill(i); // the queue of mal stays full
    world.run(MILLISECOND_US, isAnswered);
  }
  expect(isAnswered()).toBe(true);
  expect(world.nowUs - askedUs).toBeLessThan(60 * MILLISECOND_US);
  world.run(5 * SECOND_US);
  expect(bob.stack.status().sessions).toBe(1);
});

/** The number of the one seed to repeat. */
const { FLOOD_SEED: wanted } = process.env;

/** A seeded property: the line that a failure prints repeats it. */
function forSeeds(count: number, what: string, check: (seed: string) => void): void {
  for (let i = 0; i < count; i += 1) {
    if (wanted !== undefined && wanted !== String(i)) continue;
    try {
      check(`${what} ${i}`);
    } catch (cause) {
      const line = `FLOOD_SEED=${i} npx vitest run --config .config/vitest.config.ts test/core/init-flood.test.ts -t "${what}"`;
      throw new Error(`it went wrong; repeat it with  ${line}\n${String(cause)}`, { cause });
    }
  }
}

/** Something that a stranger might send to `lone` without having proved anything, on whatever path. */
function strangeDatagram(random: Random, lone: LoneStack, kept: Uint8Array[]): Uint8Array {
  const { networkId, suite } = lone.context;
  const dice = random.below(12);
  let bytes: Uint8Array;
  if (dice < 3) bytes = linkInit(lone).start(lone.nowUs)!;
  else if (dice < 6 && kept.length > 0) bytes = random.pick(kept).slice();
  else if (dice === 6) bytes = buildKeyRequest(networkId, undefined, random.bytes(8));
  else if (dice === 7)
    bytes = buildKeyRequest(
      networkId,
      anyNac((n) => random.bytes(n)),
      random.bytes(8),
    );
  else bytes = random.bytes(random.pick([0, 1, 8, 29, 48, 64, 904, LINK_BYTES, random.below(1300)]));
  if (dice > 7 && bytes.length > 4) {
    bytes[0] = random.between(1, 8);
    if (random.chance(0.8)) bytes.set([1, 1, 0], 1);
    if (bytes[0] === 8) bytes.set([1, 0, 0], 1);
  }
  if (random.chance(0.15) && bytes.length > 0) bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
  if (kept.length < 40) kept.push(bytes);
  expect(suite.name).toBe("modelled");
  return bytes;
}

test("whatever strangers send on a link, no path gets more bytes than it gave", () => {
  let answered = 0;
  forSeeds(150, "whatever strangers send on a link", (seed) => {
    const random = randomFrom(seed);
    const lone = new LoneStack(modelled, seed);
    const kept: Uint8Array[] = [];
    for (let step = 0; step < 120; step += 1) {
      if (random.chance(0.1)) lone.wait(random.below(SECOND_US));
      const bytes = strangeDatagram(random, lone, kept);
      const path = random.below(6);
      for (const answer of lone.receive(path, bytes)) {
        expect(answer.length).toBeLessThanOrEqual(bytes.length); // each answer for itself
        if (random.chance(0.5)) kept.push(answer); // our own words may come back to us
      }
      expect(lone.sentTo(path)).toBeLessThanOrEqual(lone.bytesIn.get(path)!);
    }
    lone.wait(30 * SECOND_US);
    for (const [path, sent] of lone.bytesOut) expect(sent).toBeLessThanOrEqual(lone.bytesIn.get(path) ?? 0);
    answered += lone.bytesOut.size;
    expect(lone.stack.peers(lone.nowUs)).toEqual([]);
  });
  expect(answered).toBeGreaterThan(wanted === undefined ? 500 : -1);
});

test("whatever a stranger sends end to end, not more packets leave than came", () => {
  let answered = 0;
  forSeeds(12, "whatever a stranger sends end to end", (seed) => {
    const sealed = { mal: 0, bob: 0 };
    const onSeal = (node: string, plaintext: Uint8Array) => {
      if (plaintext[0] === 1 && plaintext.length > 1000 && (node === "mal" || node === "bob")) sealed[node] += 1;
    };
    const world = new StackWorld({ seed, onSeal }).wire("mal", "bob").wire("ada", "bob");
    expect(world.run(5 * SECOND_US, areUp(world, 2))).toBe(true);
    const [mal, ada, bob] = [world.node("mal"), world.node("ada"), world.node("bob")];
    const { random } = world;
    const context = contextOf(world);
    sealed.mal = 0;
    sealed.bob = 0;
    const kept: Uint8Array[] = [];
    for (let step = 0; step < 150; step += 1) {
      const dice = random.below(10);
      let packet: Uint8Array;
      if (dice < 3) packet = endInit(context, bob, random.pick([mal.nac, ada.nac, bob.nac, anyNac(context.entropy)]));
      else if (dice < 6 && kept.length > 0) packet = random.pick(kept).slice();
      else {
        packet = random.bytes(END_BYTES);
        packet[0] = random.between(1, 9);
        packet.set([1, 1, 0], 1);
      }
      if (random.chance(0.2)) packet[random.below(END_BYTES)]! ^= 1 << random.below(8);
      kept.push(packet);
      sendEnd(mal, "bob", random.chance(0.9) ? bob : ada, packet);
      if (random.chance(0.3)) world.run(random.below(300 * MILLISECOND_US));
      expect(sealed.bob).toBeLessThanOrEqual(sealed.mal);
    }
    world.run(10 * SECOND_US);
    expect(sealed.bob).toBeLessThanOrEqual(sealed.mal);
    expect([ada, bob].map((node) => node.stack.status().sessions)).toEqual([0, 0]);
    answered += sealed.bob;
  });
  expect(answered).toBeGreaterThan(wanted === undefined ? 200 : -1);
}, 60_000);

describe("two ends that call each other in the same instant", () => {
  test("over one cable end with one link, also when flights are lost", () => {
    for (let seed = 0; seed < 12; seed += 1) {
      const cable = { delayUs: 5000, jitterUs: 4000, loss: seed < 4 ? 0 : 0.2, duplication: 0.1 };
      const world = new StackWorld({ seed: `both dial ${seed}` }).lay("ada", "bob", cable);
      world.dial("ada", "bob").dial("bob", "ada");
      const [ada, bob] = [world.node("ada"), world.node("bob")];
      const linked = () => [ada, bob].every((node) => node.stack.status().neighbours === 1);
      expect([seed, world.run(10 * SECOND_US, linked)]).toEqual([seed, true]);
      world.run(15 * SECOND_US);
      expect([seed, world.run(10 * SECOND_US, linked)]).toEqual([seed, true]);
    }
  });

  test("from far away both get their answer, by a session each", () => {
    const world = new StackWorld({ seed: "both call" }).line("ada", "bob", "cyd");
    expect(world.run(5 * SECOND_US, areUp(world, 2))).toBe(true);
    const [ada, cyd] = [world.node("ada"), world.node("cyd")];
    ada.stack.ping(world.nowUs, cyd.nac, 1);
    cyd.stack.ping(world.nowUs, ada.nac, 2);
    const hasPong = (node: WorldNode) => node.events.some((event) => event.kind === "pong");
    expect(world.run(3 * SECOND_US, () => hasPong(ada) && hasPong(cyd))).toBe(true);
    expect([ada, cyd].map((node) => node.stack.status().sessions)).toEqual([2, 2]);
  });
});

test("every refusal is counted under its own name", () => {
  const lone = new LoneStack(modelled);
  const good = () => linkInit(lone).start(lone.nowUs)!;
  const changed = (at: number) => good().map((byte, i) => (i === at ? byte ^ 1 : byte));
  const counts = () => lone.stack.status().handshakes;
  lone.receive(1, changed(1));
  lone.receive(1, changed(2));
  lone.receive(1, changed(4));
  lone.receive(1, changed(100));
  lone.receive(1, good().subarray(0, END_BYTES));
  lone.receive(
    1,
    new Uint8Array(LINK_BYTES).fill(1).map((_, i) => [3, 1, 1, 0][i] ?? 9),
  );
  lone.receive(
    1,
    new Uint8Array(48).map((_, i) => [5, 1, 1, 0][i] ?? 9),
  );
  lone.receive(
    1,
    new Uint8Array(LINK_BYTES).map((_, i) => [4, 1, 1, 0][i] ?? 9),
  );
  expect(counts()).toMatchObject({ version: 1, suite: 1, network: 1, mac: 1, malformed: 1, stray: 2, biscuit: 1 });

  const initiator = linkInit(lone);
  const [resp] = lone.receive(1, initiator.start(lone.nowUs)!);
  const conf = initiator.handleResp(lone.nowUs, resp!, 0, LINK_BYTES)!;
  lone.receive(2, conf);
  lone.receive(
    1,
    conf.map((byte, i) => (i === 1000 ? byte ^ 1 : byte)),
  );
  lone.wait(11 * SECOND_US);
  lone.receive(1, conf);
  expect(counts()).toMatchObject({ path: 1, seal: 1, stale: 1, done: 0 });
});
