import { chmodSync as chmod, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseNac } from "../../core/address/nac.js";
import { defaultConfig, keepInConfig, parseConfig, readConfig } from "../../node/config/config-file.js";
import { directoryOf, openDirectory } from "../../node/config/directory.js";
import {
  parseEndpoint,
  parseHosted,
  parseListen,
  parsePeer,
  parseTarget,
  printEndpoint,
  printTarget,
} from "../../node/config/endpoint.js";
import { createFileAtomically, removeTemporaries, writeFileAtomically } from "../../node/config/file.js";
import { readState, writeState } from "../../node/config/state-file.js";
import { Daemon } from "../../node/daemon.js";
import { Failure, quote } from "../../node/failure.js";
import { JournalReader } from "../../node/journal/journal-reader.js";
import { decodeValue } from "../../node/journal/value.js";
import { nearest } from "../../sim/scenario/nearest.js";

const NAC = "0f8fad5b-d9cb-869f-a165-70867728950e";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mariana-config-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The message of the Failure that parsing `text` ends in. */
function complaint(text: string): string {
  try {
    parseConfig("config.json", text);
  } catch (error) {
    if (error instanceof Failure && error.exit === 3) return error.message;
    throw error;
  }
  throw new Error("the text was accepted");
}

test("a file with nothing but its version means the defaults", () => {
  const config = parseConfig("config.json", '{"version": 1}');

  expect(config).toEqual(defaultConfig());
  expect(config.http).toEqual(["127.0.0.1:8000", "[::1]:8000"]);
  expect(config.socks).toEqual(["127.0.0.1:1080"]);
  expect(config.session).toEqual({ keyUpdatePackets: 2 ** 22, rekeySeconds: 120, rekeyBytes: 2 ** 30 });
  expect(config.accelerator).toBe("auto");
  expect(config).toMatchObject({ udp: "auto", link: { key: "auto" }, network: { name: "mariana" } });
  expect(config).toMatchObject({ crypto: { suite: "native" }, log: { level: "info", unsafe: false } });
});

test("an unknown key is refused as file:line:column with the nearest valid one", () => {
  const text = '{\n  "version": 1,\n  "link": { "keyy": "fresh" },\n  "peeers": []\n}\n';

  expect(complaint(text)).toBe(
    'config.json:3:13: unknown key "link.keyy" (nearest valid key: link.key)\n' +
      'config.json:4:3: unknown key "peeers" (nearest valid key: peers)',
  );
});

test("a key that stands in the wrong object is pointed to its place", () => {
  expect(complaint('{"version": 1, "unsafe": true}')).toContain("nearest valid key: log.unsafe");
  expect(complaint('{"version": 1, "suite": "noble"}')).toContain("nearest valid key: crypto.suite");
});

test("a word that is near to no key gets the list of keys", () => {
  expect(complaint('{"version": 1, "log": {"zebra": 1}}')).toBe(
    'config.json:1:24: unknown key "log.zebra" (known here: level, unsafe)',
  );
});

test("limits of a session may be lowered and raised within bounds, and no further", () => {
  const lowered = { keyUpdatePackets: 256, rekeySeconds: 1, rekeyBytes: 65_536 };
  expect(parseConfig("c", JSON.stringify({ version: 1, session: lowered })).session).toEqual(lowered);
  expect(parseConfig("c", '{"version": 1, "session": {"rekeySeconds": 9}}').session.keyUpdatePackets).toBe(2 ** 22);

  expect(complaint('{"version": 1, "session": {"keyUpdatePackets": 255}}')).toMatch(/1:48: .*expected at least 256$/);
  expect(complaint('{"version": 1, "session": {"rekeySeconds": 3601}}')).toContain("expected at most 3600");
  expect(complaint('{"version": 1, "session": {"rekeyBytes": 1e12}}')).toContain("expected at most 68719476736");
  expect(complaint('{"version": 1, "session": {"rekeySeconds": 1.5}}')).toContain("expected");
  expect(complaint('{"version": 1, "socks": "127.0.0.1:1080"}')).toContain('socks: expected "off" or a list');
  expect(complaint('{"version": 1, "accelerator": "on"}')).toContain('accelerator: expected "auto" or "off"');
});

test("how often a node proves that it lives is chosen by name, and anything else is refused where it stands", () => {
  expect(defaultConfig().routing).toEqual({ transit: "auto", profile: "auto" });
  expect(parseConfig("c", '{"version": 1, "routing": {"profile": "strict"}}').routing.profile).toBe("strict");

  expect(complaint('{"version": 1, "routing": {"profile": "hedged"}}')).toBe(
    'config.json:1:39: routing.profile: expected "auto" or "strict"',
  );
  expect(complaint('{"version": 1, "routing": {"profil": "strict"}}')).toContain("nearest valid key: routing.profile");
  expect(complaint('{"version": 1, "routing": {"zebra": 1}}')).toContain("known here: transit, profile");
});

test.each([
  ["strict", true],
  ["auto", false],
] as const)("a daemon goes by the profile %s", async (profile, isStrict) => {
  const directory = directoryOf(folder, {});
  writeFileSync(directory.configFile, JSON.stringify({ routing: { profile }, log: { level: "error" } }), {
    mode: 0o600,
  });
  const journal = join(folder, "daemon.journal");
  const udp = [{ host: "127.0.0.1", port: 0 }];

  const daemon = await Daemon.start({
    directory,
    udp,
    http: "off",
    socks: "off",
    peers: [],
    hosts: [],
    rotate: false,
    journal,
  });
  await daemon.stop();

  const reader = JournalReader.open(journal);
  try {
    expect(reader.peek()).toBeDefined();
    reader.u8(); // the kind of the first record, which holds what the core was given to begin with
    expect(decodeValue(reader)).toMatchObject({ config: { isStrict } });
  } finally {
    reader.close();
  }
});

test("a wrong value is named by its own line and column, also inside a list", () => {
  const text = '{\n  "version": 1,\n  "peers": [\n    "127.0.0.1:4000",\n    "127.0.0.1"\n  ]\n}';

  expect(complaint(text)).toMatch(/^config\.json:5:5: peers\.1: expected "HOST:PORT"/);
  expect(complaint('{"version": 1,\n "udp": ["relay.example:4000"]}')).toMatch(
    /^config\.json:2:10: udp\.0: expected "IP:PORT"/,
  );
  expect(complaint('{"version": 1,\n "udp": 5}')).toMatch(/^config\.json:2:9: udp: expected "auto" or a list/);
  expect(complaint('{"version": 1, "hosts": {"http": "127.0.0.1:80"}}')).toMatch(/^config\.json:1:34: hosts\.http: /);
  expect(complaint('{"version": 1, "crypto": {"suite": "rot13"}}')).toContain(
    'crypto.suite: expected "native" or "noble"',
  );
  expect(complaint('{"version": 1, "udpPort": 70000}')).toContain("udpPort: expected at most 65535");
});

test.each([
  ['{"version": 1,}', "config.json:1:15: this is not JSON"],
  ['{\n  "version": 1\n  "udp": "auto"\n}', "config.json:3:3: this is not JSON"],
  ["{\n  // a remark\n}", "config.json:2:3: this is not JSON"],
  ['{"version": 1', "config.json:1:14: this is not JSON"],
  ["version: 1\n", "config.json:1:1: this is not JSON"],
  ["", "config.json:1:1: the file is empty"],
  ["\u0000\u0001\u0002", "config.json:1:1: this is not JSON"],
  [
    '{"version": 1, "log": {"level": "info", "level": "warn"}}',
    'config.json:1:41: the key "level" stands here a second time',
  ],
])("damaged text %j gives one clear line", (text, line) => {
  expect(complaint(text)).toBe(line);
});

test("a file of a newer version gives one line, and not a list of keys it does not know", () => {
  const text = '{\n  "version": 2,\n  "circuits": {"hops": 3}\n}';

  expect(complaint(text)).toBe("config.json:2:14: version 2 was written by a newer mariana; this one reads version 1");
});

test("any text is either a configuration or a Failure with a position, never another error", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.string().map((s) => `{"version": 1, ${s}}`),
      ),
      (text) => {
        try {
          parseConfig("c", text);
        } catch (error) {
          expect(error).toBeInstanceOf(Failure);
          expect((error as Failure).message).toMatch(/^c:\d+:\d+: /);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("keeping NAC and port leaves everything a person wrote where it was", () => {
  const path = join(folder, "config.json");
  writeFileSync(path, '{"version": 1, "peers": ["127.0.0.1:4000"], "log": {"level": "debug"}}');

  keepInConfig(path, { nac: parseNac(NAC), udpPort: 4711 });

  const text = readFileSync(path, "utf8");
  expect(JSON.parse(text)).toEqual({
    version: 1,
    nac: NAC,
    peers: ["127.0.0.1:4000"],
    log: { level: "debug" },
    udpPort: 4711,
  });
  expect(readConfig(path)).toMatchObject({ nac: NAC, udpPort: 4711 });
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a new config.json shows every key, is private, and can be read back", () => {
  const path = join(folder, "config.json");
  const before = process.umask(0o000);
  try {
    keepInConfig(path, { nac: parseNac(NAC), udpPort: 1 });
  } finally {
    process.umask(before);
  }

  expect(Object.keys(JSON.parse(readFileSync(path, "utf8"))).sort()).toEqual(
    [
      "version",
      "nac",
      "udp",
      "udpPort",
      "http",
      "socks",
      "session",
      "routing",
      "accelerator",
      "peers",
      "hosts",
      "identity",
      "link",
      "network",
      "crypto",
      "log",
    ].sort(),
  );
  expect(readConfig(path)).toEqual({ ...defaultConfig(), nac: NAC, udpPort: 1 });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(["config.json"]);
});

test("a file is created once, replaced as a whole, and leftovers of killed starts are cleared away", () => {
  const path = join(folder, "file");

  expect(createFileAtomically(path, "first")).toBe(true);
  expect(createFileAtomically(path, "second")).toBe(false);
  expect(readFileSync(path, "utf8")).toBe("first");
  writeFileAtomically(path, "third");
  expect(readFileSync(path, "utf8")).toBe("third");

  writeFileSync(join(folder, ".mariana-1z2.tmp"), "half a k");
  expect(removeTemporaries(folder)).toBe(1);
  expect(readdirSync(folder)).toEqual(["file"]);
});

test("an epoch survives; a damaged state file says so and counts as none", () => {
  const path = join(folder, "state.json");
  expect(readState(path)).toEqual({ epoch: 0 });

  writeState(path, { epoch: 4_000_000_000 });
  expect(readFileSync(path, "utf8")).toBe('{"epoch":4000000000}\n'); // what versions before the grace time wrote
  expect(readState(path)).toEqual({ epoch: 4_000_000_000 });

  const absurd = '{"epoch": 4294967294}'; // no clock and no restarts get there: somebody lied, and we once believed it
  for (const text of ["", "{", "null", '{"epoch": -1}', '{"epoch": 4294967296}', '{"epoch": "7"}', absurd]) {
    writeFileSync(path, text);
    expect(readState(path)).toMatchObject({ epoch: 0, damage: expect.any(String) });
  }
});

test("until when the former identity answers survives; a damaged note of it is no reason to lose the epoch", () => {
  const path = join(folder, "state.json");
  const state = { epoch: 7, former: { untilSeconds: 1_900_000_000, epoch: 6 } };
  writeState(path, state);
  expect(readState(path)).toEqual(state);
  expect(statSync(path).mode & 0o777).toBe(0o600);

  for (const former of ["null", "3", "{}", '{"untilSeconds": 1.5, "epoch": 6}', '{"untilSeconds": 1, "epoch": -1}']) {
    writeFileSync(path, `{"epoch": 7, "former": ${former}}`);
    expect(readState(path)).toEqual({ epoch: 7, damage: expect.any(String) });
  }
  writeFileSync(path, '{"epoch": 7, "former": {"untilSeconds": 1, "epoch": 4294967294}}');
  expect(readState(path)).toEqual({ epoch: 7, former: { untilSeconds: 1, epoch: 0 }, damage: expect.any(String) });
});

test.each(["-1", "169", "0.5", '"24"'])("a grace time of %s hours is refused at its place", (hours) => {
  const message = complaint(`{\n  "version": 1,\n  "identity": { "graceHours": ${hours} }\n}`);
  expect(message).toContain("config.json:3:31: identity.graceHours: expected");
});

test("the directory is --dir, else $MARIANA_DIR, else the XDG state directory", () => {
  const environment = { HOME: "/home/ada", XDG_STATE_HOME: "/state", MARIANA_DIR: "/elsewhere" };

  expect(directoryOf("/flag", environment).path).toBe("/flag");
  expect(directoryOf(undefined, environment).path).toBe("/elsewhere");
  expect(directoryOf(undefined, { ...environment, MARIANA_DIR: "" }).path).toBe("/state/mariana");
  expect(directoryOf(undefined, { HOME: "/home/ada", XDG_STATE_HOME: "relative" }).path).toBe(
    "/home/ada/.local/state/mariana",
  );
});

test("a directory is made 0700, closed when it is ours, and refused when it holds other files", () => {
  const ours = directoryOf(join(folder, "new", "node"), {});
  openDirectory(ours);
  expect(statSync(ours.path).mode & 0o777).toBe(0o700);

  const shared = directoryOf(mkdtempSync(join(folder, "shared-")), {});
  writeFileSync(join(shared.path, "holiday.jpg"), "");
  chmod(shared.path, 0o755);
  expect(() => openDirectory(shared)).toThrow(/holds other files/);

  writeFileSync(shared.configFile, "{}");
  openDirectory(shared);
  expect(statSync(shared.path).mode & 0o777).toBe(0o700);
});

test("endpoints, peers and hosted ports are read and printed", () => {
  expect(parseEndpoint("[::1]:4000")).toEqual({ host: "::1", port: 4000 });
  expect(printEndpoint({ host: "::1", port: 4000 })).toBe("[::1]:4000");
  expect(parseEndpoint("relay.example:4000")).toEqual({ host: "relay.example", port: 4000 });
  expect(parseListen("localhost:0")).toEqual({ host: "127.0.0.1", port: 0 });
  expect(parsePeer(`127.0.0.1:4000#${"ab".repeat(32)}`)?.pin).toEqual(new Uint8Array(32).fill(0xab));
  expect(parseHosted("80=127.0.0.1:8080")).toEqual({
    port: 80,
    target: { kind: "tcp", host: "127.0.0.1", port: 8080 },
  });
  expect(printTarget(parseTarget("8080")!)).toBe("127.0.0.1:8080");
  expect(printTarget(parseTarget("[::1]:80")!)).toBe("[::1]:80");
  expect(printTarget(parseTarget("unix:/run/a site.sock")!)).toBe("unix:/run/a site.sock");
  for (const text of ["unix:relative", "unix:", `unix:/${"d".repeat(107)}`, "0", "65536", "a b"]) {
    expect(parseTarget(text), text).toBeUndefined();
  }
  for (const text of ["080=1", "0=1", "65536=1", "=1", "80=", "80"]) expect(parseHosted(text), text).toBeUndefined();
});

test.each([
  "",
  "127.0.0.1",
  ":80",
  "::1:80",
  "[::1]",
  "[127.0.0.1]:80",
  "1.2.3:80",
  "999.1.1.1:80",
  "a b:80",
  "h:65536",
  "h:-1",
])("%j is no endpoint", (text) => {
  expect(parseEndpoint(text)).toBeUndefined();
});

test("a pin of the wrong length, a port 0 and a missing half are refused", () => {
  expect(parsePeer("127.0.0.1:4000#abcd")).toBeUndefined();
  expect(parsePeer("127.0.0.1:0")).toBeUndefined();
  expect(parsePeer(`127.0.0.1:4000#${"ab".repeat(32)}#x`)).toBeUndefined();
  for (const text of ["80", "80=", "0=127.0.0.1:80", "70000=127.0.0.1:80", "80=127.0.0.1:0", "a=127.0.0.1:80"]) {
    expect(parseHosted(text)).toBeUndefined();
  }
});

test("the nearest word is found across a slip, and none across a different word", () => {
  expect(nearest("htpp", ["http", "hosts"])).toBe("http");
  expect(nearest("PEERS", ["peers"])).toBe("peers");
  expect(nearest("zebra", ["http", "hosts", "peers"])).toBeUndefined();
});

test("a path in a command to paste is quoted when it has to be", () => {
  expect(quote("/home/ada/.local/state")).toBe("/home/ada/.local/state");
  expect(quote("/tmp/it's here")).toBe(`'/tmp/it'\\''s here'`);
});
