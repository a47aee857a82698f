/**
 * Plain data as bytes: what configurations, arguments, answers and events are made of. Each value says what it is, so a
 * new argument or field is recorded without a word here.
 *
 *   0 undefined | 1 null | 2 false | 3 true
 *   4 a whole number below 2^32, 4 bytes | 5 below 2^53, 8 bytes | 6 any other, as a double, 8 bytes
 *   7 text: length 4, UTF-8 | 8 bytes: length 4, bytes
 *   9 list: count 4, so many values | 10 object: count 4, so often text and value, in the order of its keys
 */
import type { Scribe } from "./scribe.js";

const Tag = {
  undefined: 0,
  null: 1,
  false: 2,
  true: 3,
  u32: 4,
  u53: 5,
  f64: 6,
  text: 7,
  bytes: 8,
  list: 9,
  object: 10,
} as const;

/** A configuration is three deep. */
const DEPTH_MAX = 16;

/** Where values are read from. Each throws when there is no more. */
export interface ValueSource {
  u8(): number;
  u32(): number;
  u53(): number;
  f64(): number;
  /** A copy. */
  bytes(length: number): Uint8Array;
  text(): string;
  /** What to throw when the bytes make no sense. */
  fault(what: string): Error;
}

/** Throws TypeError for what is no plain data: a function, a Map, an array of words. */
export function encodeValue(out: Scribe, value: unknown): void {
  switch (typeof value) {
    case "number":
      return encodeNumber(out, value);
    case "undefined":
      return out.u8(Tag.undefined);
    case "boolean":
      return out.u8(value ? Tag.true : Tag.false);
    case "string":
      out.u8(Tag.text);
      return out.text(value);
    case "object":
      return encodeObject(out, value);
    default:
      throw new TypeError(`a journal cannot keep a ${typeof value}`);
  }
}

export function decodeValue(input: ValueSource, depth = 0): unknown {
  if (depth > DEPTH_MAX) throw input.fault(`a value deeper than ${DEPTH_MAX}`);
  const tag = input.u8();
  switch (tag) {
    case Tag.undefined:
      return undefined;
    case Tag.null:
      return null;
    case Tag.false:
      return false;
    case Tag.true:
      return true;
    case Tag.u32:
      return input.u32();
    case Tag.u53:
      return input.u53();
    case Tag.f64:
      return input.f64();
    case Tag.text:
      return input.text();
    case Tag.bytes:
      return input.bytes(input.u32());
    case Tag.list: {
      const list: unknown[] = [];
      for (let count = input.u32(); count > 0; count -= 1) list.push(decodeValue(input, depth + 1));
      return list;
    }
    case Tag.object: {
      const entries: [string, unknown][] = [];
      for (let count = input.u32(); count > 0; count -= 1) entries.push([input.text(), decodeValue(input, depth + 1)]);
      return Object.fromEntries(entries);
    }
    default:
      throw input.fault(`a value of the unknown kind ${tag}`);
  }
}

function encodeNumber(out: Scribe, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0 || Object.is(value, -0)) {
    out.u8(Tag.f64);
    out.f64(value);
  } else if (value <= 0xffff_ffff) {
    out.u8(Tag.u32);
    out.u32(value);
  } else {
    out.u8(Tag.u53);
    out.u53(value);
  }
}

function encodeObject(out: Scribe, value: object | null): void {
  if (value === null) {
    out.u8(Tag.null);
  } else if (value instanceof Uint8Array) {
    out.u8(Tag.bytes);
    out.u32(value.length);
    out.bytes(value);
  } else if (Array.isArray(value)) {
    out.u8(Tag.list);
    out.u32(value.length);
    for (const item of value) encodeValue(out, item);
  } else if (Object.getPrototypeOf(value) === Object.prototype) {
    const entries = Object.entries(value);
    out.u8(Tag.object);
    out.u32(entries.length);
    for (const [key, item] of entries) {
      out.text(key);
      encodeValue(out, item);
    }
  } else {
    throw new TypeError(`a journal cannot keep a ${value.constructor?.name ?? "value without a prototype"}`);
  }
}
