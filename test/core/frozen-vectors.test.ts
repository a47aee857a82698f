import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { printNac } from "../../core/address/nac.js";
import { parseName } from "../../core/address/name.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import { decodeIdentityPem, decodeLinkKeyPem } from "../../core/crypto/pem.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import { frozenVectors } from "../support/frozen-vectors.js";

const PATH = fileURLToPath(new URL("frozen-vectors.json", import.meta.url));
const frozen = JSON.parse(readFileSync(PATH, "utf8")) as ReturnType<typeof frozenVectors>;

test.each([["noble", nobleSuite] as const, ["native", createNativeSuite()] as const])(
  "the %s suite makes every frozen byte: names, key files, flights, keys, packets, key update and KEM round",
  (_name, suite) => {
    expect(frozenVectors(suite)).toEqual(frozen);
  },
);

test("the frozen names and key files read back as what they were made of", () => {
  const { names } = frozen;
  expect(printNac(parseName(names.shortName)!.nac)).toBe(names.nac);
  expect(printNac(parseName(names.longName)!.nac)).toBe(names.nac);
  const identity = decodeIdentityPem(names.privateKeyPem.join("\n"));
  if (!("kemSeed" in identity) || !("signatureSeed" in identity)) throw new Error("the identity was refused");
  expect(Buffer.from(identity.kemSeed).toString("hex")).toBe(names.kemSeed);
  expect(Buffer.from(identity.signatureSeed).toString("hex")).toBe(names.signatureSeed);
  const link = decodeLinkKeyPem(names.linkKeyPem.join("\n"));
  if (!("kemSeed" in link)) throw new Error("the link key was refused");
  expect(Buffer.from(link.kemSeed).toString("hex")).toBe(names.linkSeed);
});

test("the frozen counters tell round, update and number", () => {
  for (const { session, kemRound } of [frozen.link, frozen.endToEnd]) {
    const counters = [session.first, session.second, session.updated, session.back, kemRound.due];
    expect([...counters, kemRound.there, kemRound.back].map(({ counter }) => counter)).toEqual([
      "0000" + "00" + "0000000000",
      "0000" + "00" + "0000000001",
      "0000" + "01" + "0000000002",
      "0000" + "00" + "0000000000",
      "0000" + "00" + "0000000001",
      "0001" + "00" + "0000000003",
      "0001" + "00" + "0000000002",
    ]);
  }
});

test("the frozen packets open by the written key schedule, recomputed here from the primitives alone", () => {
  const { hash, extract, expand } = nobleSuite;
  const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
  const label = (text: string, ...rest: Uint8Array[]) => new Uint8Array(Buffer.concat([Buffer.from(text), ...rest]));
  const unsealed = (chain: Uint8Array, packet: { readonly record: string; readonly counter: string }) => {
    const keys = expand(chain, label("mq1 packet"), 44);
    const record = bytes(packet.record);
    const counter = bytes(packet.counter);
    const nonce = keys.slice(32);
    for (let i = 0; i < 8; i += 1) nonce[4 + i]! ^= counter[i]!;
    const body = record.slice(13);
    const associated = Uint8Array.of(...record.subarray(0, 5), ...counter);
    expect(nobleSuite.aead(keys.slice(0, 32)).open(nonce, associated, body, 0, body.length)).toBe(true);
    return Buffer.from(body.subarray(0, -16)).toString();
  };
  for (const { handshake, session, kemRound } of [frozen.link, frozen.endToEnd]) {
    const traffic = bytes(handshake.derived.find(([name]) => name === "mq1 traffic")![1]!);
    expect(traffic).toHaveLength(96);
    const first = traffic.slice(64);
    const there = expand(first, label("mq1 to responder"), 32);
    const back = expand(first, label("mq1 to initiator"), 32);
    expect(unsealed(there, session.first)).toBe(session.first.text);
    expect(unsealed(there, session.second)).toBe(session.second.text);
    expect(unsealed(expand(there, label("mq1 update"), 32), session.updated)).toBe(session.updated.text);
    expect(unsealed(back, session.back)).toBe(session.back.text);

    const [offer, answer] = [bytes(kemRound.offer), bytes(kemRound.answer)];
    const { publicKey, secretKey } = nobleSuite.kemKeys(bytes(kemRound.drawnByInitiator[0]!));
    expect(offer).toEqual(Uint8Array.of(0, 1, ...publicKey));
    expect(answer.subarray(0, 2)).toEqual(Uint8Array.of(0, 1));
    const secret = nobleSuite.kemDecapsulate(answer.slice(2), secretKey);
    const second = extract(expand(first, label("mq1 salt"), 32), secret).slice(0, 32);
    const exchange = hash(offer, answer);
    expect(unsealed(expand(second, label("mq1 to responder", exchange), 32), kemRound.there)).toBe(kemRound.there.text);
    expect(unsealed(expand(second, label("mq1 to initiator", exchange), 32), kemRound.back)).toBe(kemRound.back.text);
  }
});
