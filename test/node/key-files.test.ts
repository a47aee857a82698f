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
import { printNac } from "../../core/address/nac.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import { defaultConfig, keepInConfig, readConfig } from "../../node/config/config-file.js";
import { type Directory, directoryOf } from "../../node/config/directory.js";
import { removeTemporaries } from "../../node/config/file.js";
import { isLinkKeyPersistent, openIdentity, openLinkKey } from "../../node/config/identity-files.js";
import { createIdentityKey, readIdentityKey, readLinkKey } from "../../node/config/key-files.js";
import { systemEntropy } from "../../node/entropy.js";
import { Failure } from "../../node/failure.js";

/** Everything by which a start changes a directory. */
const CHANGES = ["openSync", "writeSync", "fchmodSync", "fsyncSync", "renameSync", "linkSync", "unlinkSync"] as const;

const CONTEXT = { suite: nobleSuite, entropy: systemEntropy, networkName: "test" };

let directory: Directory;
beforeEach(() => {
  directory = directoryOf(mkdtempSync(join(tmpdir(), "mariana-keys-")), {});
});
afterEach(() => rmSync(directory.path, { recursive: true, force: true }));

/** A start as far as the files go: the identity, and the port that a real one would have bound. */
function startOnce(udpPort: number, rotate = false): { nac: string; udpPort: number } {
  removeTemporaries(directory.path);
  const config = readConfig(directory.configFile);
  const { identity } = openIdentity(directory, config, CONTEXT, rotate);
  const port = config?.udpPort || udpPort;
  keepInConfig(directory.configFile, { nac: identity.nac, udpPort: port });
  return { nac: printNac(identity.nac), udpPort: port };
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
    openIdentity(directory, readConfig(directory.configFile), { ...CONTEXT, networkName: "other" }, false),
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

test.each([
  ["a first start", () => undefined, false],
  ["a start without privatekey.pem", () => unlinkSync(directory.keyFile), false],
  ["a start without config.json", () => unlinkSync(directory.configFile), false],
  ["a rotation", () => undefined, true],
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
    expect(readdirSync(directory.path).sort()).toEqual(["config.json", "privatekey.pem"]);
    expect(statSync(directory.keyFile).mode & 0o777).toBe(0o600);
    if (what === "a start without config.json") expect(after.nac).toBe(before!.nac);
    else if (before !== undefined) expect(after.udpPort).toBe(before.udpPort);
    outcomes.add(after.nac === before?.nac ? "old" : "new");
  }

  expect(deaths).toBeGreaterThanOrEqual(5); // make, write, sync, rename, sync: at least one file
  expect([...outcomes].sort()).toEqual(
    { "a rotation": ["new", "old"], "a start without config.json": ["old"] }[what] ?? ["new"],
  );
});
