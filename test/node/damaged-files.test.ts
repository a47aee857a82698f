/** Each file of a node, spoiled in each way: one clear line, its exit code, and nothing lost. */
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import { keepInConfig, readConfig } from "../../node/config/config-file.js";
import { type Directory, directoryOf, openDirectory } from "../../node/config/directory.js";
import { addHost, removeHost } from "../../node/config/hosts.js";
import { openIdentity, openLinkKey } from "../../node/config/identity-files.js";
import { readState, writeState } from "../../node/config/state-file.js";
import { ControlServer } from "../../node/control/server.js";
import { systemEntropy } from "../../node/entropy.js";
import { ExitCode, Failure } from "../../node/failure.js";
import { COMMAND, LOOPBACK, mariana, run } from "../support/command.js";

const NOW_SECONDS = 1_800_000_000;
const CONTEXT = { suite: nobleSuite, entropy: systemEntropy, networkName: "mariana" };
const FILES = ["config.json", "state.json", "privatekey.pem", "privatekey.former.pem", "linkkey.pem"] as const;
type FileName = (typeof FILES)[number];

let folder: string;
let directory: Directory;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mariana-damage-"));
  directory = directoryOf(join(folder, "node"), {});
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** All that a start does with the files, in its order. */
function startOnce(): { nac: Uint8Array; damage: string | undefined; formerKept: boolean } {
  openDirectory(directory);
  const config = readConfig(directory.configFile);
  const opened = openIdentity(directory, config, CONTEXT, { rotate: false, nowSeconds: NOW_SECONDS });
  openLinkKey(directory, CONTEXT, true);
  keepInConfig(directory.configFile, { nac: opened.identity.nac, udpPort: 4000 });
  writeState(directory.stateFile, { ...opened.state, epoch: opened.state.epoch + 1 });
  return { nac: opened.identity.nac, damage: opened.damage, formerKept: opened.former !== undefined };
}

function rotateOnce(): void {
  openIdentity(directory, readConfig(directory.configFile), CONTEXT, { rotate: true, nowSeconds: NOW_SECONDS });
}

/** A node that has been rotated, so that it has every file. */
function makeNode(): void {
  startOnce();
  rotateOnce();
  startOnce();
}

function refusal(action: () => unknown): Failure {
  try {
    action();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

/** Name to content, of all that is there; links and folders by what they are. */
function contents(): Record<string, string> {
  return Object.fromEntries(
    readdirSync(directory.path).map((name) => {
      const path = join(directory.path, name);
      const found = lstatSync(path);
      if (found.isSymbolicLink()) return [name, `link to ${readlinkSync(path)}`];
      return [name, found.isFile() ? readFileSync(path, "latin1") : "no file"];
    }),
  );
}

interface Spoiling {
  readonly what: string;
  readonly spoil: (path: string, text: string) => void;
  /** Part of the message, and the exit code; or "fine" when the node starts and keeps the file. */
  readonly expected: Partial<Record<FileName, readonly [RegExp, ExitCode] | "fine" | "replaced" | "erased">>;
}

const write = (make: (text: string) => string | Uint8Array) => (path: string, text: string) =>
  writeFileSync(path, make(text), { mode: 0o600 });
const ALL_REFUSED = (message: RegExp, exit: ExitCode): Spoiling["expected"] =>
  Object.fromEntries(FILES.map((name) => [name, [message, exit] as const]));

const SPOILINGS: readonly Spoiling[] = [
  {
    what: "empty",
    spoil: write(() => ""),
    expected: {
      "config.json": [/config\.json:1:1: the file is empty/, ExitCode.config],
      "state.json": "replaced",
      "privatekey.pem": [/privatekey\.pem is damaged: /, ExitCode.config],
      "privatekey.former.pem": "erased",
      "linkkey.pem": [/linkkey\.pem is damaged: /, ExitCode.config],
    },
  },
  {
    what: "cut off in the middle",
    spoil: write((text) => text.slice(0, text.length >> 1)),
    expected: {
      "config.json": [/config\.json:\d+:\d+: this is not JSON/, ExitCode.config],
      "state.json": "replaced",
      "privatekey.pem": [/is damaged: /, ExitCode.config],
      "privatekey.former.pem": "erased",
      "linkkey.pem": [/is damaged: /, ExitCode.config],
    },
  },
  {
    what: "noise",
    spoil: write(() => Buffer.from([0x80, 0xff, 0x00, 0x1b, 0xfe, 0x41])),
    expected: {
      ...ALL_REFUSED(/is not text in UTF-8/, ExitCode.config),
      "state.json": "replaced",
      "privatekey.former.pem": "erased",
    },
  },
  {
    what: "of the wrong type",
    spoil: write(() => "[1, 2, 3]\n"),
    expected: {
      "config.json": [/config\.json:1:1: the file: expected object/, ExitCode.config],
      "state.json": "replaced",
      "privatekey.pem": [/is damaged: /, ExitCode.config],
      "privatekey.former.pem": "erased",
      "linkkey.pem": [/is damaged: /, ExitCode.config],
    },
  },
  {
    what: "brackets without an end",
    spoil: write(() => "[".repeat(200_000)),
    expected: {
      "config.json": [/config\.json:1:1: brackets stand too deep/, ExitCode.config],
      "state.json": "replaced",
      "privatekey.pem": [/is damaged: /, ExitCode.config],
      "privatekey.former.pem": "erased",
      "linkkey.pem": [/is damaged: /, ExitCode.config],
    },
  },
  {
    what: "far too long",
    spoil: write(() => "x".repeat(5_000_000)),
    expected: {
      ...ALL_REFUSED(/has 5000000 bytes: it is no file of ours/, ExitCode.config),
      "state.json": "replaced",
      "privatekey.former.pem": "erased",
    },
  },
  {
    what: "of a newer version",
    spoil: write(() => '{\n  "version": 2,\n  "epoch": "tomorrow"\n}\n'),
    expected: {
      "config.json": [/config\.json:2:14: version 2 was written by a newer mariana/, ExitCode.config],
      "state.json": "replaced",
    },
  },
  {
    what: "behind a byte order mark",
    spoil: write((text) => `\ufeff${text}`),
    expected: {
      "config.json": "fine",
      "state.json": "fine",
      "privatekey.pem": "fine",
      "privatekey.former.pem": "fine",
      "linkkey.pem": "fine",
    },
  },
  {
    what: "with CRLF line ends",
    spoil: write((text) => text.replaceAll("\n", "\r\n")),
    expected: {
      "config.json": "fine",
      "state.json": "fine",
      "privatekey.pem": "fine",
      "privatekey.former.pem": "fine",
      "linkkey.pem": "fine",
    },
  },
  {
    what: "a directory",
    spoil: (path) => {
      rmSync(path);
      mkdirSync(path);
    },
    expected: ALL_REFUSED(/is a directory, not a file/, ExitCode.config),
  },
  {
    what: "a pipe",
    spoil: (path) => {
      rmSync(path);
      symlinkSync("/dev/null", path);
    },
    expected: ALL_REFUSED(/is a device or a pipe, not a file/, ExitCode.config),
  },
  {
    what: "a link to nowhere",
    spoil: (path) => {
      rmSync(path);
      symlinkSync("/nowhere/at/all", path);
    },
    expected: ALL_REFUSED(/is a symbolic link to nowhere: there is no \/nowhere\/at\/all/, ExitCode.config),
  },
  {
    what: "a link to itself",
    spoil: (path) => {
      rmSync(path);
      symlinkSync(path, path);
    },
    expected: ALL_REFUSED(/symbolic links go round in a circle \(ELOOP\)/, ExitCode.config),
  },
];

const CASES = SPOILINGS.flatMap(({ what, spoil, expected }) =>
  Object.entries(expected).map(([name, then]) => [name as FileName, what, spoil, then] as const),
);

describe("a file that is spoiled", () => {
  let made: string;
  beforeAll(() => {
    made = mkdtempSync(join(tmpdir(), "mariana-made-"));
    directory = directoryOf(join(made, "node"), {});
    makeNode();
    return () => rmSync(made, { recursive: true, force: true });
  });
  /** Each test begins with the same node. */
  beforeEach(() => {
    mkdirSync(directory.path, { mode: 0o700 });
    for (const name of readdirSync(join(made, "node"))) {
      writeFileSync(join(directory.path, name), readFileSync(join(made, "node", name)), { mode: 0o600 });
      utimesSync(join(directory.path, name), NOW_SECONDS - 10, NOW_SECONDS - 10);
    }
  });

  test.each(CASES)("%s, %s: refused in one line, or mended, and nothing is lost", (name, _what, spoil, then) => {
    const path = join(directory.path, name);
    const whole = contents();
    spoil(path, whole[name]!);
    const before = contents();

    if (then === "fine") {
      expect(startOnce()).toMatchObject({ damage: undefined, formerKept: true });
      const after = contents();
      if (name !== "state.json") expect(after[name]).toBe(before[name]); // as it was laid out
      expect(Object.keys(after).sort()).toEqual(Object.keys(before).sort());
    } else if (then === "replaced") {
      expect(startOnce()).toMatchObject({ damage: expect.any(String), formerKept: true });
      expect(readState(directory.stateFile).former?.untilSeconds).toBe(NOW_SECONDS - 10 + 24 * 3600);
      expect(readState(directory.stateFile).damage).toBeUndefined();
      expect(contents()["privatekey.pem"]).toBe(whole["privatekey.pem"]);
    } else if (then === "erased") {
      expect(startOnce().formerKept).toBe(false);
      expect(existsSync(path)).toBe(false);
    } else {
      const [message, exit] = then;
      const failure = refusal(startOnce);
      expect(failure.message.split("\n")).toHaveLength(1);
      expect(failure.message).toMatch(message);
      expect(failure.message).toContain(path);
      expect(failure.exit).toBe(exit);
      expect(failure.fix).not.toBe("");
      expect(contents()).toEqual(before);
    }
  });
});

test("a file that is a link is written through: the link stays, and what it leads to is new", () => {
  makeNode();
  const elsewhere = join(folder, "elsewhere");
  mkdirSync(elsewhere, { mode: 0o700 });
  for (const name of FILES) {
    renameSync(join(directory.path, name), join(elsewhere, name));
    symlinkSync(join(elsewhere, name), join(directory.path, name));
  }
  const before = readFileSync(join(elsewhere, "privatekey.pem"), "utf8");

  addHost(directory.configFile, { port: 80, target: { kind: "tcp", host: "127.0.0.1", port: 8080 } });
  rotateOnce();
  startOnce();

  for (const name of FILES) expect(lstatSync(join(directory.path, name)).isSymbolicLink(), name).toBe(true);
  expect(readFileSync(join(elsewhere, "privatekey.former.pem"), "utf8")).toBe(before);
  expect(JSON.parse(readFileSync(join(elsewhere, "config.json"), "utf8"))).toMatchObject({
    hosts: { 80: "127.0.0.1:8080" },
  });
  expect(readdirSync(elsewhere).sort()).toEqual([...FILES].sort());
});

test("former keys behind a link are erased there too when their time is over", () => {
  makeNode();
  const target = join(folder, "former.pem");
  renameSync(directory.formerKeyFile, target);
  symlinkSync(target, directory.formerKeyFile);
  writeState(directory.stateFile, { epoch: 1, former: { untilSeconds: NOW_SECONDS - 1, epoch: 1 } });

  expect(startOnce().formerKept).toBe(false);

  expect(existsSync(target)).toBe(false);
  expect(readdirSync(directory.path)).not.toContain("privatekey.former.pem");
});

test.each([
  ["on one line", '{"version": 1, "peers": []}', '{"version": 1, "peers": [], "hosts": {"80":"127.0.0.1:1"}}'],
  ["empty", "{}", '{"hosts": {"80":"127.0.0.1:1"}}'],
  [
    "laid out by hand",
    '{\n\t"log" : {"level":"warn"},\n\n\t"hosts": {\n\t\t"443": "[::1]:2"\n\t},\n\t"version": 1\n}',
    '{\n\t"log" : {"level":"warn"},\n\n\t"hosts": {\n\t\t"443": "[::1]:2",\n\t\t"80": "127.0.0.1:1"\n\t},\n\t"version": 1\n}',
  ],
  [
    "with CRLF and an empty list",
    '\ufeff{\r\n  "hosts": {},\r\n  "version": 1\r\n}\r\n',
    '\ufeff{\r\n  "hosts": {\r\n    "80": "127.0.0.1:1"\r\n  },\r\n  "version": 1\r\n}\r\n',
  ],
])("a hosted port goes into a config.json %s and out again, and all else stays where it was", (_what, text, added) => {
  openDirectory(directory);
  writeFileSync(directory.configFile, text);

  addHost(directory.configFile, { port: 80, target: { kind: "tcp", host: "127.0.0.1", port: 1 } });
  expect(readFileSync(directory.configFile, "utf8")).toBe(added);

  removeHost(directory.configFile, 80);
  const emptied = { "{}": '{"hosts": {}}', '{"version": 1, "peers": []}': '{"version": 1, "peers": [], "hosts": {}}' };
  expect(readFileSync(directory.configFile, "utf8")).toBe(emptied[text as "{}"] ?? text);
});

describe("what stands in the way of the control socket", () => {
  test.each([
    ["control.sock", "a folder", (path: string) => mkdirSync(path), /control\.sock is not a socket/],
    ["control.sock", "a file", (path: string) => writeFileSync(path, "diary"), /control\.sock is not a socket/],
    ["control.sock", "a link", (path: string) => symlinkSync("/etc/passwd", path), /control\.sock is not a socket/],
    ["starting", "a folder with something in it", fillFolder, /starting is in the way/],
    ["starting", "a file", (path: string) => writeFileSync(path, "diary"), /starting is in the way/],
  ])("%s, %s: refused with 3, and it stays", async (name, _what, put, message) => {
    openDirectory(directory);
    const path = join(directory.path, name);
    put(path);
    const before = contents();

    const failure = await ControlServer.open(directory.socket, () => undefined).catch((error: unknown) => error);

    expect(failure).toBeInstanceOf(Failure);
    expect(failure).toMatchObject({ message: expect.stringMatching(message), exit: ExitCode.config });
    expect((failure as Failure).fix).toContain(`mv ${path}`);
    expect(contents()).toEqual(before);
  });

  function fillFolder(path: string): void {
    mkdirSync(path);
    writeFileSync(join(path, "diary"), "");
  }
});

describe("a directory that cannot be used", () => {
  test.each([
    ["/proc/mariana", 3, "a part of that path does not exist (ENOENT)"],
    ["/etc/passwd/mariana", 3, "a part of that path is a file, not a directory (ENOTDIR)"],
    ["/etc/passwd", 3, "a part of that path is a file, not a directory (ENOTDIR)"],
    [`/tmp/${"d".repeat(300)}`, 3, "the path is too long (ENAMETOOLONG)"],
  ])("%s is refused at once", (path, exit, why) => {
    const failure = refusal(() => openDirectory(directoryOf(path, {})));

    expect(failure).toMatchObject({ exit, message: `${path} cannot be used: ${why}` });
    expect(failure.fix).toContain("choose another directory");
  });

  test("the command says so in two lines", async () => {
    expect(await mariana("up", "--dir", "/proc/mariana", ...LOOPBACK)).toEqual({
      code: 3,
      out: "",
      err:
        "mariana: /proc/mariana cannot be used: a part of that path does not exist (ENOENT)\n" +
        "  fix: choose another directory with --dir DIR or $MARIANA_DIR\n",
    });
  });
});

/** Runs `script` as root of a namespace of its own, with a full or read-only disk at `disk`. */
async function onDisk(disk: string, size: string, script: string) {
  mkdirSync(disk, { recursive: true });
  const mount = `mount -t tmpfs -o size=${size},mode=700 tmpfs "${disk}" && cd "${disk}" && mariana() { "${process.execPath}" "${COMMAND}" "$@"; }`;
  return run("unshare", ["-rm", "sh", "-c", `${mount}\n${script}`]);
}

const canMount = (await run("unshare", ["-rm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"])).code === 0;
if (!canMount)
  process.stderr.write("damaged-files: no user and mount namespaces here; tests of full disks are skipped\n");

describe.skipIf(!canMount)("a disk", () => {
  const FILL = "cat /dev/zero > fill 2>/dev/null";
  const START = `mariana up --dir n ${LOOPBACK.join(" ")}`;
  const NODE = `"${process.execPath}" "${COMMAND}"`; // no function of the shell: its pid is the one to end
  const MAKE = `${NODE} up --dir n ${LOOPBACK.join(" ")} >/dev/null 2>&1 & mariana status --dir n --wait ready --timeout 20 >/dev/null; kill $!; wait $!`;

  test("that is full at the first start: one line, 1, and no half file", async () => {
    const { err, out, code } = await onDisk(
      join(folder, "disk"),
      "64k",
      `mkdir -m 700 n; ${FILL}; ${START}; echo "exit $?"; ls -A n`,
    );

    expect(out).toBe("exit 1\n");
    expect(code).toBe(0);
    expect(lastLines(err)).toMatch(/cannot be (written|made): the disk is full \(ENOSPC\)\n {2}fix: make room.*df -h/);
    expect(err).not.toContain("    at ");
  });

  test("that is full at a rotation, at a change of hosts and at a start: everything stays as it was", async () => {
    const { err, out } = await onDisk(
      join(folder, "disk"),
      "256k",
      `${MAKE}; cd n && md5sum *.json *.pem > ../sums && cd .. && ${FILL}
       mariana up --dir n --rotate ${LOOPBACK.join(" ")}; echo "exit $?"
       mariana host add 80 8080 --dir n; echo "exit $?"
       ${START}; echo "exit $?"
       cd n && md5sum --quiet -c ../sums && ls -A && cd .. && rm fill && mariana id --dir n >/dev/null && echo whole`,
    );

    const lines = out.trim().split("\n");
    expect(lines.slice(0, 3)).toEqual(["exit 1", "exit 1", "exit 1"]);
    expect(lines.slice(3, -1).sort()).toEqual(["config.json", "linkkey.pem", "privatekey.pem", "state.json"]);
    expect(lines.at(-1)).toBe("whole");
    expect(err.match(/the disk is full \(ENOSPC\)/g)!.length).toBeGreaterThanOrEqual(3);
    expect(err).not.toContain("    at ");
  });

  test("that is read-only: 7, and what is there can still be read", async () => {
    const { err, out } = await onDisk(
      join(folder, "disk"),
      "256k",
      `${MAKE}; mount -o remount,ro . && ${START}; echo "exit $?"
       mariana host add 80 8080 --dir n; echo "exit $?"
       mariana up --dir new ${LOOPBACK.join(" ")}; echo "exit $?"
       mariana id --dir n >/dev/null && echo whole`,
    );

    expect(out.trim().split("\n")).toEqual(["exit 7", "exit 7", "exit 7", "whole"]);
    expect(err.match(/the file system is read-only \(EROFS\)/g)).toHaveLength(3);
    expect(err).not.toContain("    at ");
  });

  function lastLines(text: string): string {
    return text.trim().split("\n").slice(-2).join("\n");
  }
});

/** Root may read everything: then a user of no rank is asked to. */
const NOBODY = 65_534;

test.each(["config.json", "privatekey.pem"] as const)(
  "%s that may not be read is exit 7, and it stays",
  async (name) => {
    makeNode();
    chmodSync(join(directory.path, name), 0o000);
    chmodSync(folder, 0o755);
    const isRoot = process.getuid!() === 0;
    if (isRoot) {
      for (const path of [directory.path, ...FILES.map((one) => join(directory.path, one))])
        chownSync(path, NOBODY, NOBODY);
    }

    const { code, err } = await run(
      process.execPath,
      [COMMAND, "up", "--dir", directory.path, ...LOOPBACK],
      { HOME: folder },
      isRoot ? { uid: NOBODY, gid: NOBODY } : {},
    );

    expect(err).toContain(`${join(directory.path, name)} cannot be read: permission denied (EACCES)`);
    expect(err).toContain("fix: see whose it is");
    expect(code).toBe(ExitCode.permission);
    expect(readdirSync(directory.path).sort()).toEqual([...FILES].sort());
  },
);
