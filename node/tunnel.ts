/**
 * Two streams joined, each one's end ending the other's writing half (half-close), until both are done. When one breaks,
 * the other is broken too, so that nobody takes a cut-off transfer for a whole one.
 */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** Calls `closed` once, when both are gone. Takes over the "error" events of both. */
export function joinStreams(a: Duplex, b: Duplex, closed: () => void): void {
  let open = 2;
  const watch = (stream: Duplex, other: Duplex): void => {
    stream.on("error", () => undefined); // "close" follows and tells enough
    stream.once("close", () => {
      if (!isDone(stream)) breakStream(other, stream.errored ?? undefined);
      open -= 1;
      if (open === 0) closed();
    });
    stream.pipe(other);
  };
  watch(a, b);
  watch(b, a);
}

/** A TCP peer learns of it by RST rather than by the FIN that would say "complete"; a unix socket knows no RST. */
export function breakStream(stream: Duplex, cause?: Error): void {
  if (stream.destroyed) return;
  if (stream instanceof Socket && stream.remoteAddress !== undefined) stream.resetAndDestroy();
  else stream.destroy(cause);
}

/**
 * Calls `gone` when a client ends before it was answered. One that ends without having said a word has gone; one that said
 * something may only have nothing more to say. Returns what stops the watch.
 */
export function watchClient(client: Duplex, hasSpoken: boolean, gone: () => void): () => void {
  const look = (): void => {
    if (!hasSpoken && client.readableLength === 0) client.read(); // an end is not noticed while nobody reads
  };
  client.on("close", gone).on("end", gone).on("readable", look);
  return () => void client.off("close", gone).off("end", gone).off("readable", look);
}

/** Streams that are open, and the wait for their end. */
export class OpenStreams<S extends Duplex> {
  private readonly streams = new Set<S>();
  private emptied: () => void = () => undefined;

  get size(): number {
    return this.streams.size;
  }

  [Symbol.iterator](): Iterator<S> {
    return this.streams.values();
  }

  add(stream: S): void {
    this.streams.add(stream);
  }

  delete(stream: S): void {
    if (this.streams.delete(stream) && this.streams.size === 0) this.emptied();
  }

  /** Waits until all have ended, at most `drainMs`, then breaks what is left. The caller lets no new ones in. */
  async close(drainMs: number): Promise<void> {
    if (this.streams.size > 0 && drainMs > 0) {
      const timer = setTimeout(() => this.emptied(), drainMs);
      await new Promise<void>((resolve) => {
        this.emptied = resolve;
      });
      clearTimeout(timer);
    }
    for (const stream of [...this.streams]) breakStream(stream);
  }
}

function isDone(stream: Duplex): boolean {
  return stream.readableEnded && stream.writableFinished;
}
