/** `mariana completion`, by a bash that really completes. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { COMMANDS } from "../../node/cli/completion.js";
import { mariana, run } from "../support/command.js";

const hasBash = (await run("bash", ["-c", "complete -p; exit 0"])).code === 0;
if (!hasBash) process.stderr.write("completion: no bash here, its tests are skipped\n");

test.each(Object.entries(COMMANDS).filter(([, { words }]) => words === undefined))(
  "the flags that are completed for %s are those that its --help shows",
  async (command, { flags }) => {
    const { out } = await mariana(command, "--help");
    const shown = [...out.matchAll(/^ +(?:-\w, )?(--\w+) /gm)].map(([, flag]) => flag!);
    expect([...flags, "--help", "--version"].sort()).toEqual([...new Set(shown)].sort());
  },
);

test("the commands that are completed are those that --help shows", async () => {
  const { out } = await mariana("--help");
  const shown = [...out.matchAll(/^ {2}mariana (\w+)/gm)].map(([, name]) => name!);
  expect(Object.keys(COMMANDS).sort()).toEqual([...new Set(shown)].sort());

  const host = (await mariana("host", "--help")).out;
  const inner = [...host.matchAll(/^ {2}mariana host (\w+) /gm)].map(([, name]) => name!);
  expect([...COMMANDS.host!.words!].sort()).toEqual([...new Set(inner)].sort());
});

describe.skipIf(!hasBash)("in bash", () => {
  let folder: string;
  let script: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "mariana-completion-"));
    mkdirSync(join(folder, "a node"));
    mkdirSync(join(folder, "another"));
    writeFileSync(join(folder, "a.journal"), "");
    script = (await mariana("completion", "bash")).out;
    expect((await mariana("completion", "zsh")).out).toBe(`autoload -U +X bashcompinit && bashcompinit\n${script}`);
    return () => rmSync(folder, { recursive: true, force: true });
  });

  /** What bash would offer for the last word of the line, as its own `complete -F` calls the function. */
  async function offered(...words: string[]): Promise<string[]> {
    const line = words.map((word) => `'${word}'`).join(" ");
    const ask = `cd '${folder}'; ${script}
      complete -p mariana >/dev/null || exit 1
      COMP_WORDS=(mariana ${line}); COMP_CWORD=${words.length}
      _mariana mariana "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD-1]}" 2>/dev/null
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { code, out, err } = await run("bash", ["--norc", "-c", ask]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    return out.split("\n").filter((word) => word !== "");
  }

  test.each([
    [["st"], ["status", "streams"]],
    [["h"], ["host"]],
    [
      ["host", ""],
      ["add", "ls", "rm", "check", "--dir", "--json", "--help"],
    ],
    [["host", "a"], ["add"]],
    [["status", "--w"], ["--wait"]],
    [["status", "--wait", ""], ["ready"]],
    [["up", "--http", "o"], ["off"]],
    [["up", "--peer", ""], []],
    [["up", "--jo"], ["--journal"]],
    [
      ["replay", "--suite", "n"],
      ["native", "noble"],
    ],
    [["replay", "a.j"], ["a.journal"]],
    [
      ["completion", ""],
      ["bash", "zsh", "--help"],
    ],
    [["--dir", "x", "st"], []],
    [
      ["id", "--dir", "a"],
      ["a node", "another"],
    ],
    [["nonsense", ""], []],
  ])("mariana %j offers %j", async (words, expected) => {
    expect((await offered(...words)).sort()).toEqual([...expected].sort());
  });

  test("with nothing typed it offers every command", async () => {
    expect((await offered("")).sort()).toEqual([...Object.keys(COMMANDS), "--help", "--version"].sort());
  });
});
