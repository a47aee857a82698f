import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BrowserContext } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Line } from "../../node/demo/line.js";
import { openBrowser, pixelOf } from "../support/browser.js";
import { removeFolder, startLineTo, stopAll, temporaryFolder } from "../support/daemons.js";
import { isMissing } from "../support/machine.js";
import { startNginx, type WebServer } from "../support/web-servers.js";

/** The left half is painted by the page's style sheet, the right half by a picture: two more requests than the page. */
const PAGE = `<!doctype html>
<title>Deep water</title>
<link rel="stylesheet" href="/style.css">
<img src="/picture.svg" width="200" height="300">
`;
const STYLE = "body { margin: 0; background: #0a3a57 } img { position: absolute; left: 200px; top: 0 }\n";
const PICTURE = `<svg xmlns="http://www.w3.org/2000/svg" width="200" height="300"><rect width="200" height="300" fill="#7fe3c8"/></svg>`;

describe.skipIf(isMissing("nginx", "chromium"))("Chromium through the proxy", () => {
  let base: string;
  let nginx: WebServer;
  let line: Line;
  let browser: BrowserContext;

  beforeAll(async () => {
    base = temporaryFolder();
    nginx = await startNginx(join(base, "nginx"));
    writeFileSync(join(nginx.root, "index.html"), PAGE);
    writeFileSync(join(nginx.root, "style.css"), STYLE);
    writeFileSync(join(nginx.root, "picture.svg"), PICTURE);
    line = await startLineTo(nginx.address, base);
    const profile = join(base, "profile");
    mkdirSync(profile);
    browser = await openBrowser(profile, line.proxy);
  });

  afterAll(async () => {
    await browser?.close();
    await stopAll(line?.daemons ?? []);
    await nginx?.stop();
    removeFolder(base);
  });

  test("a page shows its title, its style and its picture", async () => {
    const page = await browser.newPage();
    const answer = await page.goto(`http://${line.name}/`, { waitUntil: "load" });

    expect(answer!.status()).toBe(200);
    expect(await page.title()).toBe("Deep water");
    const screenshot = await page.screenshot();
    expect(pixelOf(screenshot, 100, 150)).toEqual([0x0a, 0x3a, 0x57]);
    expect(pixelOf(screenshot, 300, 150)).toEqual([0x7f, 0xe3, 0xc8]);
  });

  test("a page outside the network shows why it is refused", async () => {
    const page = await browser.newPage();
    const answer = await page.goto("http://example.com/", { waitUntil: "load" });

    expect(answer!.status()).toBe(403);
    expect(await page.title()).toBe("Not a Mariana address");
  });
});
