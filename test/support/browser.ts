/** A real Chromium behind a proxy, and the colour of one pixel of what it shows. */
import { inflateSync } from "node:zlib";
import { type BrowserContext, chromium } from "playwright-core";
import { pathOf } from "./machine.js";

/** Quiet: no update checks, no look-ups of its own, so that all its traffic is the test's. */
const FLAGS = [
  "--no-sandbox", // tests run as root
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-features=MediaRouter,WebRtcHideLocalIpsWithMdns", // both announce themselves by multicast
  "--webrtc-ip-handling-policy=disable_non_proxied_udp", // WebRTC goes beside every proxy otherwise
];

export interface BrowserOptions {
  /** Another program than the Chromium of this machine, for one in a network namespace. */
  readonly program?: string;
  /** As Chromium comes: what is on this machine is asked directly, not through the proxy. */
  readonly isLoopbackDirect?: boolean;
}

/** `profile` is an empty folder. Loopback goes through the proxy too, so that nothing can reach a server directly. */
export function openBrowser(
  profile: string,
  proxy: { host: string; port: number },
  options: BrowserOptions = {},
): Promise<BrowserContext> {
  return chromium.launchPersistentContext(profile, {
    executablePath: options.program ?? pathOf("chromium"),
    headless: true,
    args: FLAGS,
    proxy: {
      server: `http://${proxy.host}:${proxy.port}`,
      ...(options.isLoopbackDirect ? {} : { bypass: "<-loopback>" }),
    },
    viewport: { width: 400, height: 300 },
  });
}

const PNG_SIGNATURE_BYTES = 8;

/** Red, green, blue at (x, y) of a PNG with 8 bits a channel and no interlacing, as browsers make them. */
export function pixelOf(png: Buffer, x: number, y: number): [number, number, number] {
  let width = 0;
  let channels = 0;
  const data: Buffer[] = [];
  for (let at = PNG_SIGNATURE_BYTES; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const type = png.toString("latin1", at + 4, at + 8);
    const body = png.subarray(at + 8, at + 8 + length);
    if (type === "IHDR") {
      width = body.readUInt32BE(0);
      const [depth, colour, , , interlace] = body.subarray(8);
      if (depth !== 8 || interlace !== 0 || (colour !== 2 && colour !== 6)) throw new Error("unexpected kind of PNG");
      channels = colour === 6 ? 4 : 3;
    }
    if (type === "IDAT") data.push(body);
    at += 12 + length;
  }
  const rows = unfilter(inflateSync(Buffer.concat(data)), width * channels, channels, y);
  const at = x * channels;
  return [rows[at]!, rows[at + 1]!, rows[at + 2]!];
}

/** Row `y` after the filters of PNG (section 9): each row may lean on the one above and on the pixel to the left. */
function unfilter(raw: Buffer, rowBytes: number, channels: number, y: number): Buffer {
  let above = Buffer.alloc(rowBytes);
  for (let row = 0; ; row++) {
    const start = row * (rowBytes + 1);
    const filter = raw[start]!;
    const line = Buffer.from(raw.subarray(start + 1, start + 1 + rowBytes));
    for (let at = 0; at < rowBytes; at++) {
      const left = at < channels ? 0 : line[at - channels]!;
      const up = above[at]!;
      const corner = at < channels ? 0 : above[at - channels]!;
      line[at] = (line[at]! + predict(filter, left, up, corner)) & 0xff;
    }
    if (row === y) return line;
    above = line;
  }
}

function predict(filter: number, left: number, up: number, corner: number): number {
  switch (filter) {
    case 0:
      return 0;
    case 1:
      return left;
    case 2:
      return up;
    case 3:
      return (left + up) >> 1;
    default:
      return paeth(left, up, corner);
  }
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const toLeft = Math.abs(guess - left);
  const toUp = Math.abs(guess - up);
  const toCorner = Math.abs(guess - corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}
