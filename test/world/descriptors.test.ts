/** A caller holds the called end's chain on trust, until the identity itself has signed it: its descriptor comes through the session. */
import { expect, test } from "vitest";
import { SECOND_US } from "../../core/time/instant.js";
import { CELL_BYTES, CELL_HEADER_BYTES, FrameType } from "../../core/wire/cell.js";
import { DESCRIPTOR_PARTS } from "../../core/wire/descriptor-frames.js";
import { type Cable, StackWorld } from "../support/stack-world.js";

/** A cell's bytes in a record on the wire, with the link's header and tag around it: what is charged for a frame at most. */
const CELL_ON_WIRE = 1_200;

/** ada - rik - bob, with real chains, old enough that nobody votes on them any more. */
class Line {
  readonly world: StackWorld;
  /** Frames of descriptors: who sent them, when, and of which type. */
  readonly frames: { readonly from: string; readonly atUs: number; readonly type: number }[] = [];
  /** Damages what bob sends of his descriptor. */
  isDamaging = false;

  constructor(seed: string, cable: Cable = {}) {
    this.world = new StackWorld({
      seed: `descriptors/${seed}`,
      isChained: true,
      onPlaintext: (node, plaintext) => this.look(node, plaintext),
    });
    this.world.wire("ada", "rik", cable).wire("bob", "rik", cable);
    expect(this.world.run(60 * SECOND_US, () => this.status("ada").routes === 2)).toBe(true);
    expect(this.chains("ada")).toMatchObject({ held: 2, bound: 0 });
  }

  status(name: string) {
    return this.world.node(name).stack.status();
  }

  chains(name: string) {
    const { chains } = this.status(name);
    if (chains === undefined) throw new Error(`${name} has no chains`);
    return chains;
  }

  /** Answers whether ada had an answer from bob within 15 s. */
  ping(): boolean {
    const ada = this.world.node("ada");
    ada.events.length = 0;
    ada.stack.ping(this.world.nowUs, this.world.node("bob").nac, 7);
    return this.world.run(15 * SECOND_US, () => ada.events.some(({ kind }) => kind === "pong"));
  }

  count(type: number): number {
    return this.frames.filter((frame) => frame.type === type).length;
  }

  private look(from: string, plaintext: Uint8Array): void {
    if (plaintext.length !== CELL_BYTES) return;
    const type = plaintext[CELL_HEADER_BYTES]!;
    if (type !== FrameType.descriptorRequest && type !== FrameType.descriptorPart) return;
    this.frames.push({ from, atUs: this.world.nowUs, type });
    if (this.isDamaging && type === FrameType.descriptorPart) plaintext[CELL_HEADER_BYTES + 500]! ^= 1;
  }
}

test("whoever calls fetches it, once, at less than 1 KB/s; the called end asks for nothing", () => {
  const line = new Line("fetch");
  const { world, frames } = line;
  expect(line.ping()).toBe(true);
  expect(world.run(20 * SECOND_US, () => line.chains("ada").bound === 1)).toBe(true);
  expect(line.chains("ada").verdicts).toMatchObject({ forged: 0, disputed: 0 });
  expect(line.chains("bob").bound).toBe(0);
  expect(line.chains("rik").bound).toBe(0);

  const parts = frames.filter(({ type }) => type === FrameType.descriptorPart);
  expect(parts.map(({ from }) => from)).toEqual(Array.from({ length: DESCRIPTOR_PARTS }, () => "bob"));
  const seconds = (parts.at(-1)!.atUs - parts[0]!.atUs) / SECOND_US;
  expect(((parts.length - 1) * CELL_ON_WIRE) / seconds).toBeLessThan(1_000);
  expect(frames.filter(({ type }) => type === FrameType.descriptorRequest).every(({ from }) => from === "ada")).toBe(
    true,
  );

  const before = frames.length;
  world.run(200 * SECOND_US); // the session is over by then
  expect(line.ping()).toBe(true);
  world.run(20 * SECOND_US);
  expect(frames.length).toBe(before);
  expect(line.chains("ada").bound).toBe(1);
});

test("lost questions and answers are asked again", () => {
  const line = new Line("loss", { loss: 0.2 });
  expect(line.ping()).toBe(true);
  expect(line.world.run(40 * SECOND_US, () => line.chains("ada").bound === 1)).toBe(true);
  expect(line.count(FrameType.descriptorRequest)).toBeGreaterThan(DESCRIPTOR_PARTS);
});

test("one that was not signed binds nothing, and the session goes on", () => {
  const line = new Line("damaged");
  line.isDamaging = true;
  expect(line.ping()).toBe(true);
  line.world.run(30 * SECOND_US);
  expect(line.chains("ada").bound).toBe(0);
  expect(line.chains("ada").verdicts.forged).toBe(1);
  expect(line.ping()).toBe(true);
  expect(line.status("ada").sessions).toBe(1);

  line.isDamaging = false;
  line.world.run(200 * SECOND_US);
  expect(line.ping()).toBe(true); // another session, and bob means well
  expect(line.world.run(20 * SECOND_US, () => line.chains("ada").bound === 1)).toBe(true);
});

test("a binding outlives the called end's restart: the next epoch follows from the bound one", () => {
  const line = new Line("restart");
  const { world } = line;
  expect(line.ping()).toBe(true);
  expect(world.run(20 * SECOND_US, () => line.chains("ada").bound === 1)).toBe(true);
  const asked = line.count(FrameType.descriptorRequest);

  const before = line.status("bob").epoch;
  world.restart("bob", ["rik"]);
  world.run(30 * SECOND_US);
  expect(line.status("bob").epoch).toBe(before + 1);
  expect(line.ping()).toBe(true);
  world.run(20 * SECOND_US);
  expect(line.chains("ada")).toMatchObject({ bound: 1 });
  expect(line.count(FrameType.descriptorRequest)).toBe(asked);
});
