import { expect, test } from "vitest";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { StackWorld } from "../support/stack-world.js";

test("bytes go from one NAC to another over three relays and come back", () => {
  const world = new StackWorld().line("ada", "bob", "cyd", "dan", "eve");
  const ada = world.node("ada");
  const eve = world.node("eve");
  expect(world.run(5 * SECOND_US, () => ada.stack.status().routes === 4)).toBe(true);
  eve.onEvent = (event) => {
    if (event.kind === "streamOpened") eve.stack.acceptStream(world.nowUs, event.stream);
    if (event.kind === "streamFinished") {
      eve.stack.write(world.nowUs, event.stream, eve.bytesReceived(event.stream));
      eve.stack.finish(world.nowUs, event.stream);
    }
  };
  const stream = ada.stack.openStream(world.nowUs, eve.nac, 80);
  const question = world.random.bytes(100_000);
  let sent = 0;
  ada.onEvent = (event) => {
    if (event.kind !== "streamWritable") return;
    sent += ada.stack.write(world.nowUs, stream, question.subarray(sent));
    if (sent === question.length) ada.stack.finish(world.nowUs, stream);
  };
  const done = () => ada.events.some((event) => event.kind === "streamFinished");
  expect(world.run(20 * SECOND_US, done)).toBe(true);
  expect(ada.bytesReceived(stream)).toEqual(question);
  world.run(100 * MILLISECOND_US);
  expect(ada.stack.status().streams).toBe(0);
  expect(eve.stack.status().streams).toBe(0);
});
