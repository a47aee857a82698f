import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { sha256 } from "@noble/hashes/sha2.js";
import { expect, test } from "vitest";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import { chainVectors } from "../support/chain-vectors.js";

const PATH = fileURLToPath(new URL("chain-vectors.json", import.meta.url));
const frozen = JSON.parse(readFileSync(PATH, "utf8")) as ReturnType<typeof chainVectors>;

test.each([["noble", nobleSuite] as const, ["native", createNativeSuite()] as const])(
  "the %s suite makes every frozen byte of the chains: steps, elements, tag, life and epoch proof",
  (_name, suite) => {
    expect(chainVectors(suite)).toEqual(frozen);
  },
);

test("the frozen elements lead to each other by the written step, recomputed here with SHA-256 alone", () => {
  const { nac, epoch, tag, metric } = frozen;
  const message = Buffer.alloc(48);
  Buffer.from(nac, "hex").copy(message);
  message.writeUInt32BE(epoch, 16);
  Buffer.from(tag, "hex").copy(message, 24);
  const positionOf = (place: { generation: number; metric: number }) => place.generation * 64 + 63 - place.metric;
  const from = metric[2]!;
  let element = Buffer.from(from.element, "hex");
  for (let position = positionOf(from); position > positionOf(metric[1]!); position -= 1) {
    message.writeUInt32BE((1 << 24) | (position % 1024), 20);
    element.copy(message, 32);
    element = Buffer.from(sha256(message).subarray(0, 16));
  }
  expect(element.toString("hex")).toBe(metric[1]!.element);
});
