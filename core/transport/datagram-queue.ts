import type { Digest } from "../collections/digest.js";
import { CELL_FRAMES_BYTES } from "../wire/cell.js";
import { Writer } from "../wire/cursor.js";
import { DATAGRAM_HEADER_BYTES, encodeDatagram } from "../wire/datagram-frame.js";

export const DATAGRAMS_MAX = 64;

/**
 * Datagrams that wait for their turn under the congestion window, as frames. When 64 wait the oldest makes room: of what
 * is never repaired, the newest is worth most.
 */
export class DatagramQueue {
  length = 0;
  /** Datagrams that made room for newer ones. */
  dropped = 0;
  /** Made when first needed, then used again. */
  private readonly slots: Uint8Array[] = [];
  private readonly lengths = new Uint16Array(DATAGRAMS_MAX);
  private head = 0;

  /** Copies. False: the oldest was dropped for it. */
  push(flow: number, port: number, data: Uint8Array): boolean {
    const hadRoom = this.length < DATAGRAMS_MAX;
    if (!hadRoom) {
      this.shift();
      this.dropped += 1;
    }
    const slot = (this.head + this.length) % DATAGRAMS_MAX;
    this.slots[slot] ??= new Uint8Array(CELL_FRAMES_BYTES);
    encodeDatagram(new Writer(this.slots[slot]), flow, port, data);
    this.lengths[slot] = DATAGRAM_HEADER_BYTES + data.length;
    this.length += 1;
    return hadRoom;
  }

  /** Moves as many frames into `out` as fit, oldest first. */
  fill(out: Writer): void {
    while (this.length > 0 && this.lengths[this.head]! <= out.room) {
      out.raw(this.slots[this.head]!.subarray(0, this.lengths[this.head]!));
      this.shift();
    }
  }

  clear(): void {
    this.slots.length = 0;
    this.length = 0;
    this.head = 0;
  }

  digest(into: Digest): void {
    into.number(this.length).number(this.dropped);
    for (let i = 0; i < this.length; i += 1) into.number(this.lengths[(this.head + i) % DATAGRAMS_MAX]!);
  }

  private shift(): void {
    this.head = (this.head + 1) % DATAGRAMS_MAX;
    this.length -= 1;
  }
}
