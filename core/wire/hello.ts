import type { Reader, Writer } from "./cursor.js";

/**
 * HELLO: "I am here, this is the last I heard of you, and I will say so again within `intervalMs`."
 *
 *   offset  size  field
 *        0     4  seqno             grows by one per HELLO of this link session, from 1
 *        4     4  echoSeqno         newest seqno heard from the neighbour; 0 when none was
 *        8     4  echoDelayUs       how long ago that was, microseconds
 *       12     2  intervalMs        promise to the neighbour, milliseconds; never 0
 *       14     1  flags             bit 0: probe, answer at once; bit 1: held, I take no routes yet; bit 2: you are a stub here
 *       15     8  routerId          random, one per node and start; breaks ties of the feasibility condition
 *       23     6  networkTimeMs     sender's idea of network time, milliseconds since 1970
 *       29     2  queueDelayMs      how long a record waits at the sender before it is dealt with
 *       31     4  controlSent       newest control message number sent on this link
 *       35     4  controlProcessed  all control messages up to this number were processed
 *       39     8  tableDigest       of all that the sender announced on this link
 *       47     1  load              how busy the sender is, 0 idle .. 255 full
 */
export interface Hello {
  seqno: number;
  echoSeqno: number;
  echoDelayUs: number;
  intervalMs: number;
  probe: boolean;
  held: boolean;
  stub: boolean;
  routerId: Uint8Array;
  networkTimeMs: number;
  queueDelayMs: number;
  controlSent: number;
  controlProcessed: number;
  tableDigest: Uint8Array;
  load: number;
}

export const HELLO_BYTES = 48;
export const ROUTER_ID_BYTES = 8;
export const TABLE_DIGEST_BYTES = 8;

const PROBE = 0x01;
const HELD = 0x02;
const STUB = 0x04;

/** One to be filled: hellos are what a quiet node spends its time on, so whoever deals with them keeps one. */
export function emptyHello(): Hello {
  return {
    seqno: 0,
    echoSeqno: 0,
    echoDelayUs: 0,
    intervalMs: 0,
    probe: false,
    held: false,
    stub: false,
    routerId: new Uint8Array(ROUTER_ID_BYTES),
    networkTimeMs: 0,
    queueDelayMs: 0,
    controlSent: 0,
    controlProcessed: 0,
    tableDigest: new Uint8Array(TABLE_DIGEST_BYTES),
    load: 0,
  };
}

export function encodeHello(out: Writer, hello: Readonly<Hello>): void {
  out.u32(hello.seqno).u32(hello.echoSeqno).u32(hello.echoDelayUs).u16(hello.intervalMs);
  out
    .u8((hello.probe ? PROBE : 0) | (hello.held ? HELD : 0) | (hello.stub ? STUB : 0))
    .raw(hello.routerId)
    .u48(hello.networkTimeMs)
    .u16(hello.queueDelayMs);
  out.u32(hello.controlSent).u32(hello.controlProcessed).raw(hello.tableDigest).u8(hello.load);
}

/** False when the bytes are not a HELLO. Fills all of `hello`, whose `routerId` and `tableDigest` keep their own bytes. */
export function decodeHello(input: Reader, hello: Hello): boolean {
  hello.seqno = input.u32();
  hello.echoSeqno = input.u32();
  hello.echoDelayUs = input.u32();
  hello.intervalMs = input.u16();
  const flags = input.u8();
  hello.probe = (flags & PROBE) !== 0;
  hello.held = (flags & HELD) !== 0;
  hello.stub = (flags & STUB) !== 0;
  input.copy(hello.routerId);
  hello.networkTimeMs = input.u48();
  hello.queueDelayMs = input.u16();
  hello.controlSent = input.u32();
  hello.controlProcessed = input.u32();
  input.copy(hello.tableDigest);
  hello.load = input.u8();
  return input.ok && hello.seqno !== 0 && hello.intervalMs !== 0; // a promise of "never" is no promise
}
