/**
 * Two ends joined in memory, for OverlayStreams without a network: what one writes the other gets, in order, in pieces of
 * a cell's body, within a send buffer and a credit like the protocol's. Deliveries come from the event loop, never from
 * within a command, as the driver does it.
 */
import { OverlayStream, type StreamCommands } from "../../node/overlay-stream.js";
import { StreamCode } from "../../node/stream-error.js";

interface End {
  readonly handle: number;
  readonly stream: OverlayStream;
  peer: End;
  /** Before it has its place in a session an end takes neither bytes nor an end, as in the stack. */
  placed: boolean;
  queue: Buffer[];
  queuedBytes: number;
  /** What the peer still allows us to send. */
  creditBytes: number;
  finishing: boolean;
  finished: boolean;
  wantsRoom: boolean;
  released: boolean;
}

export interface WorldLimits {
  readonly sendBufferBytes: number;
  readonly creditBytes: number;
  readonly pieceBytes: number;
}

const LIMITS: WorldLimits = { sendBufferBytes: 512 * 1024, creditBytes: 1024 * 1024, pieceBytes: 1002 };

export class StreamWorld implements StreamCommands {
  /** The far side's application. */
  onStream: (stream: OverlayStream, port: number) => void = (stream) => stream.refuse(StreamCode.refused);
  /** Streams opened so far. */
  opened = 0;
  private readonly limits: WorldLimits;
  private readonly ends = new Map<number, End>();
  private handles = 0;

  constructor(limits: Partial<WorldLimits> = {}) {
    this.limits = { ...LIMITS, ...limits };
  }

  /** Ends that somebody still holds: two for each open stream. */
  get held(): number {
    return this.ends.size;
  }

  /** Bytes that are in the world's buffers, and not in the applications'. */
  get bufferedBytes(): number {
    let sum = 0;
    for (const end of this.ends.values()) sum += end.queuedBytes;
    return sum;
  }

  connect(port: number): OverlayStream {
    const near = this.createEnd("outgoing");
    const far = this.createEnd("incoming");
    near.peer = far;
    far.peer = near;
    this.opened += 1;
    setImmediate(() => {
      near.placed = true;
      near.stream.handleWritable();
      this.onStream(far.stream, port);
    });
    return near.stream;
  }

  /** As when the session of all streams dies. */
  loseAll(): void {
    for (const end of [...this.ends.values()]) end.stream.handleReset(StreamCode.sessionLost);
  }

  accept(handle: number): void {
    const peer = this.ends.get(handle)?.peer;
    setImmediate(() => peer?.stream.handleAccepted());
  }

  write(handle: number, bytes: Uint8Array): number {
    const end = this.ends.get(handle);
    if (end === undefined || !end.placed) return 0;
    const count = Math.min(bytes.length, this.limits.sendBufferBytes - end.queuedBytes);
    if (count < bytes.length) end.wantsRoom = true;
    if (count > 0) {
      end.queue.push(Buffer.from(bytes.subarray(0, count)));
      end.queuedBytes += count;
      setImmediate(() => this.pump(end));
    }
    return count;
  }

  finish(handle: number): void {
    const end = this.ends.get(handle);
    if (end === undefined || !end.placed) return;
    end.finishing = true;
    setImmediate(() => this.pump(end));
  }

  reset(handle: number, code: number): void {
    const end = this.ends.get(handle);
    if (end === undefined) return;
    end.queue = [];
    end.queuedBytes = 0;
    setImmediate(() => end.peer.stream.handleReset(code));
  }

  consume(handle: number, bytes: number): void {
    const sender = this.ends.get(handle)?.peer;
    if (sender === undefined) return;
    sender.creditBytes += bytes;
    if (sender.creditBytes > this.limits.creditBytes) throw new Error("more was consumed than was delivered");
    setImmediate(() => this.pump(sender));
  }

  release(handle: number): void {
    const end = this.ends.get(handle);
    if (end !== undefined) end.released = true;
    this.sweep(handle);
  }

  private createEnd(direction: "outgoing" | "incoming"): End {
    this.handles += 1;
    const handle = this.handles;
    const end = {
      handle,
      stream: new OverlayStream(this, handle, direction),
      placed: direction === "incoming",
      queue: [],
      queuedBytes: 0,
      creditBytes: this.limits.creditBytes,
      finishing: false,
      finished: false,
      wantsRoom: false,
      released: false,
    } as unknown as End;
    this.ends.set(handle, end);
    return end;
  }

  private pump(end: End): void {
    while (end.queue.length > 0 && end.creditBytes > 0) {
      const first = end.queue[0]!;
      const count = Math.min(first.length, end.creditBytes, this.limits.pieceBytes);
      if (count === first.length) end.queue.shift();
      else end.queue[0] = first.subarray(count);
      end.queuedBytes -= count;
      end.creditBytes -= count;
      end.peer.stream.handleData(Buffer.from(first.subarray(0, count)));
    }
    if (end.wantsRoom && end.queuedBytes < this.limits.sendBufferBytes) {
      end.wantsRoom = false;
      end.stream.handleWritable();
    }
    if (end.finishing && !end.finished && end.queue.length === 0) {
      end.finished = true;
      end.peer.stream.handleFinished();
    }
    this.sweep(end.handle);
  }

  /** An end is forgotten when its application let go and nothing of it is still on its way. */
  private sweep(handle: number): void {
    const end = this.ends.get(handle);
    if (end?.released && (end.queue.length === 0 || end.peer.released)) this.ends.delete(handle);
  }
}
