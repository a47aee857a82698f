import { MILLISECOND_US, SECOND_US } from "../time/instant.js";

/** The allowance of hashes grows by the tenth of a second. */
const RETRY_US = 100 * MILLISECOND_US;
/** So long one message may keep its neighbour waiting: half of what makes a neighbour stalled. */
const PATIENCE_US = 5 * SECOND_US;

/**
 * What is left of a message whose next entry could not be checked yet, since its neighbour has used up its share of hashes. The walk
 * goes on with each try, and whatever the neighbour sends meanwhile waits behind it. When the patience ends, what is still too dear is
 * passed over, and the digests bring it again.
 */
export class HeldBody {
  readonly bytes: Uint8Array;
  /** When the entry is tried again. */
  readonly retryUs: number;
  readonly untilUs: number;

  /** @param bytes  entries, kept  @param untilUs  of the message, if it was held before */
  constructor(nowUs: number, bytes: Uint8Array, untilUs = nowUs + PATIENCE_US) {
    this.bytes = bytes;
    this.retryUs = nowUs + RETRY_US;
    this.untilUs = untilUs;
  }
}
