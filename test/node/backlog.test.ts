import { expect, test } from "vitest";
import { LINK_DATAGRAM_BYTES } from "../../core/wire/control-frame.js";
import { PacketType } from "../../core/wire/flight.js";
import { Backlog, TURN_READS, WAITING_MAX } from "../../node/backlog.js";

function record(number = 0, length = LINK_DATAGRAM_BYTES): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes[0] = PacketType.record;
  bytes[1] = number;
  return bytes;
}

/** One turn of the loop: so many records were read, then the core is given what its turn is. */
function turn(backlog: Backlog, reads: number, nowUs = 0): number {
  let handled = 0;
  for (let i = 0; i < reads; i += 1) backlog.take(nowUs, 1, record());
  backlog.handleTurn(nowUs, () => {
    handled += 1;
  });
  return handled;
}

test("hellos and handshakes never wait, full-size records wait for the end of the turn and keep their order", () => {
  const backlog = new Backlog();
  const init = record();
  init[0] = PacketType.init;
  expect(backlog.take(0, 1, record(0, 128))).toBe(false);
  expect(backlog.take(0, 1, init)).toBe(false);
  for (let i = 0; i < 20; i += 1) expect(backlog.take(0, i, record(i))).toBe(true);
  const handled: number[][] = [];

  backlog.handleTurn(5, (path, bytes) => void handled.push([path, bytes[1]!]));

  expect(handled).toEqual(Array.from({ length: 20 }, (_, i) => [i, i]));
  expect(backlog.size).toBe(0);
});

test("a burst is dealt with as it comes, and nothing of it is dropped", () => {
  const backlog = new Backlog();
  for (let i = 0; i < 4; i += 1) expect(turn(backlog, TURN_READS)).toBe(TURN_READS);
  expect(turn(backlog, 7)).toBe(7);
  expect(backlog.dropped).toBe(0);
});

test("while every turn leaves something unread fewer and fewer are dealt with, some always, and the wait is bounded", () => {
  const backlog = new Backlog();
  let last = TURN_READS;
  for (let i = 0; i < 500; i += 1) {
    const handled = turn(backlog, TURN_READS);
    expect(handled).toBeLessThanOrEqual(last);
    expect(handled).toBeGreaterThanOrEqual(4);
    expect(backlog.size).toBeLessThanOrEqual(WAITING_MAX);
    last = handled;
  }
  expect(last).toBe(4);
  expect(backlog.dropped).toBeGreaterThan(1000);
});

test("when the flood is over the backlog is worked off within thirty turns", () => {
  const backlog = new Backlog();
  for (let i = 0; i < 500; i += 1) turn(backlog, TURN_READS);
  expect(backlog.size).toBeGreaterThan(WAITING_MAX / 2);

  for (let i = 0; i < 32; i += 1) turn(backlog, 1);

  expect(backlog.size).toBe(0);
  const { dropped } = backlog;
  expect(turn(backlog, TURN_READS)).toBe(TURN_READS);
  expect(backlog.dropped).toBe(dropped);
});

test("the longest wait is told once", () => {
  const backlog = new Backlog();
  backlog.take(100, 1, record());
  backlog.take(400, 1, record());
  backlog.handleTurn(1000, () => undefined);

  expect(backlog.takeLongestUs()).toBe(900);
  expect(backlog.takeLongestUs()).toBe(0);
});
