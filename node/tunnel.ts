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

/** A TCP peer learns of it by RST rather than by the FIN that would say "complete". */
export function breakStream(stream: Duplex, cause?: Error): void {
  if (stream.destroyed) return;
  if (stream instanceof Socket && !stream.connecting) stream.resetAndDestroy();
  else stream.destroy(cause);
}

function isDone(stream: Duplex): boolean {
  return stream.readableEnded && stream.writableFinished;
}
