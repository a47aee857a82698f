import fs, {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseNac, printNac } from "../../core/address/nac.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import { defaultConfig, keepInConfig, readConfig } from "../../node/config/config-file.js";
import { type Directory, directoryOf } from "../../node/config/directory.js";
import { removeTemporaries } from "../../node/config/file.js";
import { openIdentity, openLinkKey } from "../../node/config/identity-files.js";
import { createIdentityKey, readIdentityKey, readLinkKey } from "../../node/config/key-files.js";
import { isLinkKeyPersistent, transitOf } from "../../node/config/reachable.js";
import { readState, writeState } from "../../node/config/state-file.js";
import { systemEntropy } from "../../node/entropy.js";
import { Failure } from "../../node/failure.js";

/** Everything by which a start changes a directory. */
const CHANGES = ["openSync", "writeSync", "fchmodSync", "fsyncSync", "renameSync", "linkSync", "unlinkSync"] as const;

const NOW_SECONDS = 1_800_000_000;
const HOUR_SECONDS = 3600;
const STRANGER = parseNac("0f8fad5b-d9cb-869f-a165-70867728950e");
const CONTEXT = { suite: nobleSuite, entropy: systemEntropy, networkName: "test" };

let directory: Directory;
beforeEach(() => {
  directory = directoryOf(mkdtempSync(join(tmpdir(), "mariana-keys-")), {});
});
afterEach(() => rmSync(directory.path, { recursive: true, force: true }));

/** A start as far as the files go: the identity, and the port that a real one would have bound. */
function startOnce(udpPort: number, rotate = false): { nac: string; udpPort: number } {
  return startAt(NOW_SECONDS, udpPort, rotate).kept;
}

/** The same, at another time of the wall clock; and what was opened. */
function startAt(nowSeconds: number, udpPort: number, rotate = false) {
  removeTemporaries(directory.path);
  const config = readConfig(directory.configFile);
  const opened = openIdentity(directory, config, CONTEXT, { rotate, nowSeconds });
  const port = config?.udpPort || udpPort;
  keepInConfig(directory.configFile, { nac: opened.identity.nac, udpPort: port });
  const former = opened.former && printNac(opened.former.identity.nac);
  return { kept: { nac: printNac(opened.identity.nac), udpPort: port }, opened, former };
}

/** What the stack does with the epoch of the service before it announces it. */
function useEpoch(epoch: number): void {
  writeState(directory.stateFile, { ...readState(directory.stateFile), epoch });
}

function setGraceHours(graceHours: number): void {
  const config = JSON.parse(readFileSync(directory.configFile, "utf8")) as object;
  writeFileSync(directory.configFile, JSON.stringify({ ...config, identity: { graceHours } }));
}

function failureOf(action: () => unknown): Failure {
  try {
    action();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("nothing failed");
}

test("a first start makes a private key file, and later starts keep it", () => {
  const first = startOnce(1);

  expect(statSync(directory.keyFile).mode & 0o777).toBe(0o600);
  expect(startOnce(2)).toEqual(first);
  expect(readdirSync(directory.path).sort()).toEqual(["config.json", "privatekey.pem"]);
});

test("the key file is private whatever the umask", () => {
  const before = process.umask(0);
  try {
    startOnce(1);
  } finally {
    process.umask(before);
  }

  expect(statSync(directory.keyFile).mode & 0o777).toBe(0o600);
});

test("only privatekey.pem deleted: new NAC, same port", () => {
  const first = startOnce(1);
  unlinkSync(directory.keyFile);

  const second = startOnce(2);

  expect(second.nac).not.toBe(first.nac);
  expect(second.udpPort).toBe(1);
  expect(startOnce(3)).toEqual(second);
});

test("only config.json deleted: same NAC, new port", () => {
  const first = startOnce(1);
  unlinkSync(directory.configFile);

  expect(startOnce(2)).toEqual({ nac: first.nac, udpPort: 2 });
});

test("keys that give another NAC than config.json says are refused with the command that rotates", () => {
  startOnce(1);
  const config = readFileSync(directory.configFile, "utf8");
  unlinkSync(directory.keyFile);
  unlinkSync(directory.configFile);
  const other = startOnce(2);
  writeFileSync(directory.configFile, config);

  const failure = failureOf(() => startOnce(3));

  expect(failure).toMatchObject({ code: "config.mismatch", exit: 3 });
  expect(failure.message).toContain(other.nac);
  expect(failure.fix).toContain(`mariana up --dir ${directory.path} --rotate`);
  expect(readFileSync(directory.configFile, "utf8")).toBe(config);
});

test("the same keys have another NAC in another network, and that is refused too", () => {
  startOnce(1);

  const failure = failureOf(() =>
    openIdentity(
      directory,
      readConfig(directory.configFile),
      { ...CONTEXT, networkName: "other" },
      { rotate: false, nowSeconds: 1 },
    ),
  );

  expect(failure.message).toContain('in the network "other"');
});

test("a NAC that was removed from config.json is taken from the keys again", () => {
  const first = startOnce(1);
  keepInConfig(directory.configFile, { nac: undefined, udpPort: 1 });

  expect(startOnce(2)).toEqual(first);
});

test("rotation changes keys and NAC as one, keeps the port, and ends a mismatch", () => {
  const first = startOnce(1);
  const seeds = readIdentityKey(directory.keyFile)!;

  const rotated = startOnce(2, true);

  const next = readIdentityKey(directory.keyFile)!;
  expect(rotated.udpPort).toBe(1);
  expect(rotated.nac).not.toBe(first.nac);
  expect(next.kemSeed).not.toEqual(seeds.kemSeed);
  expect(next.signatureSeed).not.toEqual(seeds.signatureSeed);
  expect(startOnce(3)).toEqual(rotated);
});

test("after a rotation the old identity is the former one for the grace time, with a private file of its own", () => {
  const first = startOnce(1);
  const keys = readFileSync(directory.keyFile, "utf8");
  useEpoch(500);

  const { kept, opened, former } = startAt(NOW_SECONDS, 2, true);

  expect(former).toBe(first.nac);
  expect(kept.nac).not.toBe(first.nac);
  expect(opened.former!.remainingSeconds).toBe(24 * HOUR_SECONDS);
  expect(readFileSync(directory.formerKeyFile, "utf8")).toBe(keys);
  expect(statSync(directory.formerKeyFile).mode & 0o777).toBe(0o600);
  const state = { epoch: 0, former: { untilSeconds: NOW_SECONDS + 24 * HOUR_SECONDS, epoch: 500 } };
  expect(readState(directory.stateFile)).toEqual(state); // the new NAC's epochs do not count on from the old one's
  expect(opened.state).toEqual(state);

  const later = startAt(NOW_SECONDS + 23 * HOUR_SECONDS, 3);
  expect(later.kept).toEqual(kept);
  expect(later.former).toBe(first.nac);
  expect(later.opened.former!.remainingSeconds).toBe(HOUR_SECONDS);
});

test("a start after the grace time erases the former keys", () => {
  startOnce(1);
  const rotated = startOnce(2, true);

  const { kept, opened, former } = startAt(NOW_SECONDS + 24 * HOUR_SECONDS, 3);

  expect(kept).toEqual(rotated);
  expect(former).toBeUndefined();
  expect(opened.erased).toBe("expired");
  expect(readdirSync(directory.path).sort()).toEqual(["config.json", "privatekey.pem", "state.json"]);
  expect(readState(directory.stateFile)).toEqual({ epoch: 0 });
});

test("without a grace time the old keys are gone at once", () => {
  startOnce(1);
  setGraceHours(0);
  useEpoch(500);

  const { opened, former } = startAt(NOW_SECONDS, 2, true);

  expect(former).toBeUndefined();
  expect(opened.state).toEqual({ epoch: 0 });
  expect(existsSync(directory.formerKeyFile)).toBe(false);
});

test("a grace time that is made shorter later ends sooner, and one of 0 at the next start", () => {
  startOnce(1);
  startOnce(2, true);

  setGraceHours(2);
  expect(startAt(NOW_SECONDS, 3).opened.former!.remainingSeconds).toBe(2 * HOUR_SECONDS);
  setGraceHours(0);
  expect(startAt(NOW_SECONDS, 3).opened.erased).toBe("expired");
  expect(existsSync(directory.formerKeyFile)).toBe(false);
});

test("a clock that was far ahead at the rotation does not keep the former identity for years", () => {
  startOnce(1);
  startAt(NOW_SECONDS + 100_000_000, 2, true);

  expect(startAt(NOW_SECONDS, 3).opened.former!.remainingSeconds).toBe(24 * HOUR_SECONDS);
});

test("a second rotation within the grace time replaces the former identity, and one without grace ends it", () => {
  const first = startOnce(1);
  const second = startOnce(2, true);
  useEpoch(600);

  const third = startAt(NOW_SECONDS + HOUR_SECONDS, 3, true);
  expect(third.former).toBe(second.nac);
  expect(third.former).not.toBe(first.nac);
  expect(third.opened.state.former).toEqual({ untilSeconds: NOW_SECONDS + 25 * HOUR_SECONDS, epoch: 600 });

  setGraceHours(0);
  expect(startAt(NOW_SECONDS + HOUR_SECONDS, 4, true).former).toBeUndefined();
  expect(existsSync(directory.formerKeyFile)).toBe(false);
});

test.each([
  ["that others could read", () => chmodSync(directory.keyFile, 0o644)],
  ["that are damaged", () => writeFileSync(directory.keyFile, "nothing")],
  ["that are not those of config.json", () => keepInConfig(directory.configFile, { nac: STRANGER, udpPort: 1 })],
])("a rotation away from keys %s gives them no grace time", (_what, spoil) => {
  startOnce(1);
  startOnce(2, true);
  spoil();

  const { opened, former } = startAt(NOW_SECONDS, 3, true);

  expect(opened.how).toBe("rotated");
  expect(former).toBeUndefined();
  expect(existsSync(directory.formerKeyFile)).toBe(false);
  expect(statSync(directory.keyFile).mode & 0o777).toBe(0o600);
});

test.each([
  ["open to others", () => chmodSync(directory.formerKeyFile, 0o640), "unusable"],
  ["damaged", () => writeFileSync(directory.formerKeyFile, "nothing", { mode: 0o600 }), "unusable"],
  ["without a time in state.json", () => unlinkSync(directory.stateFile), "unfinished"],
])("a former key file that is %s is erased, and the node starts", (_what, spoil, reason) => {
  startOnce(1);
  const rotated = startOnce(2, true);
  spoil();

  const { kept, opened, former } = startAt(NOW_SECONDS, 3);

  expect(kept).toEqual(rotated);
  expect(former).toBeUndefined();
  expect(opened.erased).toBe(reason);
  expect(existsSync(directory.formerKeyFile)).toBe(false);
});

test("new keys in place of deleted ones do not count on from the epoch of the old ones", () => {
  startOnce(1);
  useEpoch(500);
  unlinkSync(directory.keyFile);

  expect(startAt(NOW_SECONDS, 2).opened.state).toEqual({ epoch: 0 });
  expect(readState(directory.stateFile)).toEqual({ epoch: 0 });
});

test.each(["640", "604", "660", "666"])("a key file of mode %s is refused with the command that closes it", (octal) => {
  const mode = Number.parseInt(octal, 8);
  startOnce(1);
  chmodSync(directory.keyFile, mode);

  const failure = failureOf(() => startOnce(2));

  expect(failure).toMatchObject({ code: "key.permissions", exit: 7 });
  expect(failure.fix).toContain(`chmod 600 ${directory.keyFile}`);
  expect(statSync(directory.keyFile).mode & 0o777).toBe(mode); // nobody knows who read it: not silently repaired
});

test("a damaged key file is refused, left as it is, and its content is not shown", () => {
  startOnce(1);
  const text = readFileSync(directory.keyFile, "utf8");
  const damaged = text.slice(0, 90);
  writeFileSync(directory.keyFile, damaged);

  const failure = failureOf(() => startOnce(2));

  expect(failure).toMatchObject({ code: "key.invalid", exit: 3 });
  expect(failure.message + failure.fix).not.toContain(text.split("\n")[1]!.slice(0, 20));
  expect(readFileSync(directory.keyFile, "utf8")).toBe(damaged);
});

test("a broken config.json leaves the keys alone", () => {
  const first = startOnce(1);
  const keys = readFileSync(directory.keyFile, "utf8");
  writeFileSync(directory.configFile, '{"version": 1, ');

  expect(failureOf(() => startOnce(2)).exit).toBe(3);

  expect(readFileSync(directory.keyFile, "utf8")).toBe(keys);
  unlinkSync(directory.configFile);
  expect(startOnce(2).nac).toBe(first.nac);
});

test("keys are never written over keys", () => {
  startOnce(1);
  const keys = readFileSync(directory.keyFile, "utf8");

  expect(failureOf(() => createIdentityKey(directory.keyFile, systemEntropy)).code).toBe("key.invalid");
  expect(readFileSync(directory.keyFile, "utf8")).toBe(keys);
});

test("the link key is kept when a UDP address is configured, and fresh otherwise", () => {
  const config = defaultConfig();

  expect(isLinkKeyPersistent(config, false)).toBe(false);
  expect(isLinkKeyPersistent(config, true)).toBe(true);
  expect(isLinkKeyPersistent({ ...config, udp: ["0.0.0.0:4000"] }, false)).toBe(true);
  expect(isLinkKeyPersistent({ ...config, link: { key: "fresh" } }, true)).toBe(false);
  expect(isLinkKeyPersistent({ ...config, link: { key: "persistent" } }, false)).toBe(true);
});

test("a node carries for all when a UDP address is configured, and is a last resort otherwise", () => {
  const config = defaultConfig();
  const { routing } = config;

  expect(transitOf(config, false)).toBe("lastResort");
  expect(transitOf(config, true)).toBe("always");
  expect(transitOf({ ...config, udp: ["0.0.0.0:4000"] }, false)).toBe("always");
  expect(transitOf({ ...config, routing: { ...routing, transit: "lastResort" } }, true)).toBe("lastResort");
  expect(transitOf({ ...config, routing: { ...routing, transit: "always" } }, false)).toBe("always");
});

test("a persistent link key is one private file; a fresh one leaves no trace", () => {
  const fresh = openLinkKey(directory, CONTEXT, false);
  expect(existsSync(directory.linkKeyFile)).toBe(false);
  expect(openLinkKey(directory, CONTEXT, false).hash).not.toEqual(fresh.hash);

  const kept = openLinkKey(directory, CONTEXT, true);
  expect(openLinkKey(directory, CONTEXT, true).hash).toEqual(kept.hash);
  expect(statSync(directory.linkKeyFile).mode & 0o777).toBe(0o600);
  chmodSync(directory.linkKeyFile, 0o644);
  expect(failureOf(() => readLinkKey(directory.linkKeyFile)).exit).toBe(7);
});

/**
 * Runs `action` and dies at the `nth` change of the file system: that one does not happen (a write happens by half), and
 * neither does anything after it, clean-up included. That is what kill -9 leaves behind. False when `action` had fewer.
 */
function dieAt(nth: number, action: () => void): boolean {
  class Killed extends Error {}
  const real = Object.fromEntries(CHANGES.map((name) => [name, fs[name] as (...args: unknown[]) => unknown]));
  let changes = 0;
  for (const name of CHANGES) {
    Object.assign(fs, {
      [name]: (...args: unknown[]) => {
        changes += 1;
        if (changes === nth && name === "writeSync") {
          const [file, bytes] = args as [number, Uint8Array];
          real.writeSync!(file, bytes.subarray(0, bytes.length >> 1));
        }
        if (changes >= nth) throw new Killed();
        return real[name]!(...args);
      },
    });
  }
  syncBuiltinESMExports();
  try {
    action();
    return false;
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
    return true;
  } finally {
    Object.assign(fs, real);
    syncBuiltinESMExports();
  }
}

test("a rotation that is killed at any change of a file leaves the old or the new identity whole, and no keys without use", () => {
  const outcomes = new Set<string>();
  for (let nth = 1; ; nth += 1) {
    for (const name of readdirSync(directory.path)) unlinkSync(join(directory.path, name));
    const oldest = startOnce(1);
    const old = startOnce(1, true);
    useEpoch(500);
    const served = new Map<string, string>([[old.nac, readFileSync(directory.keyFile, "utf8")]]);

    const died = dieAt(nth, () => startOnce(2, true));

    const after = startAt(NOW_SECONDS, 3); // is not refused
    expect(after.kept.udpPort).toBe(1);
    const names = ["config.json", "privatekey.pem", "state.json"];
    if (after.kept.nac === old.nac) {
      expect(readFileSync(directory.keyFile, "utf8")).toBe(served.get(old.nac));
      expect(after.opened.state.epoch).toBe(500);
      expect([undefined, oldest.nac]).toContain(after.former); // killed before or behind its last use
      outcomes.add("old");
    } else {
      expect(after.former).toBe(old.nac);
      expect(readFileSync(directory.formerKeyFile, "utf8")).toBe(served.get(old.nac));
      expect(after.opened.state).toMatchObject({ epoch: 0, former: { epoch: 500 } });
      outcomes.add("new");
    }
    if (after.former !== undefined) names.push("privatekey.former.pem");
    expect(readdirSync(directory.path).sort()).toEqual(names.sort());
    for (const name of names.filter((one) => one.endsWith(".pem"))) {
      expect(statSync(join(directory.path, name)).mode & 0o777).toBe(0o600);
    }
    expect(startAt(NOW_SECONDS, 4)).toMatchObject({ kept: after.kept, former: after.former });
    if (!died) break;
  }
  expect([...outcomes].sort()).toEqual(["new", "old"]);
});

test("the end of a grace time that is killed at any change of a file is finished by the next start", () => {
  for (let nth = 1; ; nth += 1) {
    for (const name of readdirSync(directory.path)) unlinkSync(join(directory.path, name));
    startOnce(1);
    const rotated = startOnce(1, true);
    const late = NOW_SECONDS + 24 * HOUR_SECONDS;

    const died = dieAt(nth, () => startAt(late, 2));

    expect(startAt(late, 3)).toMatchObject({ kept: rotated, former: undefined });
    expect(readdirSync(directory.path).sort()).toEqual(["config.json", "privatekey.pem", "state.json"]);
    if (!died) break;
    expect(nth).toBeLessThan(100);
  }
});

test.each([
  ["a first start", () => undefined, false],
  ["a start without privatekey.pem", () => unlinkSync(directory.keyFile), false],
  ["a start without config.json", () => unlinkSync(directory.configFile), false],
  ["a rotation without a grace time", () => setGraceHours(0), true],
])("%s that is killed at any change of a file leaves keys and configuration whole", (what, prepare, rotate) => {
  const outcomes = new Set<string>();
  let deaths = 0;
  for (let nth = 1; ; nth += 1) {
    for (const name of readdirSync(directory.path)) unlinkSync(join(directory.path, name));
    const before = what === "a first start" ? undefined : startOnce(1);
    prepare();

    const died = dieAt(nth, () => startOnce(2, rotate));
    if (!died) break;
    deaths += 1;

    const after = startOnce(3); // is not refused
    expect(startOnce(4)).toEqual(after);
    const names = readdirSync(directory.path).filter((name) => name !== "state.json");
    expect(names.sort()).toEqual(["config.json", "privatekey.pem"]);
    expect(statSync(directory.keyFile).mode & 0o777).toBe(0o600);
    if (what === "a start without config.json") expect(after.nac).toBe(before!.nac);
    else if (before !== undefined) expect(after.udpPort).toBe(before.udpPort);
    outcomes.add(after.nac === before?.nac ? "old" : "new");
  }

  expect(deaths).toBeGreaterThanOrEqual(5); // make, write, sync, rename, sync: at least one file
  expect([...outcomes].sort()).toEqual(
    { "a rotation without a grace time": ["new", "old"], "a start without config.json": ["old"] }[what] ?? ["new"],
  );
});
