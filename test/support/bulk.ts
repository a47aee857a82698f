/** Bulk data whose hash is known before it travels. The same seed gives the same bytes, and they do not compress. */
import { createCipheriv, createHash } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import type { IncomingMessage } from "node:http";
import { finished } from "node:stream/promises";

const CHUNK_BYTES = 1 << 16;

/** Chunks of 64 KiB, AES-CTR over zeros under a key made of `seed`. */
export function* bulk(length: number, seed: string): Generator<Buffer> {
  const key = createHash("sha256").update(seed).digest();
  const cipher = createCipheriv("aes-256-ctr", key, Buffer.alloc(16));
  for (let left = length; left > 0; left -= CHUNK_BYTES) yield cipher.update(Buffer.alloc(Math.min(CHUNK_BYTES, left)));
}

/** Writes the file and returns its sha256 in hex. */
export async function writeBulk(path: string, length: number, seed: string): Promise<string> {
  const file = createWriteStream(path);
  const hash = createHash("sha256");
  for (const chunk of bulk(length, seed)) {
    hash.update(chunk);
    if (!file.write(chunk)) await once(file, "drain");
  }
  file.end();
  await finished(file);
  return hash.digest("hex");
}

/** Reads an answer to its end: how long it was and its sha256. Rejects when it breaks off. */
export async function hashOf(answer: IncomingMessage): Promise<{ readonly length: number; readonly sha256: string }> {
  const hash = createHash("sha256");
  let length = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    hash.update(chunk);
    length += chunk.length;
  }
  return { length, sha256: hash.digest("hex") };
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
