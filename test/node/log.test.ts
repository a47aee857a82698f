import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createLog, createRedactor, type LogFields } from "../../node/log.js";

const NAC = "0f8fad5b-d9cb-869f-a165-70867728950e";
const LONG_NAME = `${"a7".repeat(26)}.mariana`;

/** The lines that a log with these options writes. */
function written(options: { level?: "debug" | "info" | "warn"; unsafe?: boolean }, event: string, fields: LogFields) {
  const lines: string[] = [];
  const log = createLog({
    level: "info",
    unsafe: false,
    nowMs: () => 0,
    write: (line) => lines.push(line),
    ...options,
  });
  log.debug(`${event}.debug`, fields);
  log.info(event, fields);
  return lines;
}

test("a line is one JSON object with time, level, event and fields", () => {
  const lines = written({}, "link.up", { link: 3, pinned: true, skipped: undefined });

  expect(lines).toEqual([
    '{"time":"1970-01-01T00:00:00.000Z","level":"info","event":"link.up","link":3,"pinned":true}\n',
  ]);
});

test("a level below the chosen one writes nothing", () => {
  expect(written({ level: "debug" }, "a", {})).toHaveLength(2);
  expect(written({ level: "warn" }, "a", {})).toHaveLength(0);
});

test.each([
  ["a NAC", NAC],
  ["a NAC in upper case", NAC.toUpperCase()],
  ["a name", `${NAC}.mariana`],
  ["a long name", LONG_NAME],
  ["a link key hash", "ab".repeat(32)],
  ["an IPv4 endpoint", "192.0.2.7:4000"],
  ["an IPv6 endpoint", "[2001:db8::7]:4000"],
  ["an IPv6 address", "2001:db8:0:1:2:3:4:5"],
  ["an IPv6 address with a scope", "fe80::1%eth0"],
  ["an IPv4 address inside IPv6", "::ffff:192.0.2.7"],
])("%s never reaches the log, and does with log.unsafe", (_, secret) => {
  const fields = { error: `connect to ${secret} failed`, list: [secret] };

  const safe = written({}, "link.down", fields).join("");
  expect(safe.toLowerCase()).not.toContain(secret.toLowerCase());
  expect(safe).toContain("failed");
  expect(written({ unsafe: true }, "link.down", fields).join("")).toContain(secret);
});

test("what is not secret stays readable", () => {
  const clean = createRedactor(new Uint8Array(32));

  for (const text of [
    "EADDRINUSE",
    "/var/lib/mariana/config.json",
    "v20.19.0",
    "at start (node.js:12:7)",
    "no route",
  ]) {
    expect(clean(text)).toBe(text);
  }
});

test("the same address has the same tag within a run and another in the next", () => {
  const one = createRedactor(new Uint8Array(32).fill(1));
  const two = createRedactor(new Uint8Array(32).fill(2));

  expect(one("192.0.2.7")).toBe(one("192.0.2.7"));
  expect(one("192.0.2.7")).not.toBe(one("192.0.2.8"));
  expect(one("192.0.2.7")).not.toBe(two("192.0.2.7"));
});

test("no IPv4 or IPv6 address survives, whatever stands around it", () => {
  const clean = createRedactor(new Uint8Array(32));
  const around = fc.constantFrom("", " ", "(", "://", "=", '"', ",");
  fc.assert(
    fc.property(
      fc.oneof(
        fc.ipV4(),
        fc.ipV6().filter((text) => text.length > 5),
      ),
      around,
      around,
      (address, before, after) => {
        expect(clean(`peer${before}${address}${after}`)).not.toContain(address);
      },
    ),
    { numRuns: 1000 },
  );
});

describe("a flood of one event", () => {
  afterEach(() => void vi.useRealTimers());

  function flooded() {
    vi.useFakeTimers();
    const lines: { event: string; nth?: number; leftOut?: number }[] = [];
    const log = createLog({ level: "info", unsafe: false, write: (line) => lines.push(JSON.parse(line)) });
    const of = (event: string) => lines.filter((line) => line.event === event);
    return { log, of };
  }

  test("becomes a line a second, which says how many were left out", async () => {
    const { log, of } = flooded();
    for (let nth = 0; nth < 10_000; nth += 1) {
      log.warn("host.overload", { nth });
      await vi.advanceTimersByTimeAsync(1);
    }

    const lines = of("host.overload");
    expect(lines.length).toBeGreaterThanOrEqual(16 + 8);
    expect(lines.length).toBeLessThanOrEqual(16 + 10);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(of("host.overload").at(-1)).toMatchObject({ nth: 9_999 }); // the last is never left out
    const leftOut = of("host.overload").reduce((sum, line) => sum + (line.leftOut ?? 0), 0);
    expect(of("host.overload").length + leftOut).toBe(10_000);
  });

  test("keeps no other event out, and is forgotten after a rest", async () => {
    const { log, of } = flooded();
    for (let nth = 0; nth < 100; nth += 1) log.warn("host.down", { nth });
    log.info("link.up");
    expect(of("link.up")).toEqual([expect.not.objectContaining({ leftOut: expect.anything() })]);
    expect(of("host.down")).toHaveLength(16);

    await vi.advanceTimersByTimeAsync(20_000);
    expect(of("host.down")).toHaveLength(17);
    for (let nth = 0; nth < 16; nth += 1) log.warn("host.down", { nth });
    expect(of("host.down")).toHaveLength(33);
    expect(of("host.down").filter((line) => line.leftOut !== undefined)).toEqual([
      expect.objectContaining({ nth: 99, leftOut: 83 }),
    ]);
  });
});
