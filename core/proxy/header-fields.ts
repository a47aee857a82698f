/**
 * Header fields as a flat list, name, value, name, value, in the order and spelling in which they came: what a proxy
 * passes on must not be reordered or merged.
 */
export type HeaderFields = readonly string[];

/** RFC 9110 section 5.6.2 */
const TOKEN_PATTERN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110 section 5.5: visible characters, spaces, tabs and the obsolete upper half of a byte. */
const VALUE_PATTERN = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Meant for the next hop only (RFC 9110 section 7.6.1), besides what Connection names and every Proxy-*. */
const HOP_BY_HOP = ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];
/** A trailer that said one of these would change what the head has already settled (RFC 9110 section 6.5.1). */
const NEVER_TRAILERS = [...HOP_BY_HOP, "content-length", "content-encoding", "content-type", "content-range", "host"];

export function isToken(text: string): boolean {
  return TOKEN_PATTERN.test(text);
}

/** Names and values that may stand in a message, and an even number of them. */
export function areFieldsValid(fields: HeaderFields): boolean {
  if (fields.length % 2 !== 0) return false;
  for (let i = 0; i < fields.length; i += 2) {
    if (!TOKEN_PATTERN.test(fields[i]!) || !VALUE_PATTERN.test(fields[i + 1]!)) return false;
  }
  return true;
}

/** All values of the field `name` (lower case), in order. */
export function valuesOf(fields: HeaderFields, name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    if (fields[i]!.toLowerCase() === name) values.push(fields[i + 1]!);
  }
  return values;
}

/** The members of all lists that the field `name` (lower case) holds, in lower case. */
export function listOf(fields: HeaderFields, name: string): string[] {
  const members: string[] = [];
  for (const value of valuesOf(fields, name)) {
    for (const part of value.split(",")) {
      const member = part.trim().toLowerCase();
      if (member !== "") members.push(member);
    }
  }
  return members;
}

/** Trailers that travel on, as pairs; undefined when a name or value may not stand in a message. */
export function forwardedTrailers(fields: HeaderFields): [string, string][] | undefined {
  if (!areFieldsValid(fields)) return undefined;
  const kept: [string, string][] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase();
    if (!NEVER_TRAILERS.includes(name) && !name.startsWith("proxy-")) kept.push([fields[i]!, fields[i + 1]!]);
  }
  return kept;
}

/** The fields that travel on; `without` (lower case) names more to leave out. */
export function endToEndFields(fields: HeaderFields, without: readonly string[] = []): string[] {
  const named = new Set(listOf(fields, "connection"));
  const kept: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase();
    if (HOP_BY_HOP.includes(name) || name.startsWith("proxy-")) continue;
    if (named.has(name) || without.includes(name)) continue;
    kept.push(fields[i]!, fields[i + 1]!);
  }
  return kept;
}
