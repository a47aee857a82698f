import { expect, test } from "vitest";
import { SECOND_US } from "../../core/time/instant.js";
import { LINK_DATAGRAM_BYTES } from "../../core/wire/control-frame.js";
import { PacketType } from "../../core/wire/flight.js";
import { RECORD_INDEX_OFFSET } from "../../core/wire/record.js";
import { Backlog, STRANGERS_BURST, STRANGERS_PER_SECOND, TURN_READS, WAITING_MAX } from "../../node/backlog.js";

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
  const backlog = new Backlog(() => true);
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
  const backlog = new Backlog(() => true);
  for (let i = 0; i < 4; i += 1) expect(turn(backlog, TURN_READS)).toBe(TURN_READS);
  expect(turn(backlog, 7)).toBe(7);
  expect(backlog.dropped).toBe(0);
});

test("while every turn leaves something unread fewer and fewer are dealt with, some always, and the wait is bounded", () => {
  const backlog = new Backlog(() => true);
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
  const backlog = new Backlog(() => true);
  for (let i = 0; i < 500; i += 1) turn(backlog, TURN_READS);
  expect(backlog.size).toBeGreaterThan(WAITING_MAX / 2);

  for (let i = 0; i < 32; i += 1) turn(backlog, 1);

  expect(backlog.size).toBe(0);
  const { dropped } = backlog;
  expect(turn(backlog, TURN_READS)).toBe(TURN_READS);
  expect(backlog.dropped).toBe(dropped);
});

test("the longest wait is told once", () => {
  const backlog = new Backlog(() => true);
  backlog.take(100, 1, record());
  backlog.take(400, 1, record());
  backlog.handleTurn(1000, () => undefined);

  expect(backlog.takeLongestUs()).toBe(900);
  expect(backlog.takeLongestUs()).toBe(0);
});

test("of records of unknown sessions, whatever their size, only as many go on as the core can keep; neighbours lose nothing", () => {
  const backlog = new Backlog((index) => index === 7);
  const known = record();
  known[RECORD_INDEX_OFFSET + 3] = 7;
  let passed = 0;
  for (let ms = 0; ms < 4000; ms += 1) {
    const nowUs = (ms * SECOND_US) / 1000;
    const full = new Set([record(1), record(2)]);
    for (const junk of full) backlog.take(nowUs, 1, junk);
    for (const length of [1199, 128, 40, 3]) if (!backlog.take(nowUs, 1, record(1, length))) passed += 1;
    expect(backlog.take(nowUs, 2, known)).toBe(true);
    let mine = 0;
    backlog.handleTurn(nowUs, (_path, bytes) => {
      if (bytes === known) mine += 1;
      else passed += 1;
    });
    expect(mine).toBe(1);
  }

  expect(passed).toBeGreaterThan(3.9 * STRANGERS_PER_SECOND);
  expect(passed).toBeLessThanOrEqual(4 * STRANGERS_PER_SECOND + STRANGERS_BURST);
  expect(backlog.dropped).toBe(4000 * 6 - passed);
});
