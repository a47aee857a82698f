/**
 * The key by which one epoch vouches for the next: a Winternitz one-time signature (Buchmann, Dahmen, Ereth, Huelsing,
 * Rueckert 2011) over 16 bytes, w = 256, of the same hash steps as the chains. Signing takes 4,590 hashes at most, checking as
 * many less.
 *
 *   key of epoch e:   18 secrets, walked down 255 steps each; the public key is a hash over the 18 ends
 *   signature:        secret i after d_i steps, d_0 .. d_15 the bytes of what is signed, d_16 d_17 the checksum
 *                     sum of 255 - d_i, high byte first: whoever only walks on raises digits, and so would have to lower one
 *
 * Why not simply commit to the next epoch's chains: their commitment would have to be in them already, and so on for ever. A
 * key commits to nothing, so it can be named a day before what it will sign exists.
 *
 * It must sign once. It does: what follows epoch e is epoch e + 1, whose chains follow from the secret. Two nodes with the same
 * keys make the same signature.
 */
import type { NacDictionary } from "../address/dictionary.js";
import { ascii } from "../address/text.js";
import type { CryptoSuite } from "../crypto/suite.js";
import { Chain, epochInfo, type Walker } from "./step.js";

const DIGITS = 18;
const MESSAGE_DIGITS = 16;
const DIGIT_MAX = 255;
const PART_BYTES = 16;
export const ONE_TIME_SIGNATURE_BYTES = DIGITS * PART_BYTES;
export const ONE_TIME_PUBLIC_BYTES = 12;
/** More than this neither signing nor checking takes. */
export const ONE_TIME_HASHES_MAX = DIGITS * DIGIT_MAX;

const SECRETS = ascii("mq chain key");
const PUBLIC = ascii("mq/epoch-key/1");

/** Makes and checks such signatures; a key is named by the (NAC, epoch) whose successor it signs. */
export class OneTimeKeys {
  private readonly suite: CryptoSuite;
  private readonly dictionary: NacDictionary;
  private readonly walker: Walker;
  private readonly digits = new Uint8Array(DIGITS);

  constructor(suite: CryptoSuite, dictionary: NacDictionary, walker: Walker) {
    this.suite = suite;
    this.dictionary = dictionary;
    this.walker = walker;
  }

  /** 12 bytes. */
  publicKey(destination: number, epoch: number, secret: Uint8Array): Uint8Array {
    this.digits.fill(DIGIT_MAX);
    return this.publicOf(
      destination,
      epoch,
      this.advance(destination, epoch, this.secrets(destination, epoch, secret)),
    );
  }

  /** @param message  16 bytes, a hash  @returns 288 bytes */
  sign(destination: number, epoch: number, secret: Uint8Array, message: Uint8Array): Uint8Array {
    this.readDigits(message);
    return this.advance(destination, epoch, this.secrets(destination, epoch, secret));
  }

  /** The public key whose signature of `message` is at `bytes[at, at + 288)`: to be compared with the one that is trusted. */
  signerOf(destination: number, epoch: number, message: Uint8Array, bytes: Uint8Array, at: number): Uint8Array {
    this.readDigits(message);
    const ends = new Uint8Array(ONE_TIME_SIGNATURE_BYTES);
    this.walker.enter(Chain.key, this.dictionary, destination, epoch, 0, 0);
    for (let i = 0; i < DIGITS; i += 1) {
      this.walker.load(bytes, at + i * PART_BYTES);
      this.walker.walk(lowest(i) + DIGIT_MAX - this.digits[i]!, DIGIT_MAX - this.digits[i]!);
      this.walker.store(ends, i * PART_BYTES);
    }
    return this.publicOf(destination, epoch, ends);
  }

  private secrets(destination: number, epoch: number, secret: Uint8Array): Uint8Array {
    const info = epochInfo(SECRETS, this.dictionary, destination, epoch);
    return this.suite.expand(secret, info, ONE_TIME_SIGNATURE_BYTES);
  }

  /** Walks each part down by its digit, in place. */
  private advance(destination: number, epoch: number, parts: Uint8Array): Uint8Array {
    this.walker.enter(Chain.key, this.dictionary, destination, epoch, 0, 0);
    for (let i = 0; i < DIGITS; i += 1) {
      this.walker.load(parts, i * PART_BYTES);
      this.walker.walk(lowest(i) + DIGIT_MAX, this.digits[i]!);
      this.walker.store(parts, i * PART_BYTES);
    }
    return parts;
  }

  private publicOf(destination: number, epoch: number, ends: Uint8Array): Uint8Array {
    const hash = this.suite.hash(epochInfo(PUBLIC, this.dictionary, destination, epoch), ends);
    return hash.slice(0, ONE_TIME_PUBLIC_BYTES);
  }

  private readDigits(message: Uint8Array): void {
    let sum = 0;
    for (let i = 0; i < MESSAGE_DIGITS; i += 1) {
      this.digits[i] = message[i]!;
      sum += DIGIT_MAX - message[i]!;
    }
    this.digits[MESSAGE_DIGITS] = sum >>> 8;
    this.digits[MESSAGE_DIGITS + 1] = sum;
  }
}

/** The position below which part `i` does not go. */
function lowest(i: number): number {
  return i * (DIGIT_MAX + 1) + 1;
}
