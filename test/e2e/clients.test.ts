/** Clients as people have them, against what people serve, over a client, a relay and a host: each one a story. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  credentials,
  Client as GrpcClient,
  Server as GrpcServer,
  status as GrpcStatus,
  ServerCredentials,
} from "@grpc/grpc-js";
import { fetch, ProxyAgent } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Line, startLine, waitForRoute } from "../../node/demo/line.js";
import { openBrowser } from "../support/browser.js";
import { sha256, writeBulk } from "../support/bulk.js";
import { run, runWell } from "../support/commands.js";
import { NETWORK, removeFolder, stopAll, temporaryFolder } from "../support/daemons.js";
import { type GitServer, startGitServer } from "../support/git-server.js";
import { isMissing } from "../support/machine.js";
import { type SshServer, startSshServer } from "../support/ssh-server.js";
import { startNginx, type WebServer } from "../support/web-servers.js";

const MB = 1_000_000;
const BIG_BYTES = 100 * MB;
const TABS = 20;
const PICTURES = 6;

const PROGRAMS = ["nginx", "curl", "wget", "nc", "ssh", "ssh-keygen", "scp", "sshd", "wrk", "git"];

describe.skipIf(isMissing(...PROGRAMS))("clients of every kind", () => {
  let base: string;
  let nginx: WebServer;
  let ssh: SshServer;
  let git: GitServer;
  let grpc: GrpcServer;
  let line: Line;
  let bigSha256: string;
  let http: string;
  let socks: string;

  beforeAll(async () => {
    base = temporaryFolder();
    nginx = await startNginx(join(base, "nginx"));
    writeFileSync(join(nginx.root, "index.html"), page());
    for (let number = 0; number < PICTURES; number++) writeFileSync(join(nginx.root, `${number}.svg`), picture(number));
    bigSha256 = await writeBulk(join(nginx.root, "big.bin"), BIG_BYTES, "clients");
    ssh = await startSshServer(join(base, "ssh"));
    git = await startGitServer(join(base, "repositories"));
    const grpcAddress = await new Promise<string>((resolve, reject) => {
      grpc = grpcServer();
      grpc.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(`127.0.0.1:${port}`) : reject(error),
      );
    });
    line = await startLine({
      base,
      network: NETWORK,
      relays: 1,
      http: "127.0.0.1:0",
      socks: "127.0.0.1:0",
      hosts: [`80=${nginx.address}`, `22=${ssh.address}`, `9418=${git.address}`, `50051=${grpcAddress}`],
    });
    await waitForRoute(line.client, line.nac, line.daemons);
    const status = await line.client.status();
    http = status.http[0]!;
    socks = status.socks[0]!;
  });

  afterAll(async () => {
    grpc?.forceShutdown();
    await stopAll(line?.daemons ?? []);
    await git?.stop();
    await ssh?.stop();
    await nginx?.stop();
    removeFolder(base);
  });

  describe("curl", () => {
    test.each([
      ["as an HTTP proxy", () => ["-x", `http://${http}`]],
      ["through a CONNECT tunnel", () => ["-p", "-x", `http://${http}`]],
      ["over SOCKS5 with names", () => ["-x", `socks5h://${socks}`]],
      ["over SOCKS5 with a user and a password", () => ["-x", `socks5h://${socks}`, "--proxy-user", "ada:tag"]],
    ])("fetches the page %s", async (_how, args) => {
      const { out } = await runWell("curl", ["-sS", ...args(), `http://${line.name}/`]);
      expect(out).toBe(page());
    });

    test("that would ask DNS for the name is told what to do instead, and nothing is asked", async () => {
      const { code } = await run("curl", ["-sS", "--socks5", socks, `http://${line.name}/`]);
      expect(code).not.toBe(0);
      const { code: byAddress } = await run("curl", ["-sS", "--socks5", socks, "http://127.0.0.1/"]);
      expect(byAddress).toBe(97);
    });
  });

  test("wget goes on with a download that broke off", async () => {
    const file = join(base, "resumed", "big.bin");
    mkdirSync(join(base, "resumed"));
    writeFileSync(file, readFileSync(join(nginx.root, "big.bin")).subarray(0, 37 * MB));

    const { err } = await runWell("wget", ["-c", "-O", file, `http://${line.name}/big.bin`], {
      env: { http_proxy: `http://${http}` },
    });

    expect(err).toContain("206 Partial Content");
    expect(sha256(readFileSync(file))).toBe(bigSha256);
  });

  test.each([
    ["SOCKS5", () => ["-X", "5", "-x", socks]],
    ["CONNECT", () => ["-X", "connect", "-x", http]],
  ])("nc speaks to port 80 over %s", async (_how, args) => {
    const input = `GET /0.svg HTTP/1.1\r\nHost: ${line.name}\r\nConnection: close\r\n\r\n`;
    const { out } = await runWell("nc", [...args(), line.name, "80"], { input });

    expect(out).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(out.endsWith(picture(0))).toBe(true);
  });

  describe("ssh", () => {
    const through = (command: string) => ["-o", `ProxyCommand=${command}`];
    const ways = (): [string, string][] => [
      ["SOCKS5", `nc -X 5 -x ${socks} %h %p`],
      ["CONNECT", `nc -X connect -x ${http} %h %p`],
    ];

    test.each([0, 1])("logs in (%i: SOCKS5, CONNECT)", async (number) => {
      const [, command] = ways()[number]!;
      const args = [...ssh.clientArgs, ...through(command), `${ssh.user}@${line.name}`, "echo deep; cat"];
      const { out } = await runWell("ssh", args, { input: "water" });
      expect(out).toBe("deep\nwater");
    });

    test("and scp brings 100 MB there and back with the same sha256", async () => {
      const [, command] = ways()[0]!;
      const options = [...ssh.clientArgs, ...through(command)];
      const there = join(base, "there.bin");
      const back = join(base, "back.bin");

      await runWell("scp", [...options, join(nginx.root, "big.bin"), `${ssh.user}@${line.name}:${there}`]);
      await runWell("scp", [...options, `${ssh.user}@${line.name}:${there}`, back]);

      expect(sha256(readFileSync(there))).toBe(bigSha256);
      expect(sha256(readFileSync(back))).toBe(bigSha256);
    });
  });

  test("wrk asks as fast as it can for five seconds and gets 2xx only", async () => {
    const script = join(base, "wrk.lua");
    const url = `http://${line.name}/0.svg`;
    writeFileSync(script, `wrk.path = "${url}"\nwrk.headers["Host"] = "${line.name}"\n`);

    const { out } = await runWell("wrk", ["-t2", "-c16", "-d5s", "-s", script, `http://${http}/`]);

    expect(out).not.toContain("Non-2xx");
    expect(out).not.toContain("Socket errors");
    expect(Number(/(\d+) requests in/.exec(out)![1])).toBeGreaterThan(100);
  });

  test("git clones over the smart protocol", async () => {
    const work = join(base, "work");
    const git = (...args: string[]) =>
      runWell("git", ["-C", work, "-c", "user.name=ada", "-c", "user.email=a@b", ...args]);
    mkdirSync(work);
    await git("init", "-q", "-b", "main");
    for (let number = 0; number < 20; number++) {
      writeFileSync(join(work, `${number}.txt`), createHash("sha512").update(`${number}`).digest("hex").repeat(500));
      await git("add", ".");
      await git("commit", "-q", "-m", `number ${number}`);
    }
    mkdirSync(join(base, "repositories"), { recursive: true });
    await runWell("git", ["clone", "-q", "--bare", work, join(base, "repositories", "deep.git")]);
    const clone = join(base, "clone");

    await runWell("git", [
      "-c",
      `http.proxy=http://${http}`,
      "clone",
      "-q",
      `http://${line.name}:9418/deep.git`,
      clone,
    ]);

    const log = await runWell("git", ["-C", clone, "log", "--format=%s"]);
    expect(log.out.split("\n").length).toBe(21);
    await runWell("git", ["-C", clone, "fsck", "--strict"]);
  });

  test("fetch of node goes through with a proxy agent", async () => {
    const dispatcher = new ProxyAgent(`http://${http}`);
    const answer = await fetch(`http://${line.name}/big.bin`, { dispatcher });

    expect(answer.status).toBe(200);
    expect(sha256(new Uint8Array(await answer.arrayBuffer()))).toBe(bigSha256);
    await dispatcher.close();
  });

  test("gRPC: a call, a stream and a status in the trailers", async () => {
    process.env.grpc_proxy = `http://${http}`;
    const client = new GrpcClient(`${line.name}:50051`, credentials.createInsecure());
    try {
      const word = await new Promise<Buffer>((resolve, reject) =>
        client.makeUnaryRequest("/Deep/Echo", same, same, Buffer.from("water"), (error, answer) =>
          error === null ? resolve(answer!) : reject(error),
        ),
      );
      expect(word.toString()).toBe("water");
      const counted: string[] = [];
      for await (const part of client.makeServerStreamRequest("/Deep/Count", same, same, Buffer.from("50"))) {
        counted.push((part as Buffer).toString());
      }
      expect(counted).toEqual(Array.from({ length: 50 }, (_, number) => `${number}`));
      const failure = await new Promise<{ code?: number; details?: string }>((resolve) =>
        client.makeUnaryRequest("/Deep/Fail", same, same, Buffer.from(""), (error) => resolve(error ?? {})),
      );
      expect(failure).toMatchObject({ code: GrpcStatus.NOT_FOUND, details: "nothing down here" });
    } finally {
      client.close();
      delete process.env.grpc_proxy;
    }
  });

  test.skipIf(isMissing("chromium"))("Chromium loads the page in twenty tabs at once, pictures and all", async () => {
    const profile = join(base, "profile");
    mkdirSync(profile);
    const browser = await openBrowser(profile, line.proxy);
    try {
      const tabs = await Promise.all(Array.from({ length: TABS }, () => browser.newPage()));
      await Promise.all(
        tabs.map((tab, number) => tab.goto(`http://${line.name}/?tab=${number}`, { waitUntil: "load" })),
      );

      for (const tab of tabs) {
        const loaded = await tab.evaluate("[...document.images].filter((one) => one.naturalWidth === 40).length");
        expect(loaded).toBe(PICTURES);
      }
    } finally {
      await browser.close();
    }
  });
});

function page(): string {
  const pictures = Array.from({ length: PICTURES }, (_, number) => `<img src="/${number}.svg">`).join("");
  return `<!doctype html><title>Tabs</title>${pictures}\n`;
}

function picture(number: number): string {
  const size = `width="40" height="40"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size}><rect ${size} fill="hsl(${number * 60} 50% 50%)"/></svg>`;
}

function same(bytes: Buffer): Buffer {
  return bytes;
}

/** Echo, count, fail: without a schema compiler, messages are plain bytes. */
function grpcServer(): GrpcServer {
  const method = (path: string, responseStream: boolean) => ({
    path,
    requestStream: false,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  });
  const server = new GrpcServer();
  server.addService(
    { Echo: method("/Deep/Echo", false), Count: method("/Deep/Count", true), Fail: method("/Deep/Fail", false) },
    {
      Echo: (call: { request: Buffer }, done: (error: null, answer: Buffer) => void) => done(null, call.request),
      Count: (call: { request: Buffer; write(part: Buffer): void; end(): void }) => {
        for (let number = 0; number < Number(call.request.toString()); number++) call.write(Buffer.from(`${number}`));
        call.end();
      },
      Fail: (_call: unknown, done: (error: { code: number; details: string }) => void) =>
        done({ code: GrpcStatus.NOT_FOUND, details: "nothing down here" }),
    } as never,
  );
  return server;
}
