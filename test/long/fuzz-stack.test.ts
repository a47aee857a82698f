/** A whole node that is given what nobody should send: by strangers, by a neighbour who lies, by the other end of a session. */
import { setPriority } from "node:os";
import { expect, test } from "vitest";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { CELL_BYTES } from "../../core/wire/cell.js";
import { RECORD_HEADER_BYTES } from "../../core/wire/record.js";
import { fuzz } from "../support/fuzz.js";
import { captureCorpus } from "../support/fuzz-corpus.js";
import { StackWorld } from "../support/stack-world.js";

setPriority(10); // beside daemons that must not be late
const corpus = captureCorpus();
const FORWARD_BYTES = 1171;

/** ada and bob, linked; `lie` may be put in place of what ada seals next. */
class LyingWorld {
  lie: Uint8Array | undefined;
  readonly world: StackWorld;

  /** @param isLie  which plaintexts are replaced, by their length */
  constructor(seed: string, isLie: (length: number) => boolean) {
    this.world = new StackWorld({
      seed,
      onPlaintext: (node, plaintext, associatedBytes) => {
        const { lie } = this;
        if (node !== "ada" || lie === undefined || associatedBytes !== RECORD_HEADER_BYTES) return;
        if (!isLie(plaintext.length)) return;
        this.lie = undefined;
        plaintext.fill(0).set(lie.subarray(0, plaintext.length));
      },
    });
    this.world.hasLiar = true; // a damaged route is searched for: the table that it was said to be in is a lie
    this.world.wire("ada", "bob");
    this.settle();
  }

  /** Waits for the link, which a lie may have cost. */
  settle(): void {
    const { world } = this;
    const [ada, bob] = [world.node("ada"), world.node("bob")];
    const isUp = () => ada.stack.status().routes > 0 && bob.stack.status().routes > 0;
    if (!world.run(120 * SECOND_US, isUp)) throw new Error("the link does not come up again");
    for (const node of [ada, bob]) node.events.length = 0;
    world.seen.length = 0;
  }
}

test("datagrams of strangers, and of a neighbour's address, are borne", () => {
  const { world } = new LyingWorld("strangers", () => false);
  world.lay("eve", "bob");
  const bob = world.node("bob");
  const live = [...corpus.datagrams.values()].flat();
  let count = 0;

  const read = (bytes: Uint8Array) => {
    bob.stack.handleDatagram(world.nowUs, count % 2, bytes, 0, bytes.length);
    count += 1;
    if (count % 50 === 0) world.run(10 * MILLISECOND_US);
  };

  expect(fuzz({ name: "datagrams of strangers", corpus: live, read })).toBeGreaterThan(0);
  expect(bob.stack.status().sessions).toBe(0);
});

test("a neighbour may say what he likes: the node goes on, and takes him back when he speaks sense", () => {
  const lying = new LyingWorld("neighbour", (length) => length === FORWARD_BYTES);
  const { world } = lying;
  const ada = world.node("ada");

  const read = (bytes: Uint8Array) => {
    if (ada.stack.peers(world.nowUs).length === 0) lying.settle();
    lying.lie = bytes;
    ada.inside.links.forward(ada.linkTo("bob"), new Uint8Array(1200), 0);
    world.run(5 * MILLISECOND_US);
  };

  expect(fuzz({ name: "records of a neighbour", corpus: corpus.records, read })).toBeGreaterThan(0);
  lying.lie = undefined;
  world.run(20 * SECOND_US);
  lying.settle();
});

test("the other end of a session may say what it likes: the session ends at worst, and the next one works", () => {
  const lying = new LyingWorld("peer", (length) => length === CELL_BYTES);
  const { world } = lying;
  const [ada, bob] = [world.node("ada"), world.node("bob")];
  bob.onEvent = (event) => {
    if (event.kind === "streamOpened") bob.stack.acceptStream(world.nowUs, event.stream);
  };
  const stories = { stream: -1 };
  const open = () => {
    stories.stream = ada.stack.openStream(world.nowUs, bob.nac, 80);
    world.run(200 * MILLISECOND_US);
    bob.received.clear();
    for (const node of [ada, bob]) node.events.length = 0;
  };
  open();

  const read = (bytes: Uint8Array) => {
    lying.lie = bytes;
    if (ada.stack.write(world.nowUs, stories.stream, Uint8Array.of(1)) === 0) {
      lying.lie = undefined;
      world.run(SECOND_US);
      open();
    }
    world.run(5 * MILLISECOND_US);
  };

  expect(fuzz({ name: "cells of a peer", corpus: corpus.cells, read })).toBeGreaterThan(0);
  lying.lie = undefined;
  world.run(60 * SECOND_US);
  open();
  ada.stack.write(world.nowUs, stories.stream, Uint8Array.of(1, 2, 3));
  world.run(SECOND_US);
  expect([...bob.received.values()].flat().some((part) => part.join() === "1,2,3")).toBe(true);
});
