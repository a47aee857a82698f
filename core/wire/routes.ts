import { ControlFrame } from "./control-frame.js";
import type { Reader, Writer } from "./cursor.js";

/**
 * ROUTES: one numbered message of a neighbour's control stream, a list of route entries.
 *
 *   offset  size  field
 *        0     1  type     0x02
 *        1     4  number   from 1, one higher with each message of the session
 *        5     2  count    entries that follow
 *
 * A route entry:
 *
 *        0     1  flags    bit 0 the sender is the origin, bit 1 retraction, bit 2 short; the others are reserved and zero
 *        1    16  NAC      or, when short, 2 bytes: its id on this link and direction
 *       17     4  epoch
 *       21     4  slot
 *       25     1  repair
 *       26     1  metric   not in a retraction; below 64
 *       27    16  element  not in a retraction; zero until hash chains are built
 *
 * A route with the NAC in full gives it an id; see routing/short-ids.ts.
 */
export const ROUTES_HEAD_BYTES = 7;
export const ROUTE_BYTES = 43;
export const RETRACTION_BYTES = 26;
/** So much a short entry saves. */
export const SHORT_SAVES_BYTES = 14;

export const ENTRY_ORIGIN = 0x01;
export const ENTRY_RETRACTION = 0x02;
export const ENTRY_SHORT = 0x04;
const ENTRY_RESERVED = 0xf8;

const ELEMENT_BYTES = 16;
const METRIC_LIMIT = 64;

/** Reused by the caller from entry to entry: thousands arrive in a snapshot. */
export interface RouteEntry {
  flags: number;
  /** Instead of the NAC, with ENTRY_SHORT; meaningless without. */
  id: number;
  /** Without ENTRY_SHORT: the NAC is `bytes[nacAt, nacAt + 16)`; valid while the buffer underneath is. */
  bytes: Uint8Array;
  nacAt: number;
  epoch: number;
  slot: number;
  repair: number;
  /** Meaningless in a retraction. */
  metric: number;
}

export function emptyRouteEntry(): RouteEntry {
  return { flags: 0, id: 0, bytes: new Uint8Array(16), nacAt: 0, epoch: 0, slot: 0, repair: 0, metric: 0 };
}

/** Writes type, number and a count of zero; `sealRoutes` fills in the count. Returns where the frame starts. */
export function openRoutes(out: Writer, number: number): number {
  const start = out.offset;
  out.u8(ControlFrame.routes).u32(number).u16(0);
  return start;
}

export function sealRoutes(out: Writer, start: number, count: number): void {
  out.bytes[start + 5] = count >>> 8;
  out.bytes[start + 6] = count;
}

export function encodeRouteEntry(out: Writer, entry: RouteEntry): void {
  out.u8(entry.flags);
  if ((entry.flags & ENTRY_SHORT) !== 0) out.u16(entry.id);
  else for (let i = 0; i < 16; i += 1) out.u8(entry.bytes[entry.nacAt + i]!);
  out.u32(entry.epoch).u32(entry.slot).u8(entry.repair);
  if ((entry.flags & ENTRY_RETRACTION) === 0) out.u8(entry.metric).zeros(ELEMENT_BYTES);
}

export interface RoutesHead {
  readonly number: number;
  readonly count: number;
}

/** Reads number and count; the type byte is consumed already. Number zero is none of ours. */
export function decodeRoutesHead(input: Reader): RoutesHead | undefined {
  const head = { number: input.u32(), count: input.u16() };
  return input.ok && head.number !== 0 ? head : undefined;
}

/** False when the bytes are not an entry; `into` then holds nothing that may be used. */
export function decodeRouteEntry(input: Reader, into: RouteEntry): boolean {
  into.flags = input.u8();
  into.bytes = input.bytes;
  into.nacAt = input.offset;
  if ((into.flags & ENTRY_SHORT) !== 0) into.id = input.u16();
  else input.skip(16);
  into.epoch = input.u32();
  into.slot = input.u32();
  into.repair = input.u8();
  into.metric = METRIC_LIMIT;
  if ((into.flags & ENTRY_RETRACTION) === 0) {
    into.metric = input.u8();
    input.skip(ELEMENT_BYTES);
    if (into.metric >= METRIC_LIMIT) return false;
  }
  return input.ok && (into.flags & ENTRY_RESERVED) === 0;
}
