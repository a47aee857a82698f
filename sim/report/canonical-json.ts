export type Json = number | string | boolean | null | undefined | readonly Json[] | { readonly [key: string]: Json };

/**
 * JSON with sorted keys, two spaces, no numbers but finite ones: the same bytes for the same value everywhere. What is
 * undefined is left out. Numbers are written as ECMAScript does, the shortest that reads back as the same double.
 * Throws RangeError for NaN and infinities, which JSON cannot hold.
 */
export function canonicalJson(value: Json): string {
  return `${JSON.stringify(sorted(value), undefined, 2)}\n`;
}

function sorted(value: Json): Json {
  if (typeof value === "number" && !Number.isFinite(value))
    throw new RangeError(`canonicalJson: ${value} is no number of JSON`);
  if (Array.isArray(value)) return value.map((item: Json) => sorted(item));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value as { readonly [key: string]: Json });
  entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
}
