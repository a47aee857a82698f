import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { parseNac } from "../../core/address/nac.js";
import { identityFromSeeds, networkIdOf } from "../../core/crypto/identity.js";
import { KEM_SEED_BYTES, SIGNATURE_SEED_BYTES } from "../../core/crypto/suite.js";
import { LINK_DATAGRAM_BYTES } from "../../core/wire/control-frame.js";
import { PacketType } from "../../core/wire/flight.js";
import { encodeNetworkHeader, NAC_OFFSET } from "../../core/wire/network-header.js";
import { RECORD_HEADER_BYTES } from "../../core/wire/record.js";
import { systemClock } from "../../node/clock.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import { type DaemonProcess, pinnedEndpoint, startDaemon } from "../../node/demo/daemon-process.js";
import { Driver } from "../../node/driver.js";
import { systemEntropy } from "../../node/entropy.js";
import { createLog } from "../../node/log.js";
import { UdpPort } from "../../node/udp.js";
import { eventually, removeFolder, stopAll, temporaryFolder } from "../support/daemons.js";
import type { StackInside } from "../support/stack-world.js";

const NETWORK = "overload";
const FLOOD_MS = 15_000;
const FLOOD_BYTES_PER_SECOND = 24_000_000;
/** What must really have been sent, in spite of a busy machine. */
const LEAST_BYTES_PER_SECOND = 20_000_000;
const BURST = 32;

/** relay -- host, and another link of the relay that nothing floods. */
let base: string;
let relay: DaemonProcess;
let others: DaemonProcess[];
const cleanups: (() => Promise<void> | void)[] = [];

beforeAll(async () => {
  base = temporaryFolder();
  const common = { base, network: NETWORK, http: "off", hosts: [] };
  relay = (await startDaemon({ ...common, name: "relay", peers: [] })).daemon;
  const peers = [await pinnedEndpoint(relay)];
  const names = ["host", "friend"];
  others = (await Promise.all(names.map((name) => startDaemon({ ...common, name, peers })))).map(
    ({ daemon }) => daemon,
  );
  await eventually("the host knows the friend", async () => (await others[0]!.routes()).length === 2);
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

afterAll(async () => {
  await stopAll([...(others ?? []), ...(relay === undefined ? [] : [relay])]);
  removeFolder(base);
});

/** Sends with `send` at the rate of the flood. Answers bytes per second. */
async function flood(send: () => void): Promise<number> {
  const startedAt = performance.now();
  let bytes = 0;
  for (;;) {
    const elapsedMs = performance.now() - startedAt;
    if (elapsedMs >= FLOOD_MS) return (bytes * 1000) / elapsedMs;
    for (let i = 0; i < BURST && bytes < (FLOOD_BYTES_PER_SECOND * elapsedMs) / 1000; i += 1) {
      send();
      bytes += LINK_DATAGRAM_BYTES;
    }
    await nextTurn();
  }
}

function linesOf(daemon: DaemonProcess, event: string): string[] {
  return readFileSync(daemon.logFile, "utf8")
    .split("\n")
    .filter((line) => line.includes(`"${event}"`));
}

/** Who lost a link, and why. */
function downs(): string[] {
  return [relay, ...others].flatMap((daemon) => linesOf(daemon, "link.down").map((line) => `${daemon.name}: ${line}`));
}

test("a flood of datagrams that nobody can read takes no link down", async () => {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  cleanups.push(() => void socket.close());
  const port = Number((await relay.status()).udp[0]!.split(":")[1]);
  const junk = randomBytes(LINK_DATAGRAM_BYTES);
  junk[0] = PacketType.record;

  const rate = await flood(() => socket.send(junk, port, "127.0.0.1"));

  expect(downs()).toEqual([]);
  expect(rate).toBeGreaterThan(LEAST_BYTES_PER_SECOND / 2); // the machine may have more to do than this test
});

test("a flood of packets that one neighbour wants carried to another takes no link down", async () => {
  const suite = createNativeSuite();
  const log = createLog({ level: "info", unsafe: false, write: () => undefined });
  const udp = await UdpPort.open([{ host: "127.0.0.1", port: 0 }], log);
  const networkId = networkIdOf(suite, NETWORK);
  const service = identityFromSeeds(suite, networkId, randomBytes(KEM_SEED_BYTES), randomBytes(SIGNATURE_SEED_BYTES));
  const driver = new Driver({
    stackConfig: {
      networkName: NETWORK,
      service,
      linkKeys: suite.kemKeys(systemEntropy(KEM_SEED_BYTES)),
      storedEpoch: 0,
      wallClockSeconds: systemClock.wallSeconds(),
    },
    suite,
    udp,
    entropy: systemEntropy,
    clock: systemClock,
    log,
    persistEpoch: () => undefined,
  });
  cleanups.push(async () => {
    await driver.close();
    await udp.close();
  });
  driver.start();
  const [address, port] = (await relay.status()).udp[0]!.split(":");
  driver.addPeer(address!, Number(port), undefined);
  await eventually("the flooder knows the host", () => driver.stack.routes().length === 3);
  const inside = driver.stack as unknown as StackInside;
  const { link } = driver.stack.peers(systemClock.nowUs())[0]!;
  const nac = parseNac((await others[0]!.id()).nac)!;
  const packet = new Uint8Array(LINK_DATAGRAM_BYTES);

  const rate = await flood(() => {
    encodeNetworkHeader(packet, RECORD_HEADER_BYTES, 32, 0);
    packet.set(nac, RECORD_HEADER_BYTES + NAC_OFFSET);
    inside.links.forward(link, packet, 0);
  });

  const [told] = (await others[1]!.peers()).filter(({ incoming }) => !incoming);
  const { drops } = await relay.status();
  expect(downs()).toEqual([]);
  expect(driver.stack.status().neighbours).toBe(1);
  // On a slow machine the flooder does not get so far, but then the relay cannot carry what comes either.
  expect(rate > LEAST_BYTES_PER_SECOND || drops.overload! > 1000).toBe(true);
  expect(told!.busyShare).toBeGreaterThan(0.3);
});
