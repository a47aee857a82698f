import type { Stack } from "../../core/stack/stack.js";
import { SEND_BUFFER_BYTES } from "../../core/stream/send-buffer.js";

/** What a shell sees of a stack, recorded or not. */
export type StackSurface = Pick<Stack, keyof Stack>;

/** What only answers, and leaves the stack as it was: not recorded. */
export type StackAnswer = "nextDeadlineUs" | "pathsInUse" | "isSessionKnown" | "status" | "peers" | "routes" | "digest";

/** Everything else of a stack is an input. One that is missing here does not compile. */
export type InputName = Exclude<keyof Stack, StackAnswer>;

/** The numbers stand in journals: never given to another input. */
export const INPUT_NUMBERS = {
  start: 1,
  handleDatagram: 2,
  handleTimer: 3,
  addPeer: 4,
  openStream: 5,
  acceptStream: 6,
  write: 7,
  finish: 8,
  reset: 9,
  consume: 10,
  ping: 11,
  shutdown: 12,
  openFlow: 13,
  sendDatagram: 14,
  closeFlow: 15,
  handleLoad: 16,
  depart: 17,
} as const satisfies Record<InputName, number>;

export const INPUT_NAMES = Object.keys(INPUT_NUMBERS) as readonly InputName[];

export function inputNamed(number: number): InputName | undefined {
  return INPUT_NAMES.find((name) => INPUT_NUMBERS[name] === number);
}

/** Arguments as they are recorded: of the buffer that a datagram came in only the datagram, of a write what could be taken. */
export function packArguments(name: InputName, given: readonly unknown[]): readonly unknown[] {
  if (name === "handleDatagram") {
    const [nowUs, path, bytes, at, length, crowd] = given as Parameters<Stack["handleDatagram"]>;
    const kept = [nowUs, path, bytes.subarray(at, at + length)];
    return crowd === undefined ? kept : [...kept, crowd];
  }
  if (name === "write") {
    const [nowUs, stream, bytes] = given as Parameters<Stack["write"]>;
    return [nowUs, stream, bytes.length, bytes.subarray(0, SEND_BUFFER_BYTES)];
  }
  return given;
}

/**
 * The reverse. Of the bytes of a write the journal keeps those that were taken, and how many were given: what was not
 * taken is given again later, and is zeros here.
 */
export function unpackArguments(name: InputName, kept: readonly unknown[]): readonly unknown[] {
  if (name === "handleDatagram") {
    const [nowUs, path, bytes, crowd] = kept as [number, number, Uint8Array, number?];
    return [nowUs, path, bytes, 0, bytes.length, crowd];
  }
  if (name === "write") {
    const [nowUs, stream, length, bytes] = kept as [number, number, number, Uint8Array];
    const given = new Uint8Array(length);
    given.set(bytes);
    return [nowUs, stream, given];
  }
  return kept;
}
