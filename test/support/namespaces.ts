/** Two network namespaces joined by one cable, with no way out. Only root may make them. */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runWell } from "./commands.js";
import { eventually } from "./daemons.js";
import { pathOf } from "./machine.js";

export const canMakeNamespaces = process.getuid?.() === 0;

export interface Cable {
  /** `ip netns exec NAME` for either end. */
  readonly near: readonly string[];
  readonly far: readonly string[];
  readonly nearAddress: string;
  readonly farAddress: string;
  /** A program that runs `program` at the near end. */
  wrapper(program: string, folder: string): string;
  /** Writes down every packet that the far end sees from now on; `stop` answers them, a line each. */
  capture(file: string): Promise<{ stop(): Promise<string[]> }>;
  remove(): Promise<void>;
}

/** Whoever looks a name up at the near end asks `farAddress`, where nobody answers. */
export async function layCable(): Promise<Cable> {
  const [nearName, farName] = [`mq-near-${process.pid}`, `mq-far-${process.pid}`];
  const [nearAddress, farAddress] = ["10.77.0.1", "10.77.0.2"];
  const ip = (...args: string[]) => runWell("ip", args);
  const resolver = join("/etc/netns", nearName);
  for (const name of [nearName, farName]) {
    await ip("netns", "add", name);
    await ip("-n", name, "link", "set", "lo", "up");
  }
  await ip("-n", nearName, "link", "add", "near0", "type", "veth", "peer", "name", "far0", "netns", farName);
  for (const [name, device, address] of [
    [nearName, "near0", nearAddress],
    [farName, "far0", farAddress],
  ] as const) {
    await ip("-n", name, "address", "add", `${address}/24`, "dev", device);
    await ip("-n", name, "link", "set", device, "up");
  }
  await ip("-n", nearName, "route", "add", "default", "via", farAddress); // so that whatever leaks is seen
  mkdirSync(resolver, { recursive: true });
  writeFileSync(join(resolver, "resolv.conf"), `nameserver ${farAddress}\n`);
  const near = [pathOf("ip"), "netns", "exec", nearName];
  const far = [pathOf("ip"), "netns", "exec", farName];
  return {
    near,
    far,
    nearAddress,
    farAddress,
    wrapper: (program, folder) => {
      const path = join(folder, "near");
      writeFileSync(path, `#!/bin/sh\nexec ${near.join(" ")} ${program} "$@"\n`);
      chmodSync(path, 0o755);
      return path;
    },
    capture: async (file) => {
      const args = [
        ...far.slice(1),
        pathOf("tcpdump"),
        "-i",
        "far0",
        "-n",
        "-U",
        "--immediate-mode",
        "-Z",
        "root",
        "-w",
        file,
      ];
      const child = spawn(far[0]!, args, { stdio: ["ignore", "ignore", "pipe"] });
      let said = "";
      child.stderr.on("data", (part: Buffer) => {
        said += part.toString();
      });
      await eventually("tcpdump listens", () => said.includes("listening on"));
      return { stop: () => stopCapture(child, file) };
    },
    remove: async () => {
      await ip("netns", "delete", nearName);
      await ip("netns", "delete", farName);
      rmSync(resolver, { recursive: true, force: true });
    },
  };
}

async function stopCapture(child: ChildProcess, file: string): Promise<string[]> {
  await sleep(300); // the last packets are on their way to it
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGINT");
  await ended;
  const { out } = await runWell("tcpdump", ["-n", "-r", file]);
  return out.split("\n").filter((line) => line !== "");
}
