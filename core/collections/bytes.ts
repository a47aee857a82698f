/** Whether two byte strings are equal; false when either is missing. Not in constant time: never for secrets. */
export function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined || a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * All of `from` into `to`, in a loop, which for a few bytes is quicker than `set`. Scratch that lives for ever is filled so and
 * not pointed elsewhere: the collector of garbage wants to be told of such a pointer.
 */
export function copyFew(from: Uint8Array, to: Uint8Array): void {
  for (let i = 0; i < from.length; i += 1) to[i] = from[i]!;
}
