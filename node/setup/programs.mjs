/**
 * Programs of other people that some tests drive, and how to get them. A test that needs a missing one is skipped and
 * counted as skipped; with MARIANA_REQUIRE=all nothing is skipped, so that what is missing fails.
 */
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The Debian package that brings each program, and where else than on PATH it may live. */
const PROGRAMS = {
  nginx: { packageName: "nginx", paths: ["/usr/sbin/nginx"] },
  apache2: { packageName: "apache2", paths: ["/usr/sbin/apache2"] },
  chromium: { packageName: "chromium", paths: ["/usr/bin/chromium"] },
  curl: { packageName: "curl", paths: ["/usr/bin/curl"] },
  wget: { packageName: "wget", paths: ["/usr/bin/wget"] },
  nc: { packageName: "netcat-openbsd", paths: ["/usr/bin/nc.openbsd", "/bin/nc.openbsd"] },
  ssh: { packageName: "openssh-client", paths: ["/usr/bin/ssh"] },
  "ssh-keygen": { packageName: "openssh-client", paths: ["/usr/bin/ssh-keygen"] },
  scp: { packageName: "openssh-client", paths: ["/usr/bin/scp"] },
  sshd: { packageName: "openssh-server", paths: ["/usr/sbin/sshd"] },
  wrk: { packageName: "wrk", paths: ["/usr/bin/wrk"] },
  git: { packageName: "git", paths: ["/usr/bin/git"] },
  faketime: { packageName: "faketime", paths: ["/usr/bin/faketime"] },
  ip: { packageName: "iproute2", paths: ["/usr/sbin/ip", "/sbin/ip"] },
  tcpdump: { packageName: "tcpdump", paths: ["/usr/bin/tcpdump", "/usr/sbin/tcpdump"] },
};

export const PROGRAM_NAMES = Object.keys(PROGRAMS);

/**
 * The program's full path, or undefined. `MARIANA_BROWSER` names another Chromium.
 *
 * @param {string} name one of PROGRAM_NAMES
 */
export function findProgram(name) {
  const program = PROGRAMS[name];
  if (program === undefined) throw new TypeError(`name: no such program: ${name}`);
  const override = name === "chromium" ? process.env.MARIANA_BROWSER : undefined;
  const onPath = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, name));
  return [...(override ? [override] : []), ...onPath, ...program.paths].find(isExecutable);
}

/** True when what is missing must fail rather than be skipped. */
export function isEverythingRequired() {
  return process.env.MARIANA_REQUIRE === "all";
}

/** @param {string} name @returns {string} the command that installs it */
export function installCommand(name) {
  return `apt-get install --no-install-recommends ${PROGRAMS[name].packageName}`;
}

function isExecutable(path) {
  if (!existsSync(path)) return false;
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
