/**
 * Numbers with units, as people write them: `60s`, `5%`, `10Mbit`, `64KiB`, `100ppm`, `3/min`. What comes out is an integer in the
 * unit of the plan. A bare number is refused, because the reader would have to guess its unit.
 */

import { z } from "zod";
import { clipped } from "./clipped.js";

interface Unit {
  /** In the JSON Schema. */
  readonly id: string;
  /** For errors: `expected a time such as "250ms"`. */
  readonly what: string;
  readonly example: string;
  /** Suffix to how many of the plan's unit it is worth. */
  readonly worth: Readonly<Record<string, number>>;
  readonly min: number;
  readonly max: number;
  readonly isSigned?: boolean;
}

const SECOND = 1_000_000;
const TIME = { us: 1, ms: 1000, s: SECOND, min: 60 * SECOND, h: 3600 * SECOND };
/** A week of virtual time. */
const TIME_MAX = 7 * 24 * 3600 * SECOND;
/** Nine digits before the point and six behind it are exact in a double for every unit here. */
const DIGITS = "\\d{1,9}(?:\\.\\d{1,6})?";

/** Microseconds. */
export const time = quantity({ id: "time", what: "a time", example: "250ms", worth: TIME, min: 0, max: TIME_MAX });
/** Microseconds, more than none. */
export const span = quantity({ id: "span", what: "a time", example: "250ms", worth: TIME, min: 1, max: TIME_MAX });
/** Parts per million of what there is. */
export const share = quantity({
  id: "share",
  what: "a share",
  example: "5%",
  worth: { "%": 10_000 },
  min: 0,
  max: 1_000_000,
});
/** Bits per second. */
export const rate = quantity({
  id: "rate",
  what: "a rate",
  example: "10Mbit",
  worth: { bit: 1, kbit: 1000, Mbit: 1_000_000, Gbit: 1_000_000_000 },
  min: 1000,
  max: 1_000_000_000_000,
});
/** Bytes. */
export const size = quantity({
  id: "size",
  what: "a size",
  example: "64KiB",
  worth: { B: 1, kB: 1000, KiB: 1024, MB: 1_000_000, MiB: 1_048_576, GB: 1_000_000_000, GiB: 1_073_741_824 },
  min: 0,
  max: 64 * 1_073_741_824,
});
/** Parts per million that a clock runs too fast; negative: too slow. */
export const drift = quantity({
  id: "drift",
  what: "a drift",
  example: "100ppm",
  worth: { ppm: 1 },
  min: -100_000,
  max: 100_000,
  isSigned: true,
});
/** Events per hour. */
export const frequency = quantity({
  id: "frequency",
  what: "a frequency",
  example: "3/min",
  worth: { "/h": 1, "/min": 60, "/s": 3600 },
  min: 0,
  max: 36_000_000,
});

/** Microseconds of a text like `10s`; undefined when it is none. */
export function parseTime(text: string): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)(us|ms|s|min|h)$/.exec(text);
  return match === null ? undefined : Math.round(Number(match[1]) * TIME[match[2] as keyof typeof TIME]);
}

function quantity(unit: Unit) {
  const suffixes = Object.keys(unit.worth).join("|");
  const pattern = new RegExp(`^(${unit.isSigned ? "-?" : ""}${DIGITS})(${suffixes})$`);
  return z
    .string({ error: (issue) => (issue.input === undefined ? undefined : wrong(unit, issue.input)) })
    .regex(pattern, { error: (issue) => wrong(unit, issue.input) })
    .transform((text, context) => {
      const match = pattern.exec(text)!;
      const value = Math.round(Number(match[1]) * unit.worth[match[2]!]!);
      if (value < unit.min) context.addIssue({ code: "custom", message: `"${text}" is too little` });
      if (value > unit.max) context.addIssue({ code: "custom", message: `"${text}" is too much` });
      return value;
    })
    .meta({ id: unit.id, description: `${unit.what} such as "${unit.example}"` });
}

function wrong(unit: Unit, input: unknown): string {
  const expected = `expected ${unit.what} such as "${unit.example}"`;
  if (typeof input === "number") return `${expected}: the number ${input} has no unit`;
  if (typeof input !== "string") return expected;
  if (/^-\d/.test(input)) return `${expected}: "${clipped(input)}" is negative`;
  const tail = /^\d[\d_.]*\s*(\D*)$/.exec(input)?.[1];
  const known = Object.keys(unit.worth).join(", ");
  if (tail === "") return `${expected}: "${clipped(input)}" has no unit`;
  if (tail !== undefined && !Object.hasOwn(unit.worth, tail)) {
    return `${expected}: "${clipped(tail)}" is no unit of ${unit.what.slice(2)} (${known})`;
  }
  return `${expected}, got "${clipped(input)}"`;
}
