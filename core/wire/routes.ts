import { ControlFrame } from "./control-frame.js";
import type { Reader, Writer } from "./cursor.js";

/**
 * ROUTES: one numbered message of a neighbour's control stream, a list of entries.
 *
 *   offset  size  field
 *        0     1  type     0x02
 *        1     4  number   from 1, one higher with each message of the session
 *        5     2  count    entries that follow
 *
 * Each entry begins with
 *
 *        0     1  flags    bit 0 the sender is the origin, of a retraction: the origin may be dead; bit 1 retraction, bit 2 short,
 *                          bit 3 proof, bit 4 life, bit 5 suspicion, bit 6 epoch. None of bits 1, 3 to 6: a route. Bits 3 and 4 may come together.
 *                          Bit 7, of a route alone: fresh, its slot is that of the generation and is not written.
 *        1     2  id       short id of the NAC in this direction; 0xffff: none
 *        3    16  NAC      not when short
 *
 * and goes on with, from here on for those that are not short,
 *
 *   a route      19     4  epoch
 *                23     4  slot        not when fresh: then all that follows stands 4 bytes earlier
 *                27     1  repair
 *                28     1  metric      below 64
 *                29     2  generation  low 16 bits of the slot in which the origin last proved its metrics
 *                31    16  element     of (generation, metric)
 *                47     8  tag         which life chain belongs to the epoch; not when short
 *   a proof      19     2  generation  the metric that was told last holds in this one too
 *                21    16  element     of (generation, that metric)
 *   a life       19     4  epoch
 *                23     4  slot        in which the origin lived
 *                27    28  element     of the life chain, 16, and the key that ties it to the tag, 12;
 *                                      with bit 3 an element of the metric chain at metric 63 instead, 16 bytes
 *   a suspicion  19     4  epoch
 *                23     4  slot        that only a living origin can prove
 *   an epoch     19     4  epoch
 *                23     4  previous    the epoch that vouches for it
 *                27   344  proof       that it does: chain/epoch-proof.ts
 *
 * A retraction has nothing more. A route with the NAC in full gives it the id; see routing/short-ids.ts.
 */
export const ROUTES_HEAD_BYTES = 7;
export const ROUTE_BYTES = 55;
export const RETRACTION_BYTES = 19;
export const PROOF_BYTES = 37;
export const LIFE_BYTES = 55;
/** A life that an element of the metric chain proves. */
export const METRIC_LIFE_BYTES = 43;
export const SUSPICION_BYTES = 27;
export const EPOCH_ENTRY_BYTES = 371;
/** So much a short entry saves; a route also its tag, which was told with the NAC. */
export const SHORT_SAVES_BYTES = 16;
export const ROUTE_TAG_BYTES = 8;
/** And so much a fresh route. */
export const FRESH_SAVES_BYTES = 4;
export const ELEMENT_BYTES = 16;

export const ENTRY_ORIGIN = 0x01;
export const ENTRY_RETRACTION = 0x02;
export const ENTRY_SHORT = 0x04;
export const ENTRY_PROOF = 0x08;
export const ENTRY_LIFE = 0x10;
export const ENTRY_SUSPICION = 0x20;
export const ENTRY_EPOCH = 0x40;
export const ENTRY_FRESH = 0x80;
/** What an entry is; none of them: a route. */
export const ENTRY_KIND = ENTRY_RETRACTION | ENTRY_PROOF | ENTRY_LIFE | ENTRY_SUSPICION | ENTRY_EPOCH;

const NAC_AT = 3;
const NAC_BYTES = 16;
const EPOCH_BYTES = 4;
const SLOT_BYTES = 4;
const PREVIOUS_BYTES = 4;
const METRIC_LIMIT = 64;
/** The metric stands so far before the element. */
const METRIC_BEFORE = 3;
/** By flags; 0 for what is no entry. */
const LENGTHS = lengthsByFlags();
/** By flags: the bytes at the end that chains prove. */
const PROVEN = provenByFlags();

/** Reused by the caller from entry to entry: thousands arrive in a snapshot. */
export interface RouteEntry {
  flags: number;
  /** 0xffff: none. */
  id: number;
  /** Without ENTRY_SHORT: the NAC is `bytes[nacAt, nacAt + 16)`; valid while the buffer underneath is. */
  bytes: Uint8Array;
  nacAt: number;
  /** This and what follows: meaningless where the kind has none. */
  epoch: number;
  /** Of an epoch entry: the previous epoch. Of a fresh route: that of the generation, whatever stands here. */
  slot: number;
  repair: number;
  metric: number;
  generation: number;
  /** Read: where the element begins in `bytes`. Not written: see `encodeRouteEntry`. */
  elementAt: number;
}

export function emptyRouteEntry(): RouteEntry {
  return {
    flags: 0,
    id: 0,
    bytes: new Uint8Array(16),
    nacAt: 0,
    epoch: 0,
    slot: 0,
    repair: 0,
    metric: 0,
    generation: 0,
    elementAt: 0,
  };
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

/**
 * Thousands at a time: the bytes are stored directly. Throws RangeError when they do not fit, as every Writer does. The element
 * of a route, proof or life, and what follows it, or an epoch's proof, are the caller's: zeros until it writes them. Returns where they begin.
 */
export function encodeRouteEntry(out: Writer, entry: RouteEntry): number {
  const { flags } = entry;
  const { bytes } = out;
  const length = entryBytes(flags);
  if (length === 0) throw new RangeError(`encodeRouteEntry: flags ${flags} are of no entry`);
  if (length > out.room) throw new RangeError(`encodeRouteEntry: ${length} bytes do not fit into ${out.room}`);
  let at = out.offset;
  const end = at + length;
  out.offset = end;
  bytes[at] = flags;
  bytes[at + 1] = entry.id >>> 8;
  bytes[at + 2] = entry.id;
  at += NAC_AT;
  if ((flags & ENTRY_SHORT) === 0) {
    const { bytes: from, nacAt } = entry;
    for (let i = 0; i < NAC_BYTES; i += 1) bytes[at + i] = from[nacAt + i]!;
    at += NAC_BYTES;
  }
  const kind = flags & ENTRY_KIND;
  if (kind === ENTRY_RETRACTION) return end;
  if (kind === ENTRY_PROOF) {
    put16(bytes, at, entry.generation);
  } else {
    put32(bytes, at, entry.epoch);
    at += EPOCH_BYTES;
    if ((flags & ENTRY_FRESH) === 0) {
      put32(bytes, at, entry.slot);
      at += SLOT_BYTES;
    }
    if (kind === ENTRY_SUSPICION) return end;
    if (kind === 0) {
      bytes[at] = entry.repair;
      bytes[at + 1] = entry.metric;
      put16(bytes, at + 2, entry.generation);
    }
  }
  const elementAt = end - PROVEN[flags]!;
  bytes.fill(0, elementAt, end);
  return elementAt;
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
    const length = entryBytes(flags);
    const next = at + length;
    if (length === 0 || next > end) return false;
    if ((flags & ENTRY_KIND) === 0 && bytes[next - PROVEN[flags]! - METRIC_BEFORE]! >= METRIC_LIMIT) return false;
    at = next;
  }
  input.offset = at;
  return true;
}

/** Reads the entry at `bytes[at]`, which `skipRouteEntries` has seen. Returns where the next one begins. */
export function readRouteEntry(bytes: Uint8Array, at: number, into: RouteEntry): number {
  const flags = bytes[at]!;
  const end = at + entryBytes(flags);
  const kind = flags & ENTRY_KIND;
  into.flags = flags;
  into.id = (bytes[at + 1]! << 8) | bytes[at + 2]!;
  into.bytes = bytes;
  into.nacAt = at + NAC_AT;
  into.elementAt = end - PROVEN[flags]!;
  if (kind === ENTRY_RETRACTION) return end;
  let p = (flags & ENTRY_SHORT) !== 0 ? at + NAC_AT : at + NAC_AT + NAC_BYTES;
  if (kind === ENTRY_PROOF) {
    into.generation = get16(bytes, p);
    return end;
  }
  into.epoch = get32(bytes, p);
  p += EPOCH_BYTES;
  if ((flags & ENTRY_FRESH) === 0) {
    into.slot = get32(bytes, p);
    p += SLOT_BYTES;
  }
  if (kind !== 0) return end;
  into.repair = bytes[p]!;
  into.metric = bytes[p + 1]!;
  into.generation = get16(bytes, p + 2);
  return end;
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
  return LENGTHS[flags]!;
}

function lengthsByFlags(): Uint16Array {
  const lengths = new Uint16Array(256);
  const kinds = [
    [0, ROUTE_BYTES],
    [ENTRY_RETRACTION, RETRACTION_BYTES],
    [ENTRY_PROOF, PROOF_BYTES],
    [ENTRY_LIFE, LIFE_BYTES],
    [ENTRY_LIFE | ENTRY_PROOF, METRIC_LIFE_BYTES],
    [ENTRY_SUSPICION, SUSPICION_BYTES],
    [ENTRY_EPOCH, EPOCH_ENTRY_BYTES],
  ] as const;
  for (const [kind, whole] of kinds) {
    for (const origin of [0, ENTRY_ORIGIN]) {
      lengths[kind | origin] = whole;
      lengths[kind | origin | ENTRY_SHORT] = whole - SHORT_SAVES_BYTES - (kind === 0 ? ROUTE_TAG_BYTES : 0);
    }
  }
  for (const flags of [0, ENTRY_ORIGIN, ENTRY_SHORT, ENTRY_ORIGIN | ENTRY_SHORT]) {
    lengths[flags | ENTRY_FRESH] = lengths[flags]! - FRESH_SAVES_BYTES;
  }
  return lengths;
}

function provenByFlags(): Uint16Array {
  const proven = new Uint16Array(256);
  for (let flags = 0; flags < proven.length; flags += 1) {
    const kind = flags & ENTRY_KIND;
    if (kind === 0) proven[flags] = ELEMENT_BYTES + ((flags & ENTRY_SHORT) === 0 ? ROUTE_TAG_BYTES : 0);
    else if (kind === ENTRY_LIFE) proven[flags] = LIFE_BYTES - METRIC_LIFE_BYTES + ELEMENT_BYTES;
    else if (kind === ENTRY_EPOCH)
      proven[flags] = EPOCH_ENTRY_BYTES - NAC_AT - NAC_BYTES - EPOCH_BYTES - PREVIOUS_BYTES;
    else if (kind === ENTRY_PROOF || kind === (ENTRY_PROOF | ENTRY_LIFE)) proven[flags] = ELEMENT_BYTES;
  }
  return proven;
}

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

function put32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

function get16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function get32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
