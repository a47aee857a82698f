import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { NEVER, SECOND_US } from "../time/instant.js";
import { Writer } from "../wire/cursor.js";
import { encodeUnknown, UNKNOWN_BYTES } from "../wire/unknown.js";
import type { Plane } from "./plane.js";

/** UNKNOWN hints of one second, whatever arrives; beyond, neighbours find out by silence. */
const HINTS_MAX = 64;

/** Tells whoever believes in a session that we lost: UNKNOWN, for some of the records that nobody here can open. */
export class Hints {
  readonly cap = new Cap("linkHints", HINTS_MAX);
  private readonly plane: Plane;
  private readonly out = new Uint8Array(UNKNOWN_BYTES);
  private count = 0;
  private sinceUs: number = -NEVER;

  constructor(plane: Plane) {
    this.plane = plane;
  }

  /** `index` is the session number that came on `path`. */
  send(nowUs: number, path: number, index: number): void {
    if (nowUs - this.sinceUs >= SECOND_US) {
      this.sinceUs = nowUs;
      this.count = 0;
    }
    if (this.count >= HINTS_MAX) return;
    this.count += 1;
    this.cap.note(this.count);
    encodeUnknown(new Writer(this.out), { index });
    this.plane.ports.sink.transmit(path, this.out, 0, UNKNOWN_BYTES);
  }

  digest(into: Digest): void {
    into.number(this.count).number(this.sinceUs);
  }
}
