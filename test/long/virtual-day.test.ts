/**
 * A day in the life of a small mesh, in virtual time: requests every few minutes, a neighbour restarted every hour, a
 * cable cut now and then. What is left at the end must be what was there after the first hours.
 */
import { expect, test } from "vitest";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { liveBytes } from "../support/heap.js";
import { lengthOf } from "../support/length.js";
import { StackWorld, type WorldNode } from "../support/stack-world.js";

const MINUTE_US = 60 * SECOND_US;
const HOURS = lengthOf({ short: 3, full: 24 });
/** After so long, everything that is kept for a while has been filled and forgotten once. */
const WARM_HOURS = 2;
const QUESTION_BYTES = 20_000;
/** The compiler goes on making code for a day, about 1.5 MB; a session forgotten per request would be 10 MB. */
const GROWTH_MAX = 3_000_000;

/** Who is restarted, and whom they dial. */
const RESTARTED = [
  ["bob", ["cyd"]],
  ["dan", ["ada"]],
] as const;

const CABLE = { delayUs: 10 * MILLISECOND_US, jitterUs: 5 * MILLISECOND_US, loss: 0.02, duplication: 0.005 };

/** Sends back what it was sent, once it has heard all of it, and forgets it. */
function serve(world: StackWorld, host: WorldNode): void {
  const todo = new Map<number, Uint8Array>();
  host.onEvent = (event) => {
    if (event.kind === "streamOpened") host.stack.acceptStream(world.nowUs, event.stream);
    if (event.kind === "streamFinished") {
      todo.set(event.stream, host.bytesReceived(event.stream));
      host.received.delete(event.stream);
    }
    if (event.kind !== "streamFinished" && event.kind !== "streamWritable") return;
    const rest = todo.get(event.stream);
    if (rest === undefined) return;
    const taken = host.stack.write(world.nowUs, event.stream, rest);
    todo.set(event.stream, rest.subarray(taken));
    if (taken < rest.length) return;
    host.stack.finish(world.nowUs, event.stream);
    todo.delete(event.stream);
  };
}

/** Asks and answers whether the whole echo came within 30 s. */
function request(world: StackWorld, client: WorldNode, host: WorldNode): boolean {
  const question = world.random.bytes(QUESTION_BYTES);
  const stream = client.stack.openStream(world.nowUs, host.nac, 80);
  let sent = 0;
  let isDone = false;
  client.onEvent = (event) => {
    if (!("stream" in event) || event.stream !== stream) return;
    if (event.kind === "streamFinished") isDone = true;
    if (event.kind !== "streamWritable" || sent === question.length) return;
    sent += client.stack.write(world.nowUs, stream, question.subarray(sent));
    if (sent === question.length) client.stack.finish(world.nowUs, stream);
  };
  world.run(30 * SECOND_US, () => isDone);
  client.onEvent = () => undefined;
  const answer = client.bytesReceived(stream);
  client.received.delete(stream);
  return Buffer.compare(answer, question) === 0;
}

/** The world remembers what happened, for stories; a day would be too much. */
function forgetStory(world: StackWorld): void {
  for (const node of world.nodes.values()) {
    node.events.length = 0;
    node.epochs.splice(0, node.epochs.length - 1);
  }
}

interface Held {
  readonly links: number;
  readonly sessions: number;
  readonly contacts: number;
  readonly timers: number;
  readonly streams: number;
}

function held(node: WorldNode): Held {
  const { links, ends, plane } = node.inside;
  return {
    links: links.index.size,
    sessions: ends.index.size,
    contacts: ends.contacts.all.size,
    timers: plane.timed.filter((one) => one !== undefined).length,
    streams: node.stack.status().streams,
  };
}

test(`${HOURS} hours of requests, restarts and cut cables leave nothing behind`, () => {
  const world = new StackWorld({ seed: "day" });
  world.wire("ada", "bob", CABLE).wire("bob", "cyd", CABLE).wire("cyd", "dan", CABLE).wire("dan", "ada", CABLE);
  world.wire("cyd", "eve", CABLE);
  const [ada, eve] = [world.node("ada"), world.node("eve")];
  serve(world, eve);
  let asked = 0;
  let answered = 0;
  let warm: { readonly bytes: number; readonly held: Held } | undefined;

  for (let hour = 0; hour < HOURS; hour += 1) {
    for (let round = 0; round < 12; round += 1) {
      if (round === 4) {
        const [name, dials] = world.random.pick(RESTARTED);
        world.restart(name, dials);
      }
      if (round === 8) world.cut("ada", "bob");
      if (round === 9) world.mend("ada", "bob");
      world.run(5 * MINUTE_US - 30 * SECOND_US - world.random.below(MINUTE_US));
      asked += 1;
      if (request(world, ada, eve)) answered += 1;
      forgetStory(world);
    }
    if (hour === WARM_HOURS - 1) {
      world.run(5 * MINUTE_US); // whatever waits has been given up
      warm = { bytes: liveBytes(), held: held(eve) };
    }
  }
  world.run(5 * MINUTE_US);

  expect(answered).toBe(asked);
  expect(held(eve)).toEqual(warm!.held);
  expect(held(eve)).toMatchObject({ links: 1, sessions: 0, contacts: 0, streams: 0 });
  expect(liveBytes() - warm!.bytes).toBeLessThan(GROWTH_MAX);
});
