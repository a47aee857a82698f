/** Why an overlay stream ended before its time: what the peer's RESET said, or what kept it from opening. */
import { LocalCode } from "../core/stack/ports.js";
import { EndCode } from "../core/wire/cell.js";

export const StreamCode = { ...EndCode, ...LocalCode } as const;

export type StreamFault = keyof typeof StreamCode | "unknown";

export class StreamError extends Error {
  /** A StreamCode, or a number of a newer version. */
  readonly code: number;
  /** The stable name of the code. */
  readonly fault: StreamFault;

  constructor(code: number) {
    const fault = faultOf(code);
    super(`The overlay stream failed: ${fault} (${code})`);
    this.name = "StreamError";
    this.code = code;
    this.fault = fault;
  }
}

function faultOf(code: number): StreamFault {
  for (const [name, value] of Object.entries(StreamCode)) if (value === code) return name as StreamFault;
  return "unknown";
}
