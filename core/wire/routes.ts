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
 *        1     2  id       short id of the NAC in this direction; 0xffff: none
 *        3    16  NAC      not when short
 *       19     4  epoch    from here on: not in a retraction
 *       23     4  slot
 *       27     1  repair
 *       28     1  metric   below 64
 *       29    16  element  zero until hash chains are built
 *
 * A route with the NAC in full gives it the id; see routing/short-ids.ts.
 */
export const ROUTES_HEAD_BYTES = 7;
export const ROUTE_BYTES = 45;
export const RETRACTION_BYTES = 19;
/** So much a short entry saves. */
export const SHORT_SAVES_BYTES = 16;

export const ENTRY_ORIGIN = 0x01;
export const ENTRY_RETRACTION = 0x02;
export const ENTRY_SHORT = 0x04;
const ENTRY_RESERVED = 0xf8;

const NAC_AT = 3;
const NAC_BYTES = 16;
const ELEMENT_BYTES = 16;
const METRIC_LIMIT = 64;

/** Reused by the caller from entry to entry: thousands arrive in a snapshot. */
export interface RouteEntry {
  flags: number;
  /** 0xffff: none. */
  id: number;
  /** Without ENTRY_SHORT: the NAC is `bytes[nacAt, nacAt + 16)`; valid while the buffer underneath is. */
  bytes: Uint8Array;
  nacAt: number;
  /** This and what follows: meaningless in a retraction. */
  epoch: number;
  slot: number;
  repair: number;
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

/** Thousands at a time: the bytes are stored directly. Throws RangeError when they do not fit, as every Writer does. */
export function encodeRouteEntry(out: Writer, entry: RouteEntry): void {
  const { flags, epoch, slot } = entry;
  const { bytes } = out;
  const length = entryBytes(flags);
  if (length > out.room) throw new RangeError(`encodeRouteEntry: ${length} bytes do not fit into ${out.room}`);
  let at = out.offset;
  out.offset = at + length;
  bytes[at] = flags;
  bytes[at + 1] = entry.id >>> 8;
  bytes[at + 2] = entry.id;
  at += NAC_AT;
  if ((flags & ENTRY_SHORT) === 0) {
    const { bytes: from, nacAt } = entry;
    for (let i = 0; i < NAC_BYTES; i += 1) bytes[at + i] = from[nacAt + i]!;
    at += NAC_BYTES;
  }
  if ((flags & ENTRY_RETRACTION) !== 0) return;
  bytes[at] = epoch >>> 24;
  bytes[at + 1] = epoch >>> 16;
  bytes[at + 2] = epoch >>> 8;
  bytes[at + 3] = epoch;
  bytes[at + 4] = slot >>> 24;
  bytes[at + 5] = slot >>> 16;
  bytes[at + 6] = slot >>> 8;
  bytes[at + 7] = slot;
  bytes[at + 8] = entry.repair;
  bytes[at + 9] = entry.metric;
  at += 10;
  for (let i = 0; i < ELEMENT_BYTES; i += 1) bytes[at + i] = 0;
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

/** Consumes `count` entries without reading more of them than tells whether they are entries. False when they are not. */
export function skipRouteEntries(input: Reader, count: number): boolean {
  const { bytes, end } = input;
  let at = input.offset;
  for (let i = 0; i < count; i += 1) {
    if (at >= end) return false;
    const flags = bytes[at]!;
    const next = at + entryBytes(flags);
    if (next > end || (flags & ENTRY_RESERVED) !== 0) return false;
    if ((flags & ENTRY_RETRACTION) === 0 && bytes[next - ELEMENT_BYTES - 1]! >= METRIC_LIMIT) return false;
    at = next;
  }
  input.offset = at;
  return true;
}

/** Reads the entry at `bytes[at]`, which `skipRouteEntries` has seen. Returns where the next one begins. */
export function readRouteEntry(bytes: Uint8Array, at: number, into: RouteEntry): number {
  const flags = bytes[at]!;
  into.flags = flags;
  into.id = (bytes[at + 1]! << 8) | bytes[at + 2]!;
  into.bytes = bytes;
  into.nacAt = at + NAC_AT;
  const p = (flags & ENTRY_SHORT) !== 0 ? at + NAC_AT : at + NAC_AT + NAC_BYTES;
  if ((flags & ENTRY_RETRACTION) !== 0) return p;
  into.epoch = ((bytes[p]! << 24) | (bytes[p + 1]! << 16) | (bytes[p + 2]! << 8) | bytes[p + 3]!) >>> 0;
  into.slot = ((bytes[p + 4]! << 24) | (bytes[p + 5]! << 16) | (bytes[p + 6]! << 8) | bytes[p + 7]!) >>> 0;
  into.repair = bytes[p + 8]!;
  into.metric = bytes[p + 9]!;
  return p + 10 + ELEMENT_BYTES;
}

/** How long the entry at `bytes[at]` is, which `skipRouteEntries` has seen. */
export function routeEntryBytes(bytes: Uint8Array, at: number): number {
  return entryBytes(bytes[at]!);
}

/** Where the NAC of such an entry begins if it is not short. */
export function nacOfEntryAt(at: number): number {
  return at + NAC_AT;
}

/** The id of such an entry if it is short, else -1. */
export function shortIdAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! & ENTRY_SHORT) === 0 ? -1 : (bytes[at + 1]! << 8) | bytes[at + 2]!;
}

/** False when the bytes are not an entry; `into` then holds nothing that may be used. */
export function decodeRouteEntry(input: Reader, into: RouteEntry): boolean {
  const start = input.offset;
  if (!input.ok || !skipRouteEntries(input, 1)) return false;
  readRouteEntry(input.bytes, start, into);
  return true;
}

function entryBytes(flags: number): number {
  const whole = (flags & ENTRY_RETRACTION) !== 0 ? RETRACTION_BYTES : ROUTE_BYTES;
  return (flags & ENTRY_SHORT) !== 0 ? whole - SHORT_SAVES_BYTES : whole;
}
