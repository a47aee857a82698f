/**
 * What really travels, to start fuzzing from: a small world in which everything happens once. Datagrams as the wire shows
 * them, and what is sealed in them, taken before it was sealed.
 */
import { LIMITS } from "../../core/session/limits.js";
import { SECOND_US } from "../../core/time/instant.js";
import { CELL_BYTES } from "../../core/wire/cell.js";
import { PacketType } from "../../core/wire/flight.js";
import { RECORD_HEADER_BYTES } from "../../core/wire/record.js";
import { StackWorld } from "./stack-world.js";

export interface Corpus {
  /** UDP payloads, by their first byte. */
  readonly datagrams: ReadonlyMap<number, readonly Uint8Array[]>;
  /** Bodies of INIT, RESP and CONF, biscuits and cookies. */
  readonly bodies: readonly Uint8Array[];
  /** Plaintexts of link records, kind byte first. */
  readonly records: readonly Uint8Array[];
  /** Plaintexts of end-to-end records. */
  readonly cells: readonly Uint8Array[];
}

/** More of one kind teach nothing new. */
const SAMPLES_MAX = 400;

export function captureCorpus(): Corpus {
  const datagrams = new Map<number, Uint8Array[]>();
  const bodies: Uint8Array[] = [];
  const records: Uint8Array[] = [];
  const cells: Uint8Array[] = [];
  const keep = (samples: Uint8Array[], bytes: Uint8Array) => {
    if (samples.length < SAMPLES_MAX) samples.push(bytes.slice());
  };
  const world = new StackWorld({
    seed: "corpus",
    sessionLimits: { ...LIMITS, keyUpdatePackets: 50, rekeySeconds: 2, rekeyBytes: 100_000 },
    onPlaintext: (_node, plaintext, associatedBytes) => {
      if (associatedBytes !== RECORD_HEADER_BYTES) keep(bodies, plaintext);
      else keep(plaintext.length === CELL_BYTES ? cells : records, plaintext);
    },
  });
  world.isRecording = true;
  const cable = { delayUs: 5_000, jitterUs: 5_000, loss: 0.05, duplication: 0.02 };
  world.wire("ada", "bob", cable).wire("bob", "cyd", cable).wire("cyd", "ada", cable).wire("cyd", "dan", cable);
  world.dial("bob", "ada"); // both dial: two sessions must become one
  world.run(5 * SECOND_US);
  exchange(world, 60_000);
  world.restart("bob", ["cyd"]);
  world.cut("ada", "cyd");
  world.run(10 * SECOND_US);
  world.mend("ada", "cyd");
  exchange(world, 20_000);
  world.kill("dan");
  world.run(10 * SECOND_US);
  for (const name of ["ada", "cyd", "bob"]) world.node(name).stack.shutdown(world.nowUs);
  for (const { bytes } of world.seen) {
    const type = bytes[0]!;
    const samples = datagrams.get(type) ?? [];
    datagrams.set(type, samples);
    keep(samples, bytes);
  }
  datagrams.set(
    PacketType.unknown,
    datagrams.get(PacketType.unknown) ?? [Uint8Array.of(PacketType.unknown, 1, 0, 0, 1, 2, 3, 4)],
  );
  return { datagrams, bodies, records, cells };
}

/** Bytes, datagrams and a ping from ada to dan and back, over streams that end in every way. */
function exchange(world: StackWorld, bytes: number): void {
  const [ada, dan] = [world.node("ada"), world.node("dan")];
  dan.onEvent = (event) => {
    if (event.kind === "streamOpened") dan.stack.acceptStream(world.nowUs, event.stream);
    if (event.kind === "streamWritable") dan.stack.write(world.nowUs, event.stream, world.random.bytes(5_000));
    if (event.kind === "streamFinished") dan.stack.finish(world.nowUs, event.stream);
  };
  const question = world.random.bytes(bytes);
  for (const ending of ["finish", "reset"] as const) {
    const stream = ada.stack.openStream(world.nowUs, dan.nac, 80);
    world.run(2 * SECOND_US);
    let sent = 0;
    for (let round = 0; round < 50 && sent < bytes; round += 1) {
      sent += ada.stack.write(world.nowUs, stream, question.subarray(sent));
      world.run(SECOND_US / 5);
    }
    if (ending === "finish") ada.stack.finish(world.nowUs, stream);
    else ada.stack.reset(world.nowUs, stream, 3);
    world.run(SECOND_US);
  }
  const flow = ada.stack.openFlow(world.nowUs, dan.nac, 53);
  for (let number = 0; number < 5; number += 1) {
    ada.stack.sendDatagram(world.nowUs, flow, world.random.bytes(10 + 200 * number));
    world.run(SECOND_US / 10);
  }
  ada.stack.ping(world.nowUs, dan.nac, 1);
  world.run(SECOND_US);
}
