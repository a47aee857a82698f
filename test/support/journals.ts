/** Journals for tests: worlds in which some nodes are recorded, and a look into what was written. */
import { readFileSync, writeFileSync } from "node:fs";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { BLOCK_HEADER_BYTES, FILE_HEADER_BYTES, RecordKind, sealBlock } from "../../node/journal/format.js";
import { type InputName, inputNamed, type StackSurface } from "../../node/journal/inputs.js";
import type { Journal } from "../../node/journal/journal.js";
import { JournalReader } from "../../node/journal/journal-reader.js";
import { decodeValue } from "../../node/journal/value.js";
import { ask, echo } from "./questions.js";
import { StackWorld } from "./stack-world.js";

/**
 * ada asks cyd through bob, over cables that lose: a ping, a stream, datagrams, a goodbye. The same for one seed, whatever
 * is around the stacks.
 */
export function tellStory(
  seed: string,
  journals: Readonly<Record<string, Journal>>,
  options: { questionBytes?: number; around?: (stack: StackSurface) => StackSurface } = {},
): StackWorld {
  const { questionBytes = 60_000, around = (stack) => stack } = options;
  const world = new StackWorld({
    seed,
    makeStack: (make, name, nowUs, config, ports) =>
      around(journals[name]?.record(nowUs, config, ports, make) ?? make(nowUs, config, ports)),
  });
  world.isRecording = true;
  const cable = { delayUs: 5 * MILLISECOND_US, jitterUs: 3 * MILLISECOND_US, loss: 0.03 };
  world.wire("ada", "bob", cable).wire("bob", "cyd", cable);
  const isJoined = () => [...world.nodes.values()].every((node) => node.stack.status().routes >= 2);
  if (!world.run(20 * SECOND_US, isJoined)) throw new Error("the world never joined");
  const [ada, cyd] = [world.node("ada"), world.node("cyd")];
  ada.stack.ping(world.nowUs, cyd.nac, 1);
  echo(world, cyd);
  const stream = ask(world, ada, cyd, world.random.bytes(questionBytes));
  const flow = ada.stack.openFlow(world.nowUs, cyd.nac, 53);
  for (let copy = 0; copy < 3; copy += 1) ada.stack.sendDatagram(world.nowUs, flow, world.random.bytes(900)); // some are lost
  ada.stack.handleLoad(world.nowUs, { queueDelayUs: 1500, busy: 17 });
  const isAnswered = () => ada.events.some((event) => event.kind === "streamFinished" && event.stream === stream);
  if (!world.run(60 * SECOND_US, isAnswered)) throw new Error("the question was never answered");
  world.run(3 * SECOND_US);
  for (const { flow } of cyd.datagrams) cyd.stack.sendDatagram(world.nowUs, flow, world.random.bytes(100));
  world.run(SECOND_US);
  ada.stack.closeFlow(world.nowUs, flow);
  for (const node of world.nodes.values()) node.stack.depart(world.nowUs);
  for (const node of world.nodes.values()) node.stack.shutdown(world.nowUs);
  return world;
}

/** Bytes of the file that one thing of a record takes. */
export interface Place {
  /** The input that it belongs to. */
  readonly input: number;
  readonly at: number;
  readonly end: number;
}

export interface Recorded {
  readonly inputs: readonly { readonly input: number; readonly name: InputName; readonly places: readonly Place[] }[];
  readonly entropy: readonly Place[];
  readonly random: readonly Place[];
}

/** Where everything stands in a journal. Each place is that of the bytes alone, without kind and length. */
export function readPlaces(path: string): Recorded {
  const reader = JournalReader.open(path);
  const inputs: { input: number; name: InputName; places: Place[] }[] = [];
  const entropy: Place[] = [];
  const random: Place[] = [];
  let input = 0;
  for (let kind = reader.peek(); kind !== undefined; kind = reader.peek()) {
    reader.u8();
    if (kind === RecordKind.begin) decodeValue(reader);
    else if (kind === RecordKind.input) {
      input += 1;
      const name = inputNamed(reader.u8())!;
      const places: Place[] = [];
      for (let count = reader.u8(); count > 0; count -= 1) {
        const at = reader.at;
        const value = decodeValue(reader);
        const length = value instanceof Uint8Array ? value.length : reader.at - at - 1;
        places.push({ input, at: reader.at - length, end: reader.at });
      }
      inputs.push({ input, name, places });
    } else if (kind === RecordKind.entropy) {
      const length = reader.u32();
      entropy.push({ input, at: reader.at, end: reader.at + length });
      reader.bytes(length);
    } else if (kind === RecordKind.random) {
      random.push({ input, at: reader.at, end: reader.at + 4 });
      reader.u32();
    } else if (kind === RecordKind.result) reader.bytes(8);
    else if (kind === RecordKind.checkpoint) reader.bytes(48);
    else if (kind === RecordKind.refused) reader.text();
  }
  reader.close();
  return { inputs, entropy, random };
}

/** A copy of `from` in which the byte at `at` is another, and all checksums are right. */
export function forge(from: string, to: string, at: number, mask = 1): void {
  const file = readFileSync(from);
  const blocks: Buffer[] = [];
  for (let start = FILE_HEADER_BYTES; start < file.length; start += blocks.at(-1)!.length) {
    blocks.push(file.subarray(start, start + BLOCK_HEADER_BYTES + file.readUInt32LE(start)));
  }
  file[at] = file[at]! ^ mask;
  blocks.forEach(sealBlock);
  writeFileSync(to, file);
}
