import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BiscuitState, decodeBiscuitState, encodeBiscuitState } from "../../core/wire/biscuit.js";
import { CONF_UNPADDED_BYTES, decodeConf, decodeConfBody, encodeConf, encodeConfBody } from "../../core/wire/conf.js";
import { Reader, Writer } from "../../core/wire/cursor.js";
import { FLIGHT_UNPADDED_MAX_BYTES } from "../../core/wire/flight.js";
import { decodeInit, decodeInitBody, encodeInit, encodeInitBody, INIT_UNPADDED_BYTES } from "../../core/wire/init.js";
import { decodeKeyRequest, encodeKeyRequest, KEY_PACKET_BYTES } from "../../core/wire/keyreq.js";
import { decodeKeyResponse, encodeKeyResponse } from "../../core/wire/keyresp.js";
import { decodeParams, encodeParams, PARAMS_BYTES } from "../../core/wire/params.js";
import { RECORD_OVERHEAD_BYTES, recordIndex } from "../../core/wire/record.js";
import { decodeResp, decodeRespBody, encodeResp, encodeRespBody, RESP_UNPADDED_BYTES } from "../../core/wire/resp.js";
import { decodeUnknown, encodeUnknown, UNKNOWN_BYTES } from "../../core/wire/unknown.js";

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const index = fc.integer({ min: 1, max: 0xffff_ffff });
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const params = fc.record({ creditKiB: fc.integer({ min: 0, max: 0xff_ffff }), streamsMax: u16, flags: u16 });
const kind = fc.constantFrom(0 as const, 1 as const);
const opening = { version: u8, suite: u8, flags: u8 };

interface Codec {
  readonly name: string;
  readonly values: fc.Arbitrary<unknown>;
  readonly sizes: readonly number[];
  /** Shortest bytes it may accept, where padding may be missing; the smallest of `sizes` otherwise. */
  readonly least?: number;
  encode(out: Writer, value: never): void;
  decode(input: Reader): unknown;
}

const codecs: Codec[] = [
  { name: "PARAMS", values: params, sizes: [PARAMS_BYTES], encode: encodeParams, decode: decodeParams },
  {
    name: "INIT",
    values: fc.record({
      ...opening,
      networkLabel: bytes(4),
      ciphertext: bytes(768),
      ephemeral: bytes(32),
      sealed: bytes(1200 - 840),
      mac1: bytes(16),
      mac2: bytes(16),
    }),
    sizes: [1200],
    least: 909,
    encode: encodeInit,
    decode: decodeInit,
  },
  {
    name: "INIT body",
    values: fc.record({ index, returnNac: bytes(16), params, suites: u16 }),
    sizes: [53, 296, 344],
    encode: encodeInitBody,
    decode: decodeInitBody,
  },
  {
    name: "RESP",
    values: fc.record({ ...opening, index, ephemeral: bytes(32), sealed: bytes(1200 - 40) }),
    sizes: [1200],
    least: 1019,
    encode: encodeResp,
    decode: decodeResp,
  },
  {
    name: "RESP body",
    values: fc.record({
      index,
      biscuit: bytes(133),
      publicKey: bytes(800),
      params,
      observed: fc.record({ family: fc.constantFrom(0, 4, 6), address: bytes(16), port: u16 }),
    }),
    sizes: [963, 1096, 1144],
    encode: encodeRespBody,
    decode: decodeRespBody,
  },
  {
    name: "CONF",
    values: fc.record({ ...opening, index, biscuit: bytes(133), ciphertext: bytes(768), sealed: bytes(1200 - 909) }),
    sizes: [1200],
    least: 934,
    encode: encodeConf,
    decode: decodeConf,
  },
  {
    name: "CONF body",
    values: fc.record({ params, early: fc.uint8Array({ maxLength: 96 }) }),
    sizes: [105, 227],
    least: 9,
    encode: encodeConfBody,
    decode: decodeConfBody,
  },
  {
    name: "biscuit state",
    values: fc.record({
      chainingKey: bytes(32),
      transcript: bytes(32),
      initiatorIndex: index,
      responderIndex: index,
      returnNac: bytes(16),
      issuedMs: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
      pathTag: bytes(8),
    }) satisfies fc.Arbitrary<BiscuitState>,
    sizes: [105],
    encode: encodeBiscuitState,
    decode: decodeBiscuitState,
  },
  {
    name: "KEYREQ",
    values: fc.record({ version: u8, suite: u8, kind, networkLabel: bytes(4), nonce: bytes(8), target: bytes(16) }),
    sizes: [KEY_PACKET_BYTES],
    encode: encodeKeyRequest,
    decode: decodeKeyRequest,
  },
  {
    name: "KEYRESP",
    values: fc.record({
      version: u8,
      suite: u8,
      kind,
      networkLabel: bytes(4),
      nonce: bytes(8),
      target: bytes(16),
      suiteFloor: u8,
      publicKey: bytes(800),
      signatureHash: bytes(32),
    }),
    sizes: [KEY_PACKET_BYTES],
    encode: encodeKeyResponse,
    decode: decodeKeyResponse,
  },
  {
    name: "UNKNOWN",
    values: fc.record({ index }),
    sizes: [UNKNOWN_BYTES],
    encode: encodeUnknown,
    decode: decodeUnknown,
  },
];

describe.each(codecs)("$name", ({ values, sizes, least, encode, decode }) => {
  test("reads back what was written, byte for byte", () => {
    fc.assert(
      fc.property(values, fc.constantFrom(...sizes), (value, size) => {
        const out = new Writer(new Uint8Array(size));
        encode(out, value as never);
        expect(out.offset).toBe(size);
        const decoded = decode(new Reader(out.bytes));
        expect(decoded).toEqual(value);
        const again = new Writer(new Uint8Array(size));
        encode(again, decoded as never);
        expect(again.bytes).toEqual(out.bytes);
      }),
      { numRuns: 50 },
    );
  });

  test("refuses every truncation of itself", () => {
    const [value] = fc.sample(values, { numRuns: 1, seed: 7 });
    const size = sizes[0]!;
    const out = new Writer(new Uint8Array(size));
    encode(out, value as never);
    for (let length = 0; length < (least ?? size); length += 1)
      expect(decode(new Reader(out.bytes, 0, length))).toBeUndefined();
  });

  test("survives any bytes without throwing", () => {
    const damaged = fc.tuple(fc.uint8Array({ maxLength: 1300 }), fc.integer({ min: 0, max: 8 }));
    fc.assert(
      fc.property(damaged, ([noise, type]) => {
        if (noise.length > 0 && type > 0) noise[0] = type;
        decode(new Reader(noise));
      }),
      { numRuns: 300 },
    );
  });
});

test("no flight is larger than 1,030 bytes before padding", () => {
  const sizes = [INIT_UNPADDED_BYTES, RESP_UNPADDED_BYTES, CONF_UNPADDED_BYTES];
  expect(sizes).toEqual([909, 1019, 1030]);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(FLIGHT_UNPADDED_MAX_BYTES);
});

test("a body whose padding is not zero is refused, so that it hides no message", () => {
  const body = new Uint8Array(300);
  encodeInitBody(new Writer(body), {
    index: 9,
    returnNac: new Uint8Array(16),
    params: { creditKiB: 1, streamsMax: 1, flags: 0 },
    suites: 2,
  });
  expect(decodeInitBody(new Reader(body))).toBeDefined();
  body[299] = 1;
  expect(decodeInitBody(new Reader(body))).toBeUndefined();
});

test("more early data than 96 bytes is refused by the decoder and is a mistake for the encoder", () => {
  const granted = { creditKiB: 1, streamsMax: 1, flags: 0 };
  const body = new Uint8Array(200);
  new Writer(body).u24(1).u16(1).u16(0).u16(97);
  expect(decodeConfBody(new Reader(body))).toBeUndefined();
  expect(() => encodeConfBody(new Writer(body), { params: granted, early: new Uint8Array(97) })).toThrow(RangeError);
});

test("the session number of a record is read only from a whole record", () => {
  const record = new Uint8Array(RECORD_OVERHEAD_BYTES);
  new Writer(record).u8(1).u32(0xfedc_ba98);
  expect(recordIndex(record, 0, record.length)).toBe(0xfedc_ba98);
  expect(recordIndex(record, 0, record.length - 1)).toBe(0);
  record[0] = 2;
  expect(recordIndex(record, 0, record.length)).toBe(0);
});
