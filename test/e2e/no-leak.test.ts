/**
 * A machine of which we see every packet: a browser at its near end looks at the overlay, and nothing but the daemon's
 * UDP leaves. No name is looked up, no server is asked.
 */
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BrowserContext } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DaemonProcess, pinnedEndpoint, proxyOf, startDaemon } from "../../node/demo/daemon-process.js";
import { openBrowser } from "../support/browser.js";
import { run } from "../support/commands.js";
import { eventually, NETWORK, removeFolder, stopAll, temporaryFolder } from "../support/daemons.js";
import { isMissing, pathOf } from "../support/machine.js";
import { type Cable, canMakeNamespaces, layCable } from "../support/namespaces.js";
import { writeNginxConfig } from "../support/web-servers.js";

const UDP_PORT = 4700;
/** The page asks for things inside and outside the overlay, and for a name that only DNS would know. */
const PAGE = `<!doctype html><title>Deep</title><img src="/picture.svg"><img src="http://leak.example/x.png">
<script src="http://10.77.0.2/x.js"></script><link rel="dns-prefetch" href="//prefetch.example">
<link rel="preconnect" href="http://10.77.0.2:81"><script>
  fetch("http://fetch.example/").catch(() => {});
  new RTCPeerConnection({ iceServers: [{ urls: "stun:10.77.0.2:3478" }] }).createDataChannel("x");
</script>`;

describe.skipIf(isMissing("ip", "tcpdump", "chromium", "nginx", "curl") || !canMakeNamespaces)(
  "a watched machine",
  () => {
    let base: string;
    let cable: Cable;
    let browser: BrowserContext | undefined;
    const daemons: DaemonProcess[] = [];

    beforeAll(async () => {
      base = temporaryFolder();
      cable = await layCable();
    });

    afterAll(async () => {
      await browser?.close();
      await stopAll(daemons);
      await cable?.remove();
      removeFolder(base);
    });

    test("sends nothing but the daemon's UDP while a browser looks at pages of the overlay", async () => {
      const common = { base, network: NETWORK };
      const nginx = spawnNginx();
      const udp = (address: string) => `${address}:${UDP_PORT}`;
      const host = await startDaemon({
        ...common,
        name: "host",
        within: cable.far,
        udp: udp(cable.farAddress),
        http: "off",
        peers: [],
        hosts: ["80=127.0.0.1:8080"],
      });
      daemons.push(host.daemon);
      const capture = await cable.capture(join(base, "packets"));
      const client = await startDaemon({
        ...common,
        name: "client",
        within: cable.near,
        udp: udp(cable.nearAddress),
        http: "127.0.0.1:8000",
        peers: [await pinnedEndpoint(host.daemon)],
        hosts: [],
      });
      daemons.unshift(client.daemon);
      const { name } = await host.daemon.id();
      await eventually("the client knows the way", async () => (await client.daemon.routes()).length > 0);
      mkdirSync(join(base, "profile"));
      const program = cable.wrapper(pathOf("chromium"), base);

      browser = await openBrowser(join(base, "profile"), proxyOf(client.status), { program });
      const page = await browser.newPage();
      for (let visit = 0; visit < 3; visit += 1) {
        await page.goto(`http://${name}/?visit=${visit}`, { waitUntil: "load" });
        expect(await page.title()).toBe("Deep");
      }
      await browser.close();
      browser = undefined;
      const packets = await capture.stop();

      const ours = new RegExp(`IP 10\\.77\\.0\\.[12]\\.${UDP_PORT} > 10\\.77\\.0\\.[12]\\.${UDP_PORT}: UDP`);
      const others = packets.filter((line) => !ours.test(line) && !/ ARP,| IP6 .*(ICMP6|HBH)/.test(line));
      expect(others).toEqual([]);
      expect(packets.filter((line) => ours.test(line)).length).toBeGreaterThan(20);
      nginx.kill("SIGTERM");
    });

    test("would have been caught at it: a client that asks for itself is seen", async () => {
      const capture = await cable.capture(join(base, "control"));

      await run("ip", [...cable.near.slice(1), pathOf("curl"), "-sS", "-m", "3", "http://leak.example/"], {
        timeoutMs: 10_000,
      });

      expect((await capture.stop()).join("\n")).toContain("leak.example");
    });

    function spawnNginx() {
      const folder = join(base, "nginx");
      const { root, args } = writeNginxConfig(folder, "127.0.0.1:8080");
      writeFileSync(join(root, "index.html"), PAGE);
      writeFileSync(join(root, "picture.svg"), `<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>`);
      return spawn(cable.far[0]!, [...cable.far.slice(1), pathOf("nginx"), ...args], { stdio: "ignore" });
    }
  },
);
