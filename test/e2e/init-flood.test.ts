/** A real daemon under floods of first flights over loopback UDP, and a neighbour who wants a link meanwhile. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { networkIdOf } from "../../core/crypto/identity.js";
import { drawIndex, type SessionContext } from "../../core/session/context.js";
import { Initiator } from "../../core/session/initiator.js";
import { buildKeyRequest, verifyKeyResponse } from "../../core/session/key-fetch.js";
import { LINK_DATAGRAM_BYTES } from "../../core/wire/control-frame.js";
import { COOKIE_PACKET_BYTES } from "../../core/wire/cookie.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import { DaemonProcess, pinnedEndpoint, startDaemon } from "../../node/demo/daemon-process.js";
import { systemEntropy } from "../../node/entropy.js";
import { eventually, NETWORK, removeFolder, stopAll, temporaryFolder } from "../support/daemons.js";

const JUNK_MIN = 3_000;
const GOOD = 600;
const SOCKETS = 40;
/** Datagrams sent before the other process gets a turn: more at once would only fill its socket buffer. */
const BURST = 50;
/** Between bursts: about ten thousand junk INITs a second, and two thousand good ones. */
const JUNK_PAUSE_MS = 5;
const GOOD_PAUSE_MS = 25;
/** The flood takes all of one core; alone it is a few milliseconds. */
const LINK_MS_MAX = 5_000;

/** Many addresses of one attacker. What comes back is only counted. */
class Strangers {
  readonly sizes = new Map<number, number>();
  sent = 0;
  received = 0;
  private readonly port: number;
  private readonly sockets: readonly Socket[];

  private constructor(port: number, sockets: readonly Socket[]) {
    this.port = port;
    this.sockets = sockets;
    for (const socket of sockets) {
      socket.on("message", ({ length }) => {
        this.received += length;
        this.sizes.set(length, (this.sizes.get(length) ?? 0) + 1);
      });
    }
  }

  static async at(port: number): Promise<Strangers> {
    const sockets = Array.from({ length: SOCKETS }, () => createSocket("udp4").bind(0, "127.0.0.1"));
    await Promise.all(sockets.map((socket) => once(socket, "listening")));
    return new Strangers(port, sockets);
  }

  /** Floods until `isOver`. Answers how many datagrams there were. */
  async flood(pauseMs: number, make: (number: number) => Uint8Array, isOver: () => boolean): Promise<number> {
    let count = 0;
    for (; !isOver(); count += 1) {
      const bytes = make(count);
      this.sent += bytes.length;
      this.sockets[count % SOCKETS]!.send(bytes, this.port, "127.0.0.1");
      if (count % BURST === BURST - 1) await sleep(pauseMs);
    }
    return count;
  }

  /** The answer to one question. */
  async ask(question: Uint8Array): Promise<Uint8Array> {
    const socket = this.sockets[0]!;
    this.sent += question.length;
    const answer = once(socket, "message");
    socket.send(question, this.port, "127.0.0.1");
    const [bytes] = (await answer) as [Buffer];
    return Uint8Array.from(bytes);
  }

  close(): void {
    for (const socket of this.sockets) socket.close();
  }
}

const suite = createNativeSuite();
const networkId = networkIdOf(suite, NETWORK);
const context: SessionContext = { suite, entropy: systemEntropy, networkId };
const plan = { network: NETWORK, http: "off", hosts: [] };

let base: string;
let target: DaemonProcess;
let strangers: Strangers;
let linkKey: Uint8Array;
const neighbours: DaemonProcess[] = [];

beforeAll(async () => {
  base = temporaryFolder();
  const { daemon, status } = await startDaemon({ ...plan, name: "target", base, peers: [] });
  target = daemon;
  strangers = await Strangers.at(Number(status.udp[0]!.split(":").at(-1)));
  const answer = await strangers.ask(buildKeyRequest(networkId, undefined, systemEntropy(8)));
  const key = verifyKeyResponse(suite, networkId, answer, 0, answer.length);
  if (typeof key === "string") throw new Error(`the daemon's key was refused: ${key}`);
  linkKey = key.material.publicKey;
});

afterAll(async () => {
  strangers?.close();
  await stopAll([...neighbours, target].filter((daemon) => daemon !== undefined));
  removeFolder(base);
});

function goodInit(): Uint8Array {
  const localIndex = drawIndex(systemEntropy);
  const params = { creditKiB: 0, streamsMax: 0, flags: 0 };
  const config = { peerPublicKey: linkKey, params, flightBytes: LINK_DATAGRAM_BYTES, localIndex };
  return new Initiator(context, config).start(0)!;
}

/**
 * Under a flood a new neighbour starts and dials the target. Answers how long its link took, from when it was ready, and
 * how many datagrams the flood had.
 */
async function linkUnder(
  name: string,
  pauseMs: number,
  make: (number: number) => Uint8Array,
): Promise<{ ms: number; count: number }> {
  let isOver = false;
  const up = linkUpMs(name).finally(() => {
    isOver = true;
  });
  const [ms, count] = await Promise.all([up, strangers.flood(pauseMs, make, () => isOver)]);
  return { ms, count };
}

async function linkUpMs(name: string): Promise<number> {
  const peer = await pinnedEndpoint(target);
  const daemon = new DaemonProcess({ ...plan, name, base, peers: [peer] });
  neighbours.push(daemon);
  await eventually(`${name} listens`, () =>
    daemon.status().then(
      ({ udp }) => udp.length > 0,
      () => false,
    ),
  );
  const startedAt = performance.now();
  await eventually(`${name} has its link`, async () => (await daemon.peers()).length === 1);
  return performance.now() - startedAt;
}

test("thousands of junk INITs are refused by their mac1 without an answer, and a link comes up meanwhile", async () => {
  const init = goodInit();
  const before = strangers.received;
  const { ms, count } = await linkUnder("ada", JUNK_PAUSE_MS, (i) => {
    const junk = init.slice();
    junk[8 + (i % 1150)]! ^= 1 + (i % 255);
    return junk;
  });

  expect(ms).toBeLessThan(LINK_MS_MAX);
  expect(count).toBeGreaterThan(JUNK_MIN);
  await eventually("most of the junk was read", async () => (await target.status()).handshakes.mac! > count / 2);
  expect(strangers.received).toBe(before);
  expect((await target.status()).handshakes.done).toBe(1);
});

test("hundreds of good INITs that nobody finishes are met by cookies, and a link still comes up at once", async () => {
  const inits = Array.from({ length: GOOD }, goodInit);
  const sentBefore = strangers.sent;
  const receivedBefore = strangers.received;
  const { ms, count } = await linkUnder("bob", GOOD_PAUSE_MS, (i) => inits[i % GOOD]!);
  await sleep(300); // what is on its way back

  expect(ms).toBeLessThan(LINK_MS_MAX);
  expect(count).toBeGreaterThan(GOOD);
  expect(strangers.received - receivedBefore).toBeLessThan((strangers.sent - sentBefore) / 2);
  expect(strangers.sizes.get(COOKIE_PACKET_BYTES)).toBeGreaterThan(GOOD / 4);
  const status = await target.status();
  expect(status.handshakes).toMatchObject({ done: 2 });
  expect(status.handshakes.cookie).toBeGreaterThan(GOOD / 4);
  await eventually("the target has both links", async () => (await target.status()).neighbours === 2);
});
