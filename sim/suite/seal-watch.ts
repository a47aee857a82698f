import type { CryptoSuite } from "../../core/crypto/suite.js";

/** A suite, and the first byte of what it sealed last: the kind of a record, which nobody can see on the wire. */
export interface SealWatch {
  readonly suite: CryptoSuite;
  readonly lastByte: () => number;
}

/** `suite` does what it did; only its AEADs tell. */
export function watchSeals(suite: CryptoSuite): SealWatch {
  let lastByte = -1;
  const watched: CryptoSuite = {
    ...suite,
    aead(key) {
      const inner = suite.aead(key);
      return {
        seal(nonce, associated, out, offset, length) {
          lastByte = length > 0 ? out[offset]! : -1;
          inner.seal(nonce, associated, out, offset, length);
        },
        open: (nonce, associated, data, offset, length) => inner.open(nonce, associated, data, offset, length),
      };
    },
  };
  return { suite: watched, lastByte: () => lastByte };
}
