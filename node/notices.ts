import type { StackEvent } from "../core/stack/ports.js";

/** Delivered bytes are copied into these, so that the many cells of a turn become few chunks for the application. */
const SLAB_BYTES = 32 * 1024;

/** `slab[at, end)`; `end` grows while the next bytes are of the same stream. */
interface DataNotice {
  readonly kind: "data";
  readonly stream: number;
  readonly slab: Buffer;
  readonly at: number;
  end: number;
}

interface DatagramNotice {
  readonly kind: "datagram";
  readonly flow: number;
  readonly bytes: Buffer;
}

export type Notice = DataNotice | DatagramNotice | { readonly kind: "event"; readonly event: StackEvent };

/** What the stack said during calls, in order, until it is told. Bounded by the credit we gave and by what one call can cause. */
export class Notices {
  private kept: Notice[] = [];
  private isTelling = false;
  private slab = Buffer.alloc(0);
  private slabUsed = 0;

  event(event: StackEvent): void {
    this.kept.push({ kind: "event", event });
  }

  data(stream: number, bytes: Uint8Array, at: number, length: number): void {
    if (this.slabUsed + length > this.slab.length) {
      this.slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, length));
      this.slabUsed = 0;
    }
    const { slab, slabUsed, kept } = this;
    slab.set(bytes.subarray(at, at + length), slabUsed);
    this.slabUsed += length;
    const last = kept[kept.length - 1];
    if (last?.kind === "data" && last.stream === stream && last.slab === slab) last.end = this.slabUsed;
    else kept.push({ kind: "data", stream, slab, at: slabUsed, end: this.slabUsed });
  }

  datagram(flow: number, bytes: Uint8Array, at: number, length: number): void {
    this.kept.push({ kind: "datagram", flow, bytes: Buffer.from(bytes.subarray(at, at + length)) });
  }

  /** Whoever is told may give commands meanwhile; what these cause is told after. */
  tell(tellOne: (notice: Notice) => void): void {
    if (this.isTelling) return;
    this.isTelling = true;
    try {
      while (this.kept.length > 0) {
        const batch = this.kept;
        this.kept = [];
        for (const notice of batch) tellOne(notice);
      }
    } finally {
      this.isTelling = false;
    }
  }

  clear(): void {
    this.kept = [];
  }
}
