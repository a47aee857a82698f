/**
 * Real web servers for the far end: nginx and Apache, each a child in the foreground with a configuration of its own, in
 * a temporary folder, on a free port of 127.0.0.1. Nothing of the system's own configuration is read.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathOf } from "./machine.js";

const READY_MS = 10_000;

export interface WebServer {
  readonly port: number;
  /** What lies here is served. */
  readonly root: string;
  /** `127.0.0.1:PORT` */
  readonly address: string;
  stop(): Promise<void>;
  /** The same server again, on the same port. */
  restart(): Promise<void>;
}

/** nginx with GET, ranges and validators as always, PUT into `/upload/`, and its own counts at `/status`. */
export async function startNginx(folder: string): Promise<WebServer> {
  const port = await freePort();
  const { root, args } = writeNginxConfig(folder, `127.0.0.1:${port}`);
  return serve(pathOf("nginx"), args, { root, port });
}

/** For a caller who starts it himself: where to put the pages, and nginx's arguments. */
export function writeNginxConfig(folder: string, address: string): { root: string; args: string[] } {
  const root = join(folder, "www");
  mkdirSync(root, { recursive: true });
  const temporary = ["body", "proxy", "fastcgi", "uwsgi", "scgi"];
  for (const name of temporary) mkdirSync(join(folder, name), { recursive: true });
  mkdirSync(join(root, "upload"));
  writeFileSync(
    join(folder, "nginx.conf"),
    `daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events { worker_connections 512; }
http {
  access_log off;
  sendfile on;
  keepalive_timeout 65;
  types { text/html html; text/css css; image/svg+xml svg; text/plain txt; }
  default_type application/octet-stream;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server {
    listen ${address};
    root ${root};
    location = /status { stub_status; }
    location /upload/ { dav_methods PUT; client_max_body_size 200m; }
  }
}
`,
  );
  return { root, args: ["-p", folder, "-e", join(folder, "error.log"), "-c", join(folder, "nginx.conf")] };
}

/** Apache httpd with its event module and static files. */
export async function startApache(folder: string): Promise<WebServer> {
  const { root, port } = await prepare(folder);
  const modules = "/usr/lib/apache2/modules";
  const load = (name: string) => `LoadModule ${name}_module ${modules}/mod_${name}.so`;
  writeFileSync(
    join(folder, "apache.conf"),
    `ServerRoot ${folder}
ServerName localhost
Listen 127.0.0.1:${port}
PidFile ${folder}/apache.pid
ErrorLog ${folder}/error.log
DefaultRuntimeDir ${folder}
Mutex file:${folder} default
${["mpm_event", "authz_core", "dir", "mime"].map(load).join("\n")}
TypesConfig /dev/null
AddType text/html .html
DocumentRoot ${root}
StartServers 1
ServerLimit 1
ThreadsPerChild 16
MaxRequestWorkers 16
<Directory ${root}>
  Require all granted
</Directory>
`,
  );
  return serve(pathOf("apache2"), ["-f", join(folder, "apache.conf"), "-D", "FOREGROUND"], { root, port });
}

async function prepare(folder: string): Promise<{ root: string; port: number }> {
  const root = join(folder, "www");
  mkdirSync(root, { recursive: true });
  return { root, port: await freePort() };
}

async function serve(program: string, args: string[], site: { root: string; port: number }): Promise<WebServer> {
  let child = await launch(program, args, site.port);
  return {
    ...site,
    address: `127.0.0.1:${site.port}`,
    stop: () => end(child),
    restart: async () => {
      await end(child);
      child = await launch(program, args, site.port);
    },
  };
}

async function launch(program: string, args: string[], port: number): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr!.on("data", (part: Buffer) => {
    said += part.toString();
  });
  const deadline = performance.now() + READY_MS;
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}: ${said}`);
    if (performance.now() > deadline) {
      await end(child);
      throw new Error(`${program} did not listen on port ${port} in ${READY_MS} ms: ${said}`);
    }
    await sleep(20);
  }
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 3_000);
  await ended;
  clearTimeout(timer);
}

/** True when somebody accepts connections there. */
export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
