import { expect, test } from "vitest";
import { Trace, type TraceCode, traceName, traceNothing } from "../../core/trace/trace.js";

/** Recordings hold these numbers. A code may be added at the end of its block; none may change or go. */
const FROZEN: Readonly<Record<string, number>> = {
  linkUp: 100,
  linkDown: 101,
  linkCost: 102,
  linkMoved: 103,
  routeSelected: 200,
  routeLost: 201,
  routeRequested: 202,
  routesSent: 203,
  routesReset: 204,
  entryWritten: 205,
  suspected: 206,
  lifeWritten: 207,
  packetDropped: 300,
  handshakeStarted: 400,
  handshakeDone: 401,
  handshakeFailed: 402,
  sessionClosed: 403,
  cellRepaired: 500,
  feedbackSent: 501,
  streamOpened: 600,
  streamReset: 601,
  streamClosed: 602,
};

test("the codes of recordings made so far still mean what they meant", () => {
  expect(Trace).toMatchObject(FROZEN);
});

test("no two events share a code, and within a block codes count up", () => {
  const codes = Object.values(Trace);
  expect(new Set(codes).size).toBe(codes.length);
  expect([...codes].sort((a, b) => a - b)).toEqual(codes);
});

test("every code has its name back, and an unknown one has none", () => {
  for (const [name, code] of Object.entries(Trace)) expect(traceName(code)).toBe(name);
  expect(traceName(0)).toBeUndefined();
  expect(traceName(999)).toBeUndefined();
});

test("the sink that records nothing takes every event", () => {
  const codes: readonly TraceCode[] = Object.values(Trace);
  for (const code of codes) expect(traceNothing(code, 1, 2, 3)).toBeUndefined();
});
