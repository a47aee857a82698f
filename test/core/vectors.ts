/**
 * Published test vectors, which live outside the project: in the folder that MARIANA_VECTORS names, or beside the
 * repository in shared/vectors.
 */
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** One test of a file; bytes are hexadecimal. Which fields are there depends on the file. */
export interface Vector {
  readonly tcId: number;
  readonly result: "valid" | "invalid" | "acceptable";
  readonly comment?: string;
  readonly seed: string;
  readonly ek: string;
  readonly dk: string;
  readonly m: string;
  readonly c: string;
  readonly K: string;
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg?: string;
  readonly ct: string;
  readonly tag: string;
  readonly ctx?: string;
  readonly rnd?: string;
  readonly sig: string;
  readonly public: string;
  readonly private: string;
  readonly shared: string;
  readonly ikm: string;
  readonly salt: string;
  readonly info: string;
  readonly okm: string;
  readonly size: number;
}

export interface VectorGroup {
  readonly keySize: number;
  readonly ivSize: number;
  readonly tagSize: number;
  readonly privateSeed: string;
  readonly privateKeyPkcs8?: string;
  readonly publicKey: string;
  readonly tests: readonly Vector[];
}

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));

/** The groups of one Wycheproof file, or undefined where the vectors are not installed. */
export function readWycheproof(file: string): readonly VectorGroup[] | undefined {
  const folder = process.env.MARIANA_VECTORS ?? resolve(REPOSITORY, "../shared/vectors");
  const path = resolve(folder, "wycheproof", file);
  if (!existsSync(path)) return undefined;
  return (JSON.parse(readFileSync(path, "utf8")) as { testGroups: VectorGroup[] }).testGroups;
}

/** What a skipped test says in its name. */
export function skipAdvice(file: string): string {
  return `skipped: ${file} is missing; set MARIANA_VECTORS to a folder that holds wycheproof/${file}`;
}

export function fromHex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}
