import { expect, test } from "vitest";
import type { Identity } from "../../core/crypto/identity.js";
import type { StackEvent } from "../../core/stack/ports.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { Eavesdropper } from "../support/eavesdropper.js";
import { StackWorld, type WorldNode } from "../support/stack-world.js";

const HOUR_US = 3600 * SECOND_US;

/** ada, bob and cyd in a row; cyd has just rotated and dials bob again. */
function rotated(graceUs: number, options: ConstructorParameters<typeof StackWorld>[0] = {}) {
  const world = new StackWorld({ seed: "rotation", ...options }).line("ada", "bob", "cyd");
  expect(world.run(5 * SECOND_US, () => world.node("ada").stack.status().routes === 2)).toBe(true);
  const before = world.node("cyd").epochs.at(-1)!;
  const former = world.rotate("cyd", ["bob"], graceUs);
  world.run(10 * SECOND_US);
  return { world, former, before, ada: world.node("ada"), cyd: world.node("cyd") };
}

function pings(world: StackWorld, from: WorldNode, nac: Uint8Array, nacHash?: Uint8Array): boolean {
  const id = 1000 + from.events.length;
  from.stack.ping(world.nowUs, nac, id, nacHash);
  return world.run(5 * SECOND_US, () => from.events.some((event) => event.kind === "pong" && event.id === id));
}

function has(node: WorldNode, kind: StackEvent["kind"], stream: number): boolean {
  return node.events.some((event) => event.kind === kind && "stream" in event && event.stream === stream);
}

/** Opens a stream to `nac` and waits until cyd took it. */
function open(world: StackWorld, nac: Uint8Array): number {
  const [ada, cyd] = [world.node("ada"), world.node("cyd")];
  cyd.onEvent = (event) => {
    if (event.kind === "streamOpened") cyd.stack.acceptStream(world.nowUs, event.stream);
  };
  const stream = ada.stack.openStream(world.nowUs, nac, 80);
  expect(world.run(5 * SECOND_US, () => has(ada, "streamAccepted", stream))).toBe(true);
  return stream;
}

function hasRoute(node: WorldNode, { nac }: Identity): boolean {
  return node.stack.routes().some((route) => Buffer.compare(route.nac, nac) === 0);
}

function contains(bytes: Uint8Array, part: Uint8Array): boolean {
  return Buffer.from(bytes).includes(Buffer.from(part));
}

test("after a rotation the former NAC answers beside the new one, each with its own keys", () => {
  const { world, former, ada, cyd } = rotated(HOUR_US);

  expect(pings(world, ada, cyd.nac, cyd.identity.nacHash)).toBe(true);
  expect(pings(world, ada, former.nac, former.nacHash)).toBe(true);

  const stream = open(world, former.nac);
  ada.stack.write(world.nowUs, stream, new Uint8Array(5000).fill(7));
  world.run(SECOND_US);
  const received = [...cyd.received.keys()].flatMap((one) => [...cyd.bytesReceived(one)]);
  expect(received).toEqual(new Array(5000).fill(7));
  expect(cyd.stack.status().sessions).toBe(2);
});

test("a node reaches its own former NAC", () => {
  const { world, former, cyd } = rotated(HOUR_US);
  expect(pings(world, cyd, former.nac, former.nacHash)).toBe(true);
});

test("when its time is over the former NAC is withdrawn everywhere, and what called it hears so at once", () => {
  const { world, former, ada, cyd } = rotated(60 * SECOND_US);
  const stream = open(world, former.nac);
  const kept = open(world, cyd.nac);
  world.run(40 * SECOND_US);
  expect(hasRoute(ada, former)).toBe(true);
  expect(cyd.events.some((event) => event.kind === "formerWithdrawn")).toBe(false);

  world.run(10 * SECOND_US);

  expect(cyd.events).toContainEqual({ kind: "formerWithdrawn", nac: former.nac });
  expect(has(ada, "streamReset", stream)).toBe(true);
  expect(has(ada, "streamReset", kept)).toBe(false);
  expect(hasRoute(ada, former)).toBe(false);
  expect(hasRoute(ada, cyd.identity)).toBe(true);
  expect(pings(world, ada, former.nac)).toBe(false);
  expect(pings(world, ada, cyd.nac)).toBe(true);
});

test("a former identity whose time is over at the start is never announced", () => {
  const { world, former, ada, cyd } = rotated(0);

  expect(cyd.events).toContainEqual({ kind: "formerWithdrawn", nac: former.nac });
  expect(cyd.formerEpochs).toEqual([]);
  expect(hasRoute(ada, former)).toBe(false);
  expect(pings(world, ada, former.nac)).toBe(false);
});

test.each(["a", "b", "c", "d", "e", "f", "g", "h"])(
  "the former NAC comes later than the new one, in a newer epoch that is not the other's (start %s)",
  (seed) => {
    const seenAtUs = new Map<Identity, number>();
    const world = new StackWorld({ seed: `epochs-${seed}` }).wire("ada", "cyd");
    world.run(5 * SECOND_US);
    const [ada, cyd] = [world.node("ada"), world.node("cyd")];
    const before = cyd.epochs.at(-1)!;
    ada.stack.shutdown(world.nowUs);
    world.restart("ada", []);
    const startUs = world.nowUs;

    const former = world.rotate("cyd", ["ada"], HOUR_US);
    world.run(12 * SECOND_US, () => {
      for (const one of [former, cyd.identity]) {
        if (!seenAtUs.has(one) && hasRoute(ada, one)) seenAtUs.set(one, world.nowUs);
      }
      return seenAtUs.size === 2;
    });

    expect(seenAtUs.get(former)! - startUs).toBeGreaterThanOrEqual(SECOND_US);
    expect(seenAtUs.get(former)! - startUs).toBeLessThan(9 * SECOND_US);
    const [epoch] = cyd.formerEpochs;
    expect(epoch).toBeGreaterThan(before);
    expect(Math.abs(epoch! - cyd.epochs.at(-1)!)).toBeGreaterThanOrEqual(1);
  },
);

test("a restart within the time gives the former NAC a newer epoch again", () => {
  const { world, former, ada, cyd } = rotated(HOUR_US);
  const used = cyd.formerEpochs.at(-1)!;
  cyd.former = [{ identity: former, storedEpoch: used, untilUs: world.nowUs + HOUR_US }];

  world.restart("cyd", ["bob"]);
  world.run(10 * SECOND_US);

  expect(cyd.formerEpochs.at(-1)).toBeGreaterThan(used);
  expect(pings(world, ada, former.nac)).toBe(true);
});

test("when somebody speaks of the former NAC in a newer epoch, it is outbid and that is persisted", () => {
  const { world, former, ada, cyd } = rotated(HOUR_US);
  const used = cyd.formerEpochs.at(-1)!;
  cyd.former = [{ identity: former, storedEpoch: 0, untilUs: world.nowUs + HOUR_US }];
  const own = cyd.epochs.at(-1)!;
  world.kill("cyd");
  const double = world.wire("dan", "bob").node("dan"); // has the keys too, and a clock that is far ahead
  double.former = [{ identity: former, storedEpoch: used + 1_000_000, untilUs: world.nowUs + HOUR_US }];
  world.restart("dan", ["bob"]);
  world.run(15 * SECOND_US);
  world.kill("dan");

  world.restart("cyd", ["bob"]);
  world.run(15 * SECOND_US);

  expect(cyd.formerEpochs.at(-1)).toBeGreaterThan(used + 1_000_000);
  expect(cyd.epochs.at(-1)).toBeLessThan(own + 1000);
  expect(cyd.stack.status().epoch).toBe(cyd.epochs.at(-1));
  expect(pings(world, ada, former.nac)).toBe(true);
});

test("no message names two of the NACs of a node that has rotated, not when they come nor when one goes", () => {
  const plaintexts: Uint8Array[] = [];
  const ear = new Eavesdropper();
  const { world, former, cyd } = rotated(60 * SECOND_US, {
    onSeal: (node, plaintext, key) => {
      if (node === "cyd") plaintexts.push(ear.unfold(plaintext, key));
    },
  });
  open(world, former.nac);
  pings(world, cyd, world.node("ada").nac); // by its client NAC
  const client = world
    .node("ada")
    .stack.routes()
    .find(({ nac }) =>
      [former, cyd.identity, world.node("bob").identity].every((one) => Buffer.compare(one.nac, nac)),
    )!;
  world.wire("cyd", "zoe"); // a new neighbour hears of all of them, one by one
  world.run(2 * SECOND_US);
  expect(hasRoute(world.node("zoe"), former)).toBe(true);

  world.run(60 * SECOND_US);

  expect(cyd.events.some((event) => event.kind === "formerWithdrawn")).toBe(true);
  const own = [former.nac, cyd.nac, client.nac];
  for (const nac of own) expect(plaintexts.some((bytes) => contains(bytes, nac))).toBe(true);
  const joint = plaintexts.filter((bytes) => own.filter((nac) => contains(bytes, nac)).length > 1);
  expect(joint).toEqual([]);
});

test("a NAC that is taken back in the moment in which another is announced leaves in a message of its own", () => {
  const plaintexts: Uint8Array[] = [];
  const ear = new Eavesdropper();
  const { world, former, cyd } = rotated(30 * SECOND_US, {
    onSeal: (node, plaintext, key) => {
      if (node === "cyd") plaintexts.push(ear.unfold(plaintext, key));
    },
  });
  plaintexts.length = 0;
  const routing = cyd.inside.plane.routing as unknown as { originate(us: number, number: number, epoch: number): void };
  const renew = (beforeUs: number, epoch: number) => {
    world.run(cyd.former[0]!.untilUs - beforeUs - world.nowUs);
    routing.originate(world.nowUs, cyd.inside.ports.dictionary.find(cyd.nac), epoch);
    cyd.stack.handleTimer(world.nowUs);
  };
  const { epoch } = cyd.stack.status();
  renew(20 * MILLISECOND_US, epoch + 1); // leaves at once, so that what follows within 50 ms waits for one batch
  renew(10 * MILLISECOND_US, epoch + 2);
  plaintexts.length = 0;

  world.run(2 * SECOND_US);

  for (const nac of [former.nac, cyd.nac]) expect(plaintexts.some((bytes) => contains(bytes, nac))).toBe(true);
  expect(plaintexts.filter((bytes) => contains(bytes, former.nac) && contains(bytes, cyd.nac))).toEqual([]);
});

test("two former identities are served, a third is refused", () => {
  const world = new StackWorld({ seed: "three" }).line("ada", "bob", "cyd");
  world.run(3 * SECOND_US);
  const cyd = world.node("cyd");
  const former = () => ({ identity: world.newIdentity(), storedEpoch: 0, untilUs: world.nowUs + HOUR_US });
  cyd.former = [former(), former()];
  world.restart("cyd", ["bob"]);
  world.run(10 * SECOND_US);
  for (const { identity } of cyd.former) expect(pings(world, world.node("ada"), identity.nac)).toBe(true);

  cyd.former = [former(), former(), former()];
  expect(() => cyd.boot()).toThrow(RangeError);
});

test("a ping by a long name whose hash is of other keys fails with noKey", () => {
  const { world, ada, cyd } = rotated(HOUR_US);
  const forged = cyd.identity.nacHash.slice();
  forged[31]! ^= 1; // the same NAC, other keys
  ada.stack.ping(world.nowUs, cyd.nac, 1, forged);
  ada.stack.ping(world.nowUs, cyd.nac, 2, cyd.identity.nacHash);

  world.run(5 * SECOND_US);

  expect(ada.events).toContainEqual({ kind: "pingFailed", id: 1, reason: "noKey" });
  expect(ada.events.some((event) => event.kind === "pong" && event.id === 2)).toBe(true);
});
