/**
 * state.json: the epoch of the last start, and after a rotation until when the former identity answers. Losing it costs
 * the former identity, and otherwise nothing as long as the wall clock goes forward; so a damaged one is reported and
 * replaced, never fatal.
 */
import { OUTBID_EPOCH_MAX } from "../../core/routing/origins.js";
import { Failure } from "../failure.js";
import { readFileIfAny, writeFileAtomically } from "./file.js";

/** No honest clock and no number of restarts gets beyond: 16 million restarts after the last epoch that a lie can drive us to. */
const STORED_EPOCH_MAX = OUTBID_EPOCH_MAX + 0x100_0000;
const ABSURD = "its epoch is beyond all that this node can have announced";

export interface State {
  /** The last epoch announced, u32; 0 when none is known. */
  readonly epoch: number;
  readonly former?: {
    /** Seconds since 1970. */
    readonly untilSeconds: number;
    /** The last epoch announced of the former NAC, u32; 0 when none is known. */
    readonly epoch: number;
  };
  /** What is wrong with the file; undefined when it is whole or absent. */
  readonly damage?: string;
}

export function readState(path: string): State {
  let text: string | undefined;
  try {
    text = readFileIfAny(path);
  } catch (error) {
    if (error instanceof Failure && error.code === "file.garbled") return { epoch: 0, damage: "it is not text" };
    throw error; // it could not be replaced either
  }
  if (text === undefined) return { epoch: 0 };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { epoch: 0, damage: "it is not JSON" };
  }
  const { epoch, former } = fieldsOf(value);
  if (!isEpoch(epoch)) return { epoch: 0, damage: "it holds no epoch" };
  if (epoch > STORED_EPOCH_MAX) return { epoch: 0, damage: ABSURD };
  if (former === undefined) return { epoch };
  const { untilSeconds, epoch: formerEpoch } = fieldsOf(former);
  if (!isEpoch(formerEpoch) || typeof untilSeconds !== "number" || !Number.isSafeInteger(untilSeconds)) {
    return { epoch, damage: "what it says of the former identity cannot be read" };
  }
  if (formerEpoch > STORED_EPOCH_MAX) return { epoch, former: { untilSeconds, epoch: 0 }, damage: ABSURD };
  return { epoch, former: { untilSeconds, epoch: formerEpoch } };
}

/** The stack calls for this before it announces an epoch: a crash in between must not let it be used twice. */
export function writeState(path: string, state: State): void {
  const { epoch, former } = state;
  writeFileAtomically(path, `${JSON.stringify({ epoch, former })}\n`);
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function isEpoch(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
}
