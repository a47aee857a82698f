import { expect, test } from "vitest";
import type { Session } from "../../core/session/session.js";
import type { EndSession } from "../../core/stack/end-session.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import type { Transport } from "../../core/transport/transport.js";
import { FrameType } from "../../core/wire/cell.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import { NonceGuard } from "../support/nonce-guard.js";
import { StackWorld, type WorldNode } from "../support/stack-world.js";

/** The sessions inside a stack, which no status tells of. */
interface Sessions {
  readonly links: { readonly links: Iterable<{ readonly session: Session }> };
  readonly ends: {
    readonly ends: ReadonlySet<Pick<EndSession, "session" | "pump"> & { readonly transport: Transport }>;
  };
}

function roundsOfLinks(node: WorldNode): number[] {
  const { links } = (node.stack as unknown as Sessions).links;
  return [...links].map((link) => link.session.round);
}

function roundsOfEnds(node: WorldNode): number[] {
  return [...(node.stack as unknown as Sessions).ends.ends].map((end) => end.session.round);
}

function isUp(world: StackWorld, ...names: string[]): () => boolean {
  return () => names.every((name) => world.node(name).stack.status().routes >= names.length - 1);
}

function downs(node: WorldNode): string[] {
  return node.events.flatMap((event) => (event.kind === "linkDown" ? [event.reason] : []));
}

/** Accepts each stream and reads it. */
function serve(world: StackWorld, host: WorldNode): void {
  host.onEvent = (event) => {
    if (event.kind === "streamOpened") host.stack.acceptStream(world.nowUs, event.stream);
  };
}

/** A stream from `client` to `host`, accepted. */
function open(world: StackWorld, client: WorldNode, host: WorldNode): number {
  const stream = client.stack.openStream(world.nowUs, host.nac, 80);
  const isAccepted = () => client.events.some((event) => event.kind === "streamAccepted" && event.stream === stream);
  expect(world.run(10 * SECOND_US, isAccepted)).toBe(true);
  return stream;
}

test("through 10 % loss, reordering and copies, links and ends take new keys again and again, and a file arrives whole", () => {
  const guard = new NonceGuard(createNativeSuite());
  const world = new StackWorld({
    seed: "rekey-storm",
    suite: guard.suite,
    sessionLimits: { keyUpdatePackets: 256, rekeySeconds: 1, rekeyBytes: 400_000 },
  });
  world.wire("ada", "bob", { delayUs: 5000, jitterUs: 3000, loss: 0.1, duplication: 0.03 });
  expect(world.run(10 * SECOND_US, isUp(world, "ada", "bob"))).toBe(true);
  const [ada, bob] = [world.node("ada"), world.node("bob")];
  serve(world, bob);
  const stream = open(world, ada, bob);
  const file = world.random.bytes(3_000_000);
  for (let at = 0; at < file.length; at += 150_000) {
    expect(ada.stack.write(world.nowUs, stream, file.subarray(at, at + 150_000))).toBe(150_000);
    world.run(SECOND_US);
  }
  const isThere = () => (bob.received.get(1) ?? []).reduce((sum, part) => sum + part.length, 0) === file.length;
  expect(world.run(10 * SECOND_US, isThere)).toBe(true);

  expect(Buffer.compare(bob.bytesReceived(1), file)).toBe(0);
  for (const node of [ada, bob]) {
    const { handshakes, drops } = node.stack.status();
    expect(handshakes.done).toBe(2); // one link, one session: no successor was needed
    expect(drops.badTag).toBe(0);
    expect(drops.malformed + drops.protocol).toBe(0);
    expect(roundsOfLinks(node)).toHaveLength(1);
    expect(roundsOfLinks(node)[0]).toBeGreaterThanOrEqual(4);
    expect(roundsOfEnds(node)).toHaveLength(1);
    expect(roundsOfEnds(node)[0]).toBeGreaterThanOrEqual(4);
  }
  expect(guard.keysOfRecords).toBeGreaterThan(60);
});

test("a steady flow never pauses for two round trips while links and ends take new keys every second", () => {
  const world = new StackWorld({ seed: "rekey-steady", sessionLimits: { keyUpdatePackets: 256, rekeySeconds: 1 } });
  const cable = { delayUs: 10 * MILLISECOND_US };
  const rttUs = 2 * 2 * cable.delayUs; // two cables
  world.wire("ada", "bob", cable).wire("bob", "cyd", cable);
  expect(world.run(10 * SECOND_US, isUp(world, "ada", "bob", "cyd"))).toBe(true);
  const [ada, bob, cyd] = [world.node("ada"), world.node("bob"), world.node("cyd")];
  serve(world, cyd);
  const stream = open(world, ada, cyd);
  world.run(SECOND_US);
  const before = [...roundsOfEnds(ada), ...roundsOfLinks(bob)];
  let parts = 0;
  let lastUs = world.nowUs;
  let longestUs = 0;
  const beganUs = world.nowUs;
  for (let i = 0; i < 2000; i += 1) {
    expect(ada.stack.write(world.nowUs, stream, new Uint8Array(2000))).toBe(2000);
    world.run(5 * MILLISECOND_US, () => {
      const now = cyd.received.get(1)?.length ?? 0;
      if (now === parts) return false;
      longestUs = Math.max(longestUs, parts === 0 ? 0 : world.nowUs - lastUs);
      lastUs = world.nowUs;
      parts = now;
      return false;
    });
  }
  const seconds = (world.nowUs - beganUs) / SECOND_US;
  const after = [...roundsOfEnds(ada), ...roundsOfLinks(bob)];
  expect(after).toHaveLength(3);
  // A link looks for it at its hellos, which come every two seconds.
  for (const [i, rounds] of after.entries()) expect(rounds - before[i]!).toBeGreaterThan(seconds / 3);
  expect(parts).toBeGreaterThan(1500);
  expect(longestUs).toBeLessThan(2 * rttUs);
});

test("a neighbour that takes no part in rounds keeps its link for a while, and then the opener makes another", () => {
  const world = new StackWorld({ seed: "rekey-refused", sessionLimits: { rekeySeconds: 20 } });
  const OFFER = 896; // a control record with an offer in it
  let isEaten = true;
  world.carries = (_from, _to, bytes) => !isEaten || bytes.length !== OFFER;
  world.wire("ada", "bob");
  expect(world.run(5 * SECOND_US, isUp(world, "ada", "bob"))).toBe(true);
  const [ada, bob] = [world.node("ada"), world.node("bob")];

  world.run(75 * SECOND_US);
  expect(ada.stack.status().handshakes.done).toBe(1);
  expect([...roundsOfLinks(ada), ...roundsOfLinks(bob)]).toEqual([0, 0]);

  world.run(15 * SECOND_US);
  expect(ada.stack.status().handshakes.done).toBe(2);
  expect([...downs(ada), ...downs(bob)].every((reason) => reason === "replaced" || reason === "bye")).toBe(true);
  expect([ada.stack.status().neighbours, bob.stack.status().neighbours]).toEqual([1, 1]);
  isEaten = false;
  world.run(60 * SECOND_US);
  expect(roundsOfLinks(ada)[0]).toBeGreaterThanOrEqual(1);
  expect(ada.stack.status().handshakes.done).toBe(2);
});

test("an end that offers another round than the next, or answers what nobody asked, loses its session and nothing else", () => {
  for (const type of [FrameType.rekeyOffer, FrameType.rekeyAnswer]) {
    const world = new StackWorld({ seed: "rekey-liar" });
    world.wire("ada", "bob");
    expect(world.run(5 * SECOND_US, isUp(world, "ada", "bob"))).toBe(true);
    const [ada, bob] = [world.node("ada"), world.node("bob")];
    serve(world, bob);
    const stream = open(world, ada, bob);
    const [liar, victim] = type === FrameType.rekeyOffer ? [ada, bob] : [bob, ada];
    const end = [...(liar.stack as unknown as Sessions).ends.ends][0]!;
    const frame = new Uint8Array(type === FrameType.rekeyOffer ? 803 : 771);
    frame[0] = type;
    frame[2] = 2; // no round that is next
    expect(end.transport.queueFrame(frame)).toBe(true);
    end.pump(world.nowUs);
    world.run(SECOND_US);
    expect(victim.stack.status().drops.protocol).toBe(1);
    expect(victim.stack.status().sessions).toBe(0);
    expect(ada.events).toContainEqual({ kind: "streamReset", stream, code: 4 });
    expect(open(world, ada, bob)).not.toBe(stream);
  }
});

test("links take new keys of themselves every two minutes; a session that nobody uses ends without any", () => {
  const world = new StackWorld({ seed: "rekey-calm" });
  world.wire("ada", "bob");
  expect(world.run(5 * SECOND_US, isUp(world, "ada", "bob"))).toBe(true);
  const [ada, bob] = [world.node("ada"), world.node("bob")];
  serve(world, bob);
  const stream = open(world, ada, bob);
  ada.stack.reset(world.nowUs, stream, 3);
  let most = 0;
  world.run(10 * 60 * SECOND_US, () => {
    most = Math.max(most, ...roundsOfEnds(ada), ...roundsOfEnds(bob));
    return false;
  });
  expect(most).toBe(0);
  expect([ada.stack.status().sessions, bob.stack.status().sessions]).toEqual([0, 0]);
  expect([...roundsOfLinks(ada), ...roundsOfLinks(bob)]).toEqual([4, 4]);
});
