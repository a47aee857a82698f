/** git over HTTP as a web server offers it: `git http-backend` (gitprotocol-http) behind a small CGI gateway. */
import { spawn } from "node:child_process";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pathOf } from "./machine.js";

export interface GitServer {
  readonly address: string;
  stop(): Promise<void>;
}

/** Serves every repository under `root`. */
export async function startGitServer(root: string): Promise<GitServer> {
  const server = createServer((request, response) => answer(root, request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function answer(root: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", "http://localhost");
  const child = spawn(pathOf("git"), ["http-backend"], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: "1",
      GIT_PROTOCOL: request.headers["git-protocol"] as string | undefined,
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers["content-type"],
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"],
      REMOTE_ADDR: "127.0.0.1",
    },
  });
  request.pipe(child.stdin);
  child.stdin.on("error", () => {});
  let head = Buffer.alloc(0);
  child.stdout.on("data", (part: Buffer) => {
    if (response.headersSent) return void response.write(part);
    head = Buffer.concat([head, part]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    const fields = head.toString("latin1", 0, end).split("\r\n");
    const status = fields.find((field) => field.startsWith("Status: "));
    const headers = fields.filter((field) => field !== status).map((field) => field.split(": ", 2) as [string, string]);
    response.writeHead(status === undefined ? 200 : Number(status.slice(8, 11)), Object.fromEntries(headers));
    response.write(head.subarray(end + 4));
  });
  child.once("close", () => response.end());
}
