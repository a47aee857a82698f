import { expect, test } from "vitest";
import type { Stack } from "../../core/stack/stack.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { PacketType } from "../../core/wire/flight.js";
import { MERGE_PROOF_BYTES, type Merge } from "../../core/wire/merge.js";
import { recordIndex } from "../../core/wire/record.js";
import { insideOf } from "../../sim/fault/stack-inside.js";
import { StackWorld, type WorldNode } from "../support/stack-world.js";

/** What a liar bends: the name that it says in hellos, and the proofs that it says beside it. */
interface Liar {
  routerId: Uint8Array;
  readonly sender: {
    routerId: Uint8Array;
    sendHello(nowUs: number, link: { readonly path: number; readonly id: number }): void;
    writeMerges(link: { readonly id: number }, out: { u8(value: number): unknown }): void;
  };
  readonly succession: {
    routerId: Uint8Array;
    handleMerge(nowUs: number, link: { readonly id: number }, said: Merge): void;
  };
}

function inside(node: WorldNode): Liar {
  return node.inside.links as unknown as Liar;
}

function rename(liar: Liar, routerId: Uint8Array): void {
  for (const part of [liar, liar.sender, liar.succession]) part.routerId = routerId;
}

function downs(node: WorldNode): string[] {
  return node.events.flatMap((event) => (event.kind === "linkDown" ? [event.reason] : []));
}

/** ada and bob, joined by two cables: path 0 is the one that ada dials, path 1 the one that bob dials. */
function twoCables(seed: string, pins: { ada?: boolean; bob?: boolean } = {}): StackWorld {
  const world = new StackWorld({ seed }).lay("ada", "bob");
  world.dial("ada", "bob", pins.ada ? world.pinOf("bob") : undefined);
  world.lay("bob", "ada");
  world.node("bob").stack.addPeer(world.nowUs, 1, pins.bob ? world.pinOf("ada") : undefined);
  return world;
}

const SEEDS = ["d1", "d2", "d3", "d4", "d5", "d6"];

test("two links between the same two ends, over different addresses, become the one that the lower router id opened", () => {
  let keptByAda = 0;
  for (const seed of SEEDS) {
    const world = twoCables(seed);
    world.run(4 * SECOND_US);
    const [ada, bob] = [world.node("ada"), world.node("bob")];
    const isAdaLower = Buffer.compare(inside(ada).routerId, inside(bob).routerId) < 0;
    if (isAdaLower) keptByAda += 1;
    const path = isAdaLower ? 0 : 1;

    expect(ada.stack.peers(world.nowUs)).toMatchObject([{ path, incoming: !isAdaLower, found: "config" }]);
    expect(bob.stack.peers(world.nowUs)).toMatchObject([{ path, incoming: isAdaLower, found: "config" }]);
    world.run(60 * SECOND_US);
    expect([ada, bob].map((node) => [node.stack.status().neighbours, downs(node).length])).toEqual([
      [1, 1],
      [1, 1],
    ]);
  }
  expect(keptByAda).toBeGreaterThan(0); // the seeds show both cases
  expect(keptByAda).toBeLessThan(SEEDS.length);
});

test("whoever was a neighbour by the link that ended is not doubted for it", () => {
  for (const seed of SEEDS) {
    const world = twoCables(seed);
    const nodes = [world.node("ada"), world.node("bob")] as const;
    const isDoubted = () => {
      return nodes.some((node, i) => {
        const { decision } = insideOf(node.stack as unknown as Stack);
        const other = node.inside.ports.dictionary.find(nodes[1 - i]!.nac);
        return other >= 0 && decision.liveness.isNoted(other);
      });
    };
    for (let i = 0; i < 80; i += 1) {
      world.run(50 * MILLISECOND_US);
      expect(isDoubted(), seed).toBe(false);
    }
    expect(nodes.map((node) => downs(node).length)).toEqual([1, 1]);
  }
});

test("the link that is left keeps a pin that either of the two had proven", () => {
  for (const seed of SEEDS) {
    const world = twoCables(seed, { ada: true });
    world.run(5 * SECOND_US);
    expect(world.node("ada").stack.peers(world.nowUs)).toMatchObject([{ pinned: true, found: "config" }]);
    expect(world.node("bob").stack.peers(world.nowUs)).toMatchObject([{ pinned: false, found: "config" }]);
  }
});

test("when the link that is left goes, both ends dial again", () => {
  for (const seed of SEEDS.slice(0, 3)) {
    const world = twoCables(seed, { ada: true, bob: true });
    world.run(5 * SECOND_US);
    world.cut("ada", "bob");
    world.run(20 * SECOND_US);
    const [ada, bob] = [world.node("ada"), world.node("bob")];
    expect([ada.stack.status().neighbours, bob.stack.status().neighbours]).toEqual([0, 0]);
    world.mend("ada", "bob");

    world.run(40 * SECOND_US);

    for (const node of [ada, bob]) expect(node.stack.peers(world.nowUs)).toMatchObject([{ pinned: true }]);
  }
});

test("a stream runs on while its link is merged into another, and no packet is dropped for it", () => {
  for (const seed of SEEDS) {
    const world = new StackWorld({ seed }).lay("ada", "bob", { delayUs: 5 * MILLISECOND_US }).dial("ada", "bob");
    world.run(3 * SECOND_US);
    const [ada, bob] = [world.node("ada"), world.node("bob")];
    const sent = world.random.bytes(3_000_000);
    let at = 0;
    const push = (stream: number) => {
      at += ada.stack.write(world.nowUs, stream, sent.subarray(at));
      if (at === sent.length) ada.stack.finish(world.nowUs, stream);
    };
    ada.onEvent = (event) => {
      if (event.kind === "streamWritable" && at < sent.length) push(event.stream);
    };
    bob.onEvent = (event) => {
      if (event.kind === "streamOpened") bob.stack.acceptStream(world.nowUs, event.stream);
    };
    push(ada.stack.openStream(world.nowUs, bob.nac, 80));
    expect(world.run(10 * SECOND_US, () => at > 1_000_000)).toBe(true);
    world.lay("bob", "ada", { delayUs: 7 * MILLISECOND_US });
    bob.stack.addPeer(world.nowUs, 1, undefined);

    const isDone = () => bob.events.some((event) => event.kind === "streamFinished");
    expect(world.run(30 * SECOND_US, isDone)).toBe(true);
    world.run(5 * SECOND_US);

    expect(Buffer.compare(bob.bytesReceived(1), sent)).toBe(0);
    for (const node of [ada, bob]) {
      expect(node.stack.status().neighbours).toBe(1);
      expect(node.stack.status().drops).toMatchObject({ linkDown: 0, noRoute: 0 });
      expect(node.stack.status().drops.unknownSession).toBeLessThanOrEqual(1); // the other end's BYE after our own
    }
  }
});

// Liars.

/** ada has a link to bob and one to mallory, who says that it is bob. The two are opened from different ends. */
function liar(seed: string): { world: StackWorld; ada: WorldNode; bob: WorldNode; mallory: WorldNode } {
  const world = new StackWorld({ seed }).wire("ada", "bob").lay("mallory", "ada").lay("bob", "mallory");
  world.run(3 * SECOND_US);
  const [ada, bob, mallory] = ["ada", "bob", "mallory"].map((name) => world.node(name)) as [
    WorldNode,
    WorldNode,
    WorldNode,
  ];
  world.hasLiar = true;
  rename(inside(mallory), inside(bob).routerId.slice());
  return { world, ada, bob, mallory };
}

function expectUntouched(world: StackWorld, ...nodes: WorldNode[]): void {
  for (const node of nodes) expect(downs(node)).toEqual([]);
  const [ada, bob] = [world.node("ada"), world.node("bob")];
  expect(ada.stack.peers(world.nowUs).some(({ path, incoming }) => path === 0 && !incoming)).toBe(true);
  expect(bob.stack.peers(world.nowUs).some(({ path, incoming }) => path === 0 && incoming)).toBe(true);
}

test("a neighbour who merely claims another's router id merges nothing and takes nothing down", () => {
  for (const seed of SEEDS) {
    const { world, ada, bob } = liar(seed);
    world.dial("mallory", "ada");
    world.run(60 * SECOND_US);

    expectUntouched(world, ada, bob);
    expect(ada.stack.status().neighbours).toBe(2);
  }
});

test("proofs that a liar makes up are counted and prove nothing", () => {
  const { world, ada, bob, mallory } = liar("made-up");
  world.isRecording = true;
  world.run(3 * SECOND_US);
  const record = world.seen.findLast(
    ({ from, to, bytes }) => from === "bob" && to === "ada" && bytes[0] === PacketType.record,
  )!;
  const index = recordIndex(record.bytes, 0, record.bytes.length); // ada's number for the session with bob, in clear
  inside(mallory).sender.writeMerges = (_link, out) => {
    const frame = [11, index >>> 24, (index >>> 16) & 0xff, (index >>> 8) & 0xff, index & 0xff];
    for (const byte of [...frame, ...world.random.bytes(MERGE_PROOF_BYTES)]) out.u8(byte);
  };
  world.dial("mallory", "ada");
  world.run(60 * SECOND_US);

  expect(ada.stack.status().drops.protocol).toBeGreaterThan(20);
  expectUntouched(world, ada, bob);
});

test("a liar in the middle, who tells each of two neighbours that it is the other, merges nothing by handing on their proofs", () => {
  for (const seed of SEEDS) {
    const { world, ada, bob, mallory } = liar(seed);
    world.isRecording = true;
    world.run(3 * SECOND_US);
    const indexAt = (to: string) => {
      const isIt = ({ from, to: at, bytes }: { from: string; to: string; bytes: Uint8Array }) =>
        at === to && ["ada", "bob"].includes(from) && bytes[0] === PacketType.record;
      const { bytes } = world.seen.find(isIt)!;
      return recordIndex(bytes, 0, bytes.length);
    };
    const indexes = { ada: indexAt("ada"), bob: indexAt("bob") };
    world.isRecording = false;
    // On the link to ada it is bob, on the link to bob it is ada.
    world.hasLiar = true;
    const { sender, succession } = inside(mallory);
    const names = { ada: inside(bob).routerId.slice(), bob: inside(ada).routerId.slice() };
    const proofs: { ada?: Uint8Array; bob?: Uint8Array } = {};
    const sides = new Map<number, "ada" | "bob">();
    const sendHello = sender.sendHello.bind(sender);
    sender.sendHello = (nowUs, link) => {
      const side = mallory.sockets[link.path]!.peer.name as "ada" | "bob";
      sides.set(link.id, side);
      rename(inside(mallory), names[side]);
      sendHello(nowUs, link);
      rename(inside(mallory), new Uint8Array(8));
    };
    let handedOn = 0;
    succession.handleMerge = (_nowUs, link, said) => {
      proofs[sides.get(link.id) === "ada" ? "bob" : "ada"] = said.proof.slice();
    };
    sender.writeMerges = (link, out) => {
      const side = sides.get(link.id)!;
      const proof = proofs[side];
      if (proof === undefined) return;
      handedOn += 1;
      const index = indexes[side];
      for (const byte of [11, index >>> 24, (index >>> 16) & 0xff, (index >>> 8) & 0xff, index & 0xff, ...proof])
        out.u8(byte);
    };
    world.dial("mallory", "ada").dial("bob", "mallory");
    world.run(40 * SECOND_US);

    expect(handedOn).toBeGreaterThan(0);
    expect([ada.stack.status().neighbours, bob.stack.status().neighbours]).toEqual([2, 2]);
    expect(ada.stack.status().drops.protocol + bob.stack.status().drops.protocol).toBeGreaterThan(0);
    expectUntouched(world, ada, bob);
  }
});

test("somebody at a neighbour's address who says he is another makes the neighbour answer, and ends nothing", () => {
  const world = new StackWorld({ seed: "same-address" }).wire("ada", "bob");
  world.run(3 * SECOND_US);
  const [ada, bob, eve] = [world.node("ada"), world.node("bob"), world.node("eve")];
  // eve sends from bob's address and reads what goes there.
  eve.sockets.push({ ...bob.sockets[0]! });
  world.carries = (from, to, bytes) => {
    if (from === "ada" && to === "bob") eve.stack.handleDatagram(world.nowUs, 0, bytes.slice(), 0, bytes.length);
    return from !== "eve" || bytes[0] !== PacketType.unknown; // she does not even pretend that bob forgot his sessions
  };
  eve.stack.addPeer(world.nowUs, 0, undefined);
  world.run(30 * SECOND_US);

  expect(downs(ada)).toEqual([]);
  expect(downs(bob)).toEqual([]);
  expect(ada.stack.peers(world.nowUs)).toMatchObject([{ incoming: false }, { incoming: true }]);
});
