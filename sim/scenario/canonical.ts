/** One text for all spellings of one scenario, and its hash. */
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import { type ScenarioData, UNHASHED } from "./schema.js";

/** SHA3-256 over JSON with sorted keys of what the schema made of the file, defaults filled in and units converted. */
export function canonicalHash(data: ScenarioData): string {
  const kept = Object.fromEntries(Object.entries(data).filter(([key]) => !UNHASHED.includes(key)));
  const text = canonical(kept);
  const bytes = new Uint8Array(text.length * 2); // UTF-16: every text has one form
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    bytes[2 * i] = unit >>> 8;
    bytes[2 * i + 1] = unit & 0xff;
  }
  return [...nobleSuite.hash(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const keys = Object.keys(value)
    .filter((key) => (value as Record<string, unknown>)[key] !== undefined)
    .sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical((value as Record<string, unknown>)[key])}`).join(",")}}`;
}
