import { once } from "node:events";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { expect, test } from "vitest";
import type { OverlayStream } from "../../node/overlay-stream.js";
import { StreamCode, StreamError } from "../../node/stream-error.js";
import { liveBytes } from "../support/heap.js";
import { StreamWorld, type WorldLimits } from "../support/stream-world.js";

const slab = Buffer.from(Array.from({ length: 1_024 }, (_, i) => i & 255));
const turn = () => new Promise((resolve) => setImmediate(resolve));
const turns = async (count: number) => {
  for (let i = 0; i < count; i += 1) await turn();
};

async function openPair(limits: Partial<WorldLimits> = {}) {
  const world = new StreamWorld(limits);
  const arrived = new Promise<OverlayStream>((resolve) => {
    world.onStream = resolve;
  });
  const near = world.connect(80);
  const far = await arrived;
  return { world, near, far };
}

/** All that is read until the end; unlike an iterator it leaves the stream's other half alone. */
async function buffer(stream: OverlayStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(stream, "end");
  return Buffer.concat(chunks);
}

function pattern(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31) ^ (i >> 8)));
}

test("the opener hears that its stream was accepted, once", async () => {
  const { near, far } = await openPair();
  let heard = 0;
  near.on("accepted", () => {
    heard += 1;
  });
  expect(near.accepted).toBe(false);
  far.accept();
  far.accept();
  await turns(2);
  expect(heard).toBe(1);
  expect(near.accepted).toBe(true);
});

test("bytes arrive whole and in order in both directions, and both ends are let go", async () => {
  const { world, near, far } = await openPair();
  far.accept();
  const sent = pattern(300_000);
  far.pipe(far); // an echo
  near.end(sent);
  expect((await buffer(near)).equals(sent)).toBe(true);
  await turns(4);
  expect(near.destroyed && far.destroyed).toBe(true);
  expect(world.held).toBe(0);
});

test("what was written before the stream was accepted is not lost", async () => {
  const { near, far } = await openPair();
  near.write("early");
  await turns(3);
  far.accept();
  const [chunk] = await once(far, "data");
  expect(String(chunk)).toBe("early");
});

test("an end that came before the stream had its place in a session is not lost", async () => {
  const { near, far } = await openPair();
  far.accept();
  near.end();
  far.resume();
  await once(far, "end");

  const world = new StreamWorld();
  const early = world.connect(80);
  early.end(); // before anybody knows of the stream
  const heard = new Promise((resolve) => {
    world.onStream = (stream) => {
      stream.accept();
      stream.resume();
      stream.once("end", resolve);
    };
  });
  await heard;
});

test("half-close: one direction ends, the other goes on", async () => {
  const { near, far } = await openPair();
  far.accept();
  near.end("question");
  expect(String(await buffer(far))).toBe("question");
  expect(near.destroyed).toBe(false);
  far.end("answer");
  expect(String(await buffer(near))).toBe("answer");
});

test("a writer is held back by a reader that does not read, and memory stays within send buffer and credit", async () => {
  const limits = { sendBufferBytes: 64 * 1024, creditBytes: 128 * 1024 };
  const { world, near, far } = await openPair(limits);
  far.accept();
  let written = 0;
  const piece = Buffer.alloc(16 * 1024);
  const source = Readable.from(
    (function* () {
      for (let i = 0; i < 400; i += 1) {
        written += piece.length;
        yield piece;
      }
    })(),
  );
  const done = pipeline(source, near);
  await turns(2000);
  const held = world.bufferedBytes + far.readableLength + near.writableLength;
  expect(far.readableLength).toBeLessThanOrEqual(limits.creditBytes);
  expect(held).toBeLessThanOrEqual(limits.creditBytes + limits.sendBufferBytes + 64 * 1024 + piece.length);
  expect(written).toBeLessThan(1024 * 1024);

  let read = 0;
  far.on("data", (chunk: Buffer) => {
    read += chunk.length;
  });
  await done;
  await once(far, "end");
  expect(read).toBe(400 * piece.length);
});

test("a million bytes that come one by one and are not read cost little more than a million bytes", async () => {
  const { world, far } = await openPair({ creditBytes: 1 << 20 });
  world.consume = () => undefined; // what comes here did not come through it
  far.accept();
  const before = liveBytes();
  for (let i = 0; i < 1 << 20; i += 1) far.handleData(slab.subarray(i & 1_023, (i & 1_023) + 1));
  await turns(10);
  expect(liveBytes() - before).toBeLessThan(3 << 20);
  const read = buffer(far);
  far.handleFinished();
  const bytes = await read;
  expect(bytes.length).toBe(1 << 20);
  expect(bytes.every((byte, i) => byte === (i & 255))).toBe(true);
});

test("a reader that waits for so many bytes gets them when they have come, in whatever pieces", async () => {
  const { world, far } = await openPair();
  world.consume = () => undefined;
  far.accept();
  const got: string[] = [];
  far.on("readable", () => {
    for (let chunk = far.read(10) as Buffer | null; chunk !== null; chunk = far.read(10) as Buffer | null) {
      got.push(String(chunk));
    }
  });
  for (const letter of "the quick brown fox jumps over") {
    far.handleData(Buffer.from(letter));
    if (letter === "o") await turns(3);
  }
  await turns(5);
  expect(got).toEqual(["the quick ", "brown fox ", "jumps over"]);
});

test("every byte that was read is given back as credit, however it was read", async () => {
  for (const manner of ["data", "read", "iterate", "resume"] as const) {
    const { world, near, far } = await openPair({ creditBytes: 4096 });
    let consumed = 0;
    const { consume } = world;
    world.consume = function (handle, bytes) {
      if (handle === far.handle) consumed += bytes;
      consume.call(this, handle, bytes);
    };
    far.accept();
    const total = 50_001;
    near.write(Buffer.alloc(total)); // and no end: the stream stays open and idle
    let read = 0;
    const count = (chunk: Buffer): void => {
      read += chunk.length;
    };
    if (manner === "data") far.on("data", count);
    if (manner === "resume") far.resume();
    if (manner === "read") {
      far.on("readable", () => {
        for (let chunk = far.read(); chunk !== null; chunk = far.read()) count(chunk as Buffer);
      });
    }
    if (manner === "iterate") {
      void (async () => {
        for await (const chunk of far) count(chunk as Buffer);
      })();
    }
    await turns(300);
    expect([manner, consumed]).toEqual([manner, total]);
    if (manner !== "resume") expect(read).toBe(total);
  }
});

test("destroying a stream resets it, and the other end learns the code", async () => {
  const { world, near, far } = await openPair();
  far.accept();
  near.destroy(new StreamError(StreamCode.overload));
  near.on("error", () => undefined);
  const [error] = (await once(far, "error")) as [StreamError];
  expect(error).toBeInstanceOf(StreamError);
  expect(error.code).toBe(StreamCode.overload);
  expect(error.fault).toBe("overload");
  await turns(2);
  expect(world.held).toBe(0);
});

test("destroying without a reason means cancelled", async () => {
  const { near, far } = await openPair();
  near.destroy();
  const [error] = (await once(far, "error")) as [StreamError];
  expect(error.fault).toBe("cancelled");
});

test("a refused stream fails with the code of the refusal, and the refuser sees no error", async () => {
  const { near, far } = await openPair();
  far.refuse(StreamCode.targetDown);
  const [error] = (await once(near, "error")) as [StreamError];
  expect(error.code).toBe(StreamCode.targetDown);
});

test("a reset frees a writer that waits for room", async () => {
  const { near, far } = await openPair({ sendBufferBytes: 1024, creditBytes: 1024 });
  far.accept();
  const written = new Promise((resolve) => near.write(Buffer.alloc(1_000_000), resolve));
  near.on("error", () => undefined);
  await turns(5);
  far.destroy();
  expect(await written).toBeInstanceOf(Error);
});

test("a stream that was read and written to its end is not reset", async () => {
  const { world, near, far } = await openPair();
  let resets = 0;
  const { reset } = world;
  world.reset = function (handle, code) {
    resets += 1;
    reset.call(this, handle, code);
  };
  far.accept();
  near.end("a");
  far.end("b");
  await Promise.all([buffer(near), buffer(far)]);
  await turns(4);
  expect(near.destroyed && far.destroyed).toBe(true);
  expect(resets).toBe(0);
});

test("after the peer reads no more, writes are dropped and reading goes on", async () => {
  const { near, far } = await openPair({ sendBufferBytes: 1024, creditBytes: 1024 });
  far.accept();
  near.write(Buffer.alloc(100_000));
  await turns(3);
  near.handleStopped();
  near.end("more");
  far.end("answer");
  far.resume();
  expect(String(await buffer(near))).toBe("answer");
});
