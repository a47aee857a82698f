import { Cap } from "../collections/cap.js";

/** What all sessions keep of cells that their peers have not reported. */
const ALL_STORE_BYTES_MAX = 256 << 20;

/**
 * The stores of all sessions of a stack. A store doubles only while that takes no more than half of what is free: the
 * fewer bytes are left, the smaller new ones stay, and no few sessions can take it all.
 */
export class StoreBounds {
  readonly cap: Cap;
  /** Bytes of all stores. */
  used = 0;

  constructor(bytesMax = ALL_STORE_BYTES_MAX) {
    this.cap = new Cap("transport.storeBytes", bytesMax);
  }

  mayGrow(bytes: number): boolean {
    return bytes <= (this.cap.limit - this.used) / 2;
  }

  /** True from half of the bound on: stores that are empty give back what they grew. */
  get isTight(): boolean {
    return this.used * 2 >= this.cap.limit;
  }

  add(bytes: number): void {
    this.used += bytes;
    this.cap.note(this.used);
  }

  release(bytes: number): void {
    this.used -= bytes;
  }
}
