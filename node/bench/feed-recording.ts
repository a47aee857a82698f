/**
 * What some public nodes of a simulated network knew over time: the routes that each had when the recording began, and each
 * change of one. A feed (feeder.ts) is played from it.
 */
import { gunzipSync, gzipSync } from "node:zlib";

/** Of other forms nothing is read: they are recorded anew. */
const FORMAT = 1;
/** In the column of metrics: the route was lost. */
export const NO_ROUTE = 255;
const NAC_BYTES = 16;

export interface FeedHead {
  /** Says what was simulated: the scenario, its seed, what was changed of it. */
  readonly source: string;
  /** The network's wall clock at its beginning, whole seconds since 1970. */
  readonly wallSeconds: number;
  /** Nodes whose routes were recorded, by their numbers in the plan. */
  readonly tellers: readonly number[];
  readonly durationMs: number;
}

/** Rows in order of time; those at 0 are the routes at the beginning. */
export interface FeedRecording {
  readonly head: FeedHead;
  /** 16 bytes each, by the destination's number. */
  readonly nacs: Uint8Array;
  /** Milliseconds since the beginning. */
  readonly atMs: Uint32Array;
  /** Place in `head.tellers`. */
  readonly teller: Uint8Array;
  readonly destination: Uint16Array;
  /** Of the route as the teller had it, or NO_ROUTE. */
  readonly metric: Uint8Array;
  readonly epoch: Uint32Array;
  readonly slot: Uint32Array;
  readonly repair: Uint8Array;
}

/** One row, for who records. */
export interface FeedRow {
  readonly atMs: number;
  readonly teller: number;
  readonly destination: number;
  readonly metric: number;
  readonly epoch: number;
  readonly slot: number;
  readonly repair: number;
}

export function recordingOf(head: FeedHead, nacs: Uint8Array, rows: readonly FeedRow[]): FeedRecording {
  return {
    head,
    nacs,
    atMs: Uint32Array.from(rows, (row) => row.atMs),
    teller: Uint8Array.from(rows, (row) => row.teller),
    destination: Uint16Array.from(rows, (row) => row.destination),
    metric: Uint8Array.from(rows, (row) => row.metric),
    epoch: Uint32Array.from(rows, (row) => row.epoch),
    slot: Uint32Array.from(rows, (row) => row.slot),
    repair: Uint8Array.from(rows, (row) => row.repair),
  };
}

/** Columns one behind the other, which gzip likes better than rows. */
export function encodeRecording(recording: FeedRecording): Uint8Array {
  const { head, nacs, atMs, teller, destination, metric, epoch, slot, repair } = recording;
  const counts = { format: FORMAT, rows: atMs.length, nacs: nacs.length / NAC_BYTES };
  const first = Buffer.from(`${JSON.stringify({ ...counts, head })}\n`);
  const columns = [nacs, atMs, teller, destination, metric, epoch, slot, repair];
  return gzipSync(Buffer.concat([first, ...columns.map(bytesOf)]));
}

/** Undefined when the bytes are no recording of this form. */
export function decodeRecording(packed: Uint8Array): FeedRecording | undefined {
  try {
    const bytes = gunzipSync(packed);
    const end = bytes.indexOf(0x0a);
    const { format, rows, nacs, head } = JSON.parse(bytes.toString("utf8", 0, end));
    if (format !== FORMAT) return undefined;
    let at = end + 1;
    const take = (length: number): ArrayBuffer => {
      const part = new Uint8Array(bytes.subarray(at, at + length)); // a copy begins where columns of any width may
      if (part.length !== length) throw new RangeError("a feed recording ends early");
      at += length;
      return part.buffer;
    };
    return {
      head,
      nacs: new Uint8Array(take(nacs * NAC_BYTES)),
      atMs: new Uint32Array(take(rows * 4)),
      teller: new Uint8Array(take(rows)),
      destination: new Uint16Array(take(rows * 2)),
      metric: new Uint8Array(take(rows)),
      epoch: new Uint32Array(take(rows * 4)),
      slot: new Uint32Array(take(rows * 4)),
      repair: new Uint8Array(take(rows)),
    };
  } catch {
    return undefined; // cut off, or something else: it is recorded anew
  }
}

function bytesOf(column: Uint8Array | Uint16Array | Uint32Array): Uint8Array {
  return new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
}
