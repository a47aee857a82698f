import { DESCRIPTOR_BYTES, type Descriptor, decodeDescriptor } from "../chain/descriptor.js";
import type { Digest } from "../collections/digest.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import type { Writer } from "../wire/cursor.js";
import {
  DESCRIPTOR_PART_BYTES,
  DESCRIPTOR_PARTS,
  type DescriptorPart,
  encodeDescriptorRequest,
} from "../wire/descriptor-frames.js";
import type { DescriptorDesk } from "./descriptor-desk.js";

/** The first part is asked for so long after the session stood: most are over by then. */
const DESCRIPTOR_WAIT_US = SECOND_US;
/** One part in this time: a cell of 1,180 bytes on the wire is less than 1 KB/s. */
const DESCRIPTOR_STEP_US = 1_250 * MILLISECOND_US;
/** A whole one is shown again after this while it is being looked at, and given up after that: a chain of a day takes some ten seconds. */
const DESCRIPTOR_AGAIN_US = 100 * MILLISECOND_US;
const DESCRIPTOR_PATIENCE_US = 60 * SECOND_US;
/** Questions in one session, repeated ones too. */
const DESCRIPTOR_ASKS_MAX = 24;

/** Fetches the called end's descriptor through a session with it, part after part, where its chain is held on trust. */
export class DescriptorFetch {
  private readonly desk: DescriptorDesk;
  private readonly destination: number;
  /** From the first on, in order. */
  private parts: Uint8Array[] = [];
  private epoch = -1;
  private asked = 0;
  /** Once it is whole; it is judged until `endUs`. */
  private descriptor: Descriptor | undefined;
  private endUs: number = NEVER;
  private dueUs = NEVER;

  constructor(desk: DescriptorDesk, destination: number) {
    this.desk = desk;
    this.destination = destination;
  }

  get nextTimeoutUs(): number {
    return this.dueUs;
  }

  /** The session stands. */
  begin(nowUs: number): void {
    this.dueUs = nowUs + DESCRIPTOR_WAIT_US;
  }

  /** To be called when it is due. Writes the next question; a descriptor that is whole is judged instead, as often as it takes. */
  poll(nowUs: number, out: Writer): void {
    if (!this.desk.isUnbound(this.destination)) return this.end();
    if (this.descriptor !== undefined) return this.judge(nowUs, this.descriptor);
    if (this.asked >= DESCRIPTOR_ASKS_MAX) return this.end();
    this.asked += 1;
    this.dueUs = nowUs + DESCRIPTOR_STEP_US;
    encodeDescriptorRequest(out, this.missing);
  }

  /** A part came. One that is not the next is passed over. */
  handlePart(nowUs: number, { part, epoch, bytes }: DescriptorPart): void {
    if (this.dueUs === NEVER || this.descriptor !== undefined || part !== this.missing) return;
    if (epoch !== this.epoch && part > 0) {
      this.parts = []; // another epoch began: from the first part again
      return;
    }
    this.epoch = epoch;
    this.parts.push(bytes.slice());
    if (this.missing < DESCRIPTOR_PARTS) return;
    this.descriptor = decodeDescriptor(this.whole());
    this.dueUs = nowUs;
    this.endUs = nowUs + DESCRIPTOR_PATIENCE_US;
  }

  digest(into: Digest): void {
    into.number(this.missing).number(this.epoch).number(this.asked).number(this.dueUs).number(this.endUs);
  }

  /** The part to ask for next; 5 when all are there. */
  private get missing(): number {
    return this.parts.length;
  }

  private judge(nowUs: number, descriptor: Descriptor): void {
    const verdict = this.desk.judge(nowUs, this.destination, descriptor);
    if (verdict === "busy" && nowUs < this.endUs) this.dueUs = nowUs + DESCRIPTOR_AGAIN_US;
    else this.end();
  }

  private whole(): Uint8Array {
    const bytes = new Uint8Array(DESCRIPTOR_PARTS * DESCRIPTOR_PART_BYTES);
    for (const [part, piece] of this.parts.entries()) bytes.set(piece, part * DESCRIPTOR_PART_BYTES);
    return bytes.subarray(0, DESCRIPTOR_BYTES);
  }

  private end(): void {
    this.parts = [];
    this.descriptor = undefined;
    this.dueUs = NEVER;
  }
}
