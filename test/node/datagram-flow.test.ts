import { afterEach, expect, test } from "vitest";
import type { DatagramFlow } from "../../node/datagram-flow.js";
import { type DriverNode, startLine } from "../support/driver-net.js";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function line(): { first: DriverNode; last: DriverNode } {
  const { nodes, close } = startLine(2);
  cleanups.push(close);
  return { first: nodes[0]!, last: nodes[1]! };
}

async function until(condition: () => boolean, withinMs = 10_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`never came true: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test("a datagram reaches whoever takes flows at the other end, and its answer comes back", async () => {
  const { first, last } = line();
  last.driver.onDatagramFlow = (flow, port) => {
    expect(port).toBe(53);
    flow.onDatagram = (bytes) => void flow.send(Buffer.concat([Buffer.from("re: "), bytes]));
  };
  const came: string[] = [];
  const flow = first.driver.openFlow(last.nac, 53);
  flow.onDatagram = (bytes) => void came.push(bytes.toString());
  expect(flow.send(Buffer.from("who is there?"))).toBe(true);
  await until(() => came.length > 0);
  expect(came).toEqual(["re: who is there?"]);
  expect(flow.send(Buffer.alloc(1_005))).toBe(false);
  flow.close();
  expect(flow.isClosed).toBe(true);
  expect(flow.send(Buffer.from("anybody?"))).toBe(false);
});

test("where nobody takes flows datagrams vanish, and a driver that closes closes its flows", async () => {
  const { first, last } = line();
  const flows: DatagramFlow[] = [first.driver.openFlow(last.nac, 7), first.driver.openFlow(last.nac, 8)];
  let isClosed = false;
  flows[0]!.onClose = () => {
    isClosed = true;
  };
  flows[0]!.onDatagram = () => expect.unreachable();
  flows[0]!.send(Buffer.from("hello?"));
  await until(() => last.driver.stack.status().sessions === 1);
  await first.driver.close();
  expect(isClosed).toBe(true);
  expect(flows.every((flow) => flow.isClosed)).toBe(true);
  expect(first.driver.openFlow(last.nac, 9).isClosed).toBe(true);
});
