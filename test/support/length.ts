/**
 * How long a test lasts whose worth grows with its length: short on a developer's machine, full in CI
 * (MARIANA_TEST_LENGTH=full). The behaviour that it checks is the same.
 */
export function lengthOf<Value>({ short, full }: { readonly short: Value; readonly full: Value }): Value {
  return process.env.MARIANA_TEST_LENGTH === "full" ? full : short;
}
