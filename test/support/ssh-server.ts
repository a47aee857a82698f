/** A real sshd for whoever runs the tests, with keys of its own, on a free port of 127.0.0.1. */
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { runWell } from "./commands.js";
import { eventually } from "./daemons.js";
import { pathOf } from "./machine.js";
import { answers, freePort } from "./web-servers.js";

export interface SshServer {
  readonly address: string;
  /** What a client needs to log in: ssh and scp take them. */
  readonly clientArgs: readonly string[];
  readonly user: string;
  stop(): Promise<void>;
}

export async function startSshServer(folder: string): Promise<SshServer> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (userInfo().uid === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 }); // sshd asks for it as root
  const port = await freePort();
  const [hostKey, userKey] = [join(folder, "host"), join(folder, "user")];
  for (const key of [hostKey, userKey]) await runWell("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
  const config = join(folder, "sshd.conf");
  writeFileSync(
    config,
    `ListenAddress 127.0.0.1:${port}
HostKey ${hostKey}
AuthorizedKeysFile ${userKey}.pub
PidFile none
PasswordAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
Subsystem sftp internal-sftp
`,
  );
  const child = spawn(pathOf("sshd"), ["-D", "-e", "-f", config], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (part: Buffer) => {
    said += part.toString();
  });
  await eventually("sshd listens", async () => {
    if (child.exitCode !== null) throw new Error(`sshd ended with ${child.exitCode}: ${said}`);
    return answers(port);
  });
  return {
    address: `127.0.0.1:${port}`,
    clientArgs: [
      ...["-F", "none", "-i", userKey, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"],
      ...["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"],
    ],
    user: userInfo().username,
    stop: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
    },
  };
}
