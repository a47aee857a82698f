import { describe, expect, test } from "vitest";
import { ControlStream, STALL_US, UNPROCESSED_MAX, WAITING_MAX } from "../../core/routing/control-stream.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../../core/time/instant.js";
import { ControlFrame } from "../../core/wire/control-frame.js";
import { Reader, Writer } from "../../core/wire/cursor.js";
import { decodeRouteHead } from "../../core/wire/route-head.js";
import { decodeRouteStatus, type RouteStatus } from "../../core/wire/route-status.js";
import { randomFrom } from "../support/random.js";

const body = (number: number) => Uint8Array.of(number >>> 8, number);
const numberOf = (bytes: Uint8Array) => bytes[0]! * 256 + bytes[1]!;

function written(stream: ControlStream, nowUs: number): Reader {
  const out = new Writer(new Uint8Array(1_000));
  stream.write(nowUs, out);
  return new Reader(out.bytes, 0, out.offset);
}

function statusOf(stream: ControlStream, nowUs: number): RouteStatus | undefined {
  const reader = written(stream, nowUs);
  return reader.u8() === ControlFrame.routeStatus ? decodeRouteStatus(reader) : undefined;
}

describe("the receiver", () => {
  test("processes messages in the order of their numbers, whatever order they come in", () => {
    const stream = new ControlStream();
    const processed: number[] = [];
    for (const number of [2, 1, 1, 5, 3, 4, 2]) {
      if (stream.receive(0, number, body(number)) !== "next") continue;
      processed.push(number);
      for (let next = stream.next(0); next !== undefined; next = stream.next(0)) processed.push(numberOf(next));
    }
    expect(processed).toEqual([1, 2, 3, 4, 5]);
    expect(stream.processed).toBe(5);
  });

  test("lists what is missing after a grace, and again until it is there", () => {
    const stream = new ControlStream();
    stream.receive(0, 1, body(1));
    stream.receive(0, 4, body(4));
    expect(stream.isDue(0)).toBe(false);
    const dueUs = stream.nextTimeoutUs;
    expect(dueUs).toBeLessThanOrEqual(20 * MILLISECOND_US);
    expect(statusOf(stream, dueUs)).toEqual({ processed: 1, missing: [{ start: 2, length: 2 }] });
    const againUs = stream.nextTimeoutUs;
    expect(againUs).toBeGreaterThan(dueUs);
    expect(againUs).toBeLessThan(SECOND_US);
    expect(statusOf(stream, againUs)?.missing).toHaveLength(1);

    stream.receive(againUs, 3, body(3));
    stream.receive(againUs, 2, body(2));
    while (stream.next(againUs) !== undefined);
    expect(stream.nextTimeoutUs).toBe(NEVER);
  });

  test("learns from a head that the end of a burst is missing", () => {
    const stream = new ControlStream();
    stream.receive(0, 1, body(1));
    stream.handleHead(0, 3, true);
    expect(statusOf(stream, 0)).toEqual({ processed: 1, missing: [{ start: 2, length: 2 }] });
  });

  test("does not answer a head when it has everything: a hello tells it", () => {
    const stream = new ControlStream();
    stream.receive(0, 1, body(1));
    stream.handleHead(0, 1, true);
    expect(stream.nextTimeoutUs).toBe(NEVER);
  });

  test("says how far it is after 32 messages, and after 32 more", () => {
    const stream = new ControlStream();
    const saidAt: number[] = [];
    for (let number = 1; number <= 100; number += 1) {
      stream.receive(number, number, body(number));
      const status = stream.isDue(number) ? statusOf(stream, number) : undefined;
      if (status !== undefined) saidAt.push(status.processed);
    }
    expect(saidAt).toEqual([32, 64, 96]);
  });

  test("drops what is too far ahead, and gets it in the end", () => {
    const stream = new ControlStream();
    expect(stream.receive(0, WAITING_MAX, body(WAITING_MAX))).toBe("kept");
    expect(stream.receive(0, WAITING_MAX + 1, body(WAITING_MAX + 1))).toBe("beyond");
    for (let number = 1; number < WAITING_MAX; number += 1) {
      if (stream.receive(0, number, body(number)) === "next") while (stream.next(0) !== undefined);
    }
    expect(stream.processed).toBe(WAITING_MAX);
    expect(statusOf(stream, SECOND_US)?.missing).toEqual([{ start: WAITING_MAX + 1, length: 1 }]);
  });
});

describe("the sender", () => {
  test("sends again, byte for byte, what a status lists, and forgets what was processed", () => {
    const stream = new ControlStream();
    for (let number = 1; number <= 4; number += 1) stream.keep(0, body(number));
    expect(stream.handleStatus(SECOND_US, { processed: 1, missing: [{ start: 3, length: 1 }] })).toBe(true);
    const reader = written(stream, 50 * MILLISECOND_US);
    expect([...reader.raw(reader.remaining)]).toEqual([...body(3)]);
    expect(stream.repaired).toBe(1);
    expect(stream.acknowledged).toBe(1);
  });

  test("does not send again what may still be on its way", () => {
    const stream = new ControlStream();
    stream.rttUs = 80 * MILLISECOND_US;
    stream.keep(0, body(1));
    stream.handleStatus(40 * MILLISECOND_US, { processed: 0, missing: [{ start: 1, length: 1 }] });
    expect(written(stream, 40 * MILLISECOND_US).remaining).toBe(0);
  });

  test("names its last message soon after it, and again when no hello says how far the neighbour is", () => {
    const stream = new ControlStream();
    stream.keep(0, body(1));
    const times: number[] = [];
    for (let i = 0; i < 5; i += 1) {
      const dueUs = stream.nextTimeoutUs;
      times.push(dueUs / MILLISECOND_US);
      const reader = written(stream, dueUs);
      expect(reader.u8()).toBe(ControlFrame.routeHead);
      expect(decodeRouteHead(reader)).toBe(1);
    }
    expect(times).toEqual([100, 2600, 5100, 7600, 10_100]);
    stream.acknowledge(11 * SECOND_US, 1);
    expect(stream.nextTimeoutUs).toBe(NEVER);
  });

  test("names no message that is not news: the next hello does", () => {
    const stream = new ControlStream();
    stream.keep(0, body(1), 0, body(1).length, false);
    expect(stream.nextTimeoutUs).toBe(NEVER);
    stream.keep(0, body(2));
    stream.keep(0, body(3), 0, body(3).length, false);
    expect(stream.nextTimeoutUs).toBe(100 * MILLISECOND_US);
    stream.acknowledge(50 * MILLISECOND_US, 1);
    expect(stream.nextTimeoutUs).toBe(150 * MILLISECOND_US);
    stream.acknowledge(60 * MILLISECOND_US, 2); // the news is there, what is behind it can wait
    expect(stream.nextTimeoutUs).toBe(NEVER);
    expect(stream.acknowledged).toBe(2);
  });

  test("is full at its bound until something is processed, and stalled after ten seconds without", () => {
    const stream = new ControlStream();
    for (let number = 1; number <= UNPROCESSED_MAX; number += 1) stream.keep(0, body(number));
    expect(stream.isFull).toBe(true);
    expect(stream.isStalled(STALL_US)).toBe(false);
    expect(stream.isStalled(STALL_US + 1)).toBe(true);
    stream.acknowledge(STALL_US + 1, 1);
    expect(stream.isFull).toBe(false);
    expect(stream.isStalled(STALL_US + 1)).toBe(false);
  });

  test("refuses a status that processed what was never sent", () => {
    const stream = new ControlStream();
    stream.keep(0, body(1));
    expect(stream.handleStatus(0, { processed: 2, missing: [] })).toBe(false);
    expect(stream.acknowledged).toBe(0);
  });
});

test("everything arrives, once and in order, through loss, reordering and repetition", () => {
  for (const seed of ["a", "b", "c", "d"]) {
    const random = randomFrom(`stream/${seed}`);
    const sender = new ControlStream();
    const receiver = new ControlStream();
    const processed: number[] = [];
    const flying: { atUs: number; act: (nowUs: number) => void }[] = [];
    const fly = (nowUs: number, act: (nowUs: number) => void) => {
      for (let copy = random.chance(0.1) ? 2 : 1; copy > 0; copy -= 1) {
        if (!random.chance(0.2)) flying.push({ atUs: nowUs + random.between(5, 40) * MILLISECOND_US, act });
      }
    };
    const take = (nowUs: number, message: Uint8Array) => {
      const number = numberOf(message);
      if (receiver.receive(nowUs, number, message) !== "next") return;
      processed.push(number);
      for (let next = receiver.next(nowUs); next !== undefined; next = receiver.next(nowUs))
        processed.push(numberOf(next));
    };
    for (let nowUs = 0; nowUs < 60 * SECOND_US; nowUs += 5 * MILLISECOND_US) {
      if (sender.sent < 1_000 && !sender.isFull && random.chance(0.7)) {
        const message = body(sender.sent + 1);
        sender.keep(nowUs, message);
        fly(nowUs, (atUs) => take(atUs, message));
      }
      if (nowUs % (2 * SECOND_US) === 0) {
        const { sent } = sender;
        const { processed: done } = receiver;
        fly(nowUs, (atUs) => receiver.handleHead(atUs, sent, false));
        fly(nowUs, (atUs) => sender.acknowledge(atUs, done));
      }
      const repairs = written(sender, nowUs);
      while (repairs.remaining >= 2) {
        if (repairs.bytes[repairs.offset] === ControlFrame.routeHead && repairs.remaining % 2 === 1) {
          repairs.u8();
          const sent = decodeRouteHead(repairs)!;
          fly(nowUs, (atUs) => receiver.handleHead(atUs, sent, true));
        } else {
          const message = repairs.raw(2).slice();
          fly(nowUs, (atUs) => take(atUs, message));
        }
      }
      const status = receiver.isDue(nowUs) ? statusOf(receiver, nowUs) : undefined;
      if (status !== undefined) fly(nowUs, (atUs) => expect(sender.handleStatus(atUs, status)).toBe(true));
      for (const { act } of flying.filter(({ atUs }) => atUs <= nowUs)) act(nowUs);
      flying.splice(0, flying.length, ...flying.filter(({ atUs }) => atUs > nowUs));
    }
    expect(processed).toEqual(Array.from({ length: 1_000 }, (_, i) => i + 1));
    expect(sender.acknowledged).toBe(1_000);
  }
});
