import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeBye, encodeBye } from "../../core/wire/bye.js";
import { LINK_DATAGRAM_BYTES, paddedControlBytes } from "../../core/wire/control-frame.js";
import { Reader, Writer } from "../../core/wire/cursor.js";
import {
  decodeHello,
  emptyHello,
  encodeHello,
  HELLO_BYTES,
  ROUTER_ID_BYTES,
  TABLE_DIGEST_BYTES,
} from "../../core/wire/hello.js";
import { decodeMerge, encodeMerge, MERGE_BYTES, MERGE_PROOF_BYTES } from "../../core/wire/merge.js";
import {
  decodeNetworkHeader,
  END_PACKET_BYTES,
  encodeNetworkHeader,
  HOP_LIMIT,
  HOPS_OFFSET,
  NAC_OFFSET,
  NETWORK_HEADER_BYTES,
  NetworkHeader,
} from "../../core/wire/network-header.js";
import { decodePathChallenge, encodePathChallenge, PATH_TOKEN_BYTES } from "../../core/wire/path-challenge.js";

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u48 = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

const anyHello = fc.record({
  seqno: fc.integer({ min: 1, max: 0xffff_ffff }),
  echoSeqno: u32,
  echoDelayUs: u32,
  intervalMs: fc.integer({ min: 1, max: 0xffff }),
  probe: fc.boolean(),
  held: fc.boolean(),
  stub: fc.boolean(),
  routerId: bytes(ROUTER_ID_BYTES),
  networkTimeMs: u48,
  queueDelayMs: u16,
  controlSent: u32,
  controlProcessed: u32,
  tableDigest: bytes(TABLE_DIGEST_BYTES),
  load: u8,
});

test("a hello comes out as it went in, in its one size", () => {
  fc.assert(
    fc.property(anyHello, (hello) => {
      const out = new Writer(new Uint8Array(HELLO_BYTES));
      encodeHello(out, hello);
      expect(out.room).toBe(0);
      const input = new Reader(out.bytes);
      const read = emptyHello();
      expect(decodeHello(input, read)).toBe(true);
      expect(read).toEqual(hello);
      expect(input.remaining).toBe(0);
    }),
  );
});

test("any bytes are a hello or none, and never throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2 * HELLO_BYTES }), (input) => {
      const hello = emptyHello();
      if (!decodeHello(new Reader(input), hello)) return;
      expect(input.length).toBeGreaterThanOrEqual(HELLO_BYTES);
      const out = new Writer(new Uint8Array(HELLO_BYTES));
      encodeHello(out, hello);
      const again = emptyHello();
      expect(decodeHello(new Reader(out.bytes), again)).toBe(true);
      expect(again).toEqual(hello);
    }),
  );
});

test.each([
  ["is cut short", 0, HELLO_BYTES - 1],
  ["has the number zero", 0, HELLO_BYTES],
  ["promises nothing", 12, HELLO_BYTES],
])("a hello that %s is none", (_what, zeroAt, length) => {
  const input = new Uint8Array(HELLO_BYTES).fill(1);
  input.fill(0, zeroAt, zeroAt + (zeroAt === 0 ? 4 : 2));
  if (length < HELLO_BYTES) input.fill(1);
  expect(decodeHello(new Reader(input, 0, length), emptyHello())).toBe(false);
});

test("a bye comes out as it went in; without a reason it is none", () => {
  fc.assert(
    fc.property(u8, (reason) => {
      const out = new Writer(new Uint8Array(1));
      encodeBye(out, { reason });
      expect(decodeBye(new Reader(out.bytes))).toEqual({ reason });
    }),
  );
  expect(decodeBye(new Reader(new Uint8Array(0)))).toBeUndefined();
});

test("a network header comes out as it went in, wherever it stands", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: HOP_LIMIT }), u8, bytes(16), fc.nat(40), (hopsLeft, flags, nac, at) => {
      const packet = new Uint8Array(at + NETWORK_HEADER_BYTES + END_PACKET_BYTES).fill(0xee);
      encodeNetworkHeader(packet, at, hopsLeft, flags);
      packet.set(nac, at + NAC_OFFSET);
      const header = new NetworkHeader();
      expect(decodeNetworkHeader(packet, at, packet.length - at, header)).toBe(true);
      expect(header).toMatchObject({ hopsLeft, flags });
      expect(packet.subarray(0, at).every((byte) => byte === 0xee)).toBe(true);
      expect(packet[at + NETWORK_HEADER_BYTES]).toBe(0xee);
    }),
  );
});

test("any bytes are a network header or none, and never throw", () => {
  const header = new NetworkHeader();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1300 }), fc.nat(40), fc.nat(1300), (input, at, length) => {
      if (!decodeNetworkHeader(input, at, length, header)) return;
      expect(length).toBe(NETWORK_HEADER_BYTES + END_PACKET_BYTES);
      expect(header.hopsLeft).toBeLessThanOrEqual(HOP_LIMIT);
    }),
  );
});

test("a network header of another kind, with more hops than the limit, or without a whole packet is none", () => {
  const packet = new Uint8Array(NETWORK_HEADER_BYTES + END_PACKET_BYTES + 1);
  const header = new NetworkHeader();
  encodeNetworkHeader(packet, 0, HOP_LIMIT, 0);
  const length = packet.length - 1;
  expect(decodeNetworkHeader(packet, 0, length, header)).toBe(true);

  expect(decodeNetworkHeader(packet, 0, length - 1, header)).toBe(false);
  expect(decodeNetworkHeader(packet, 0, length + 1, header)).toBe(false);
  packet[HOPS_OFFSET] = HOP_LIMIT + 1;
  expect(decodeNetworkHeader(packet, 0, length, header)).toBe(false);
  packet[HOPS_OFFSET] = HOP_LIMIT;
  packet[0] = 2;
  expect(decodeNetworkHeader(packet, 0, length, header)).toBe(false);
});

test("a control record of any size is padded to a multiple of 64, at least 128, and never beyond a datagram", () => {
  for (let size = 30; size <= LINK_DATAGRAM_BYTES; size += 1) {
    const padded = paddedControlBytes(size);
    expect(padded).toBeGreaterThanOrEqual(Math.max(size, 128));
    expect(padded).toBeLessThanOrEqual(LINK_DATAGRAM_BYTES);
    if (padded < LINK_DATAGRAM_BYTES) expect(padded % 64).toBe(0);
    if (padded > 128 && padded < LINK_DATAGRAM_BYTES) expect(padded - size).toBeLessThan(64);
  }
});

test.each([
  [30, 128],
  [128, 128],
  [129, 192],
  [192, 192],
  [1152, 1152],
  [1153, 1200],
  [1200, 1200],
])("a control record of %i bytes leaves as %i", (size, padded) => {
  expect(paddedControlBytes(size)).toBe(padded);
});

test("a path challenge and a merge come out as they went in, in their one size, and cut short they are none", () => {
  fc.assert(
    fc.property(bytes(PATH_TOKEN_BYTES), u32, bytes(MERGE_PROOF_BYTES), (token, index, proof) => {
      const out = new Writer(new Uint8Array(PATH_TOKEN_BYTES + MERGE_BYTES));
      encodePathChallenge(out, { token });
      encodeMerge(out, { index, proof });
      expect(out.room).toBe(0);
      const input = new Reader(out.bytes);
      expect(decodePathChallenge(input)).toEqual({ token });
      expect(decodeMerge(input)).toEqual(index === 0 ? undefined : { index, proof }); // 0 is nobody's session
      expect(decodePathChallenge(new Reader(out.bytes, 0, PATH_TOKEN_BYTES - 1))).toBeUndefined();
      expect(decodeMerge(new Reader(out.bytes, PATH_TOKEN_BYTES, PATH_TOKEN_BYTES + MERGE_BYTES - 1))).toBeUndefined();
    }),
  );
});
