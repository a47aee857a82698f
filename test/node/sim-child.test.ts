/** Runs of `mariana` that another program starts, as processes of their own. */
import { expect, test } from "vitest";
import { optionsToHandOn } from "../../node/sim/child.js";
import { run } from "../support/command.js";

const CHILD = new URL("../../dist/node/sim/child.js", import.meta.url).href;
const STARTED_AGAIN = 42;

test.each([
  [["-e", "code"], []],
  [["--max-old-space-size=900", "--input-type=module", "-e", "code"], ["--max-old-space-size=900"]],
  [["--eval=a = 1", "--no-warnings"], ["--no-warnings"]],
  [["-p", "--no-warnings", "--input-type", "commonjs"], ["--no-warnings"]],
  [["-pe", "code", "--expose-gc"], ["--expose-gc"]],
  [
    ["--print", "code", "--require", "fs"],
    ["--require", "fs"],
  ],
  [
    ["-p", "-e", "code", "-r", "fs"],
    ["-r", "fs"],
  ],
  [
    ["--experimental-vm-modules", "--env-file=-e"],
    ["--experimental-vm-modules", "--env-file=-e"],
  ],
])("of the options %j children get %j", (options, expected) => {
  expect(optionsToHandOn(options)).toEqual(expected);
});

test.each([["-e"], ["--eval"], ["-p"]])(
  "a script run with node %s starts the command, and not itself again",
  async (flag) => {
    const script = `
    if (process.env.IS_STARTED_AGAIN) process.exit(${STARTED_AGAIN});
    import(${JSON.stringify(CHILD)})
      .then(({ Children }) => new Children().run(["sim", "schema"], { IS_STARTED_AGAIN: "yes" }))
      .then(({ code, said }) => console.log("ended with " + code + said));
    undefined`;

    const { out } = await run(process.execPath, [flag, script]);

    expect(out).toContain("ended with 0\n");
  },
);
