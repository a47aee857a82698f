/**
 * state.json: the epoch of the last start. Losing it costs nothing as long as the wall clock goes forward, so a damaged
 * one is reported and replaced, never fatal.
 */
import { readFileIfAny, writeFileAtomically } from "./file.js";

const EPOCH_MAX = 0xffff_ffff;

export interface State {
  /** The last epoch announced, u32; 0 when none is known. */
  readonly epoch: number;
  /** What is wrong with the file; undefined when it is whole or absent. */
  readonly damage?: string;
}

export function readState(path: string): State {
  const text = readFileIfAny(path);
  if (text === undefined) return { epoch: 0 };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { epoch: 0, damage: "it is not JSON" };
  }
  const epoch = typeof value === "object" && value !== null && "epoch" in value ? value.epoch : undefined;
  const isEpoch = typeof epoch === "number" && Number.isInteger(epoch) && epoch >= 0 && epoch <= EPOCH_MAX;
  return isEpoch ? { epoch } : { epoch: 0, damage: "it holds no epoch" };
}

/** The stack calls for this before it announces the epoch: a crash in between must not let it be used twice. */
export function writeState(path: string, epoch: number): void {
  writeFileAtomically(path, `${JSON.stringify({ epoch })}\n`);
}
