import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EPOCH_PROOF_BYTES } from "../../core/routing/elements.js";
import { ControlFrame } from "../../core/wire/control-frame.js";
import { Reader, Writer } from "../../core/wire/cursor.js";
import {
  decodeEpochRequest,
  EPOCH_REQUEST_BYTES,
  type EpochRequest,
  EpochWant,
  encodeEpochRequest,
} from "../../core/wire/epoch-request.js";
import { decodeRouteHead, encodeRouteHead, ROUTE_HEAD_BYTES } from "../../core/wire/route-head.js";
import { decodeRouteRequest, encodeRouteRequest, ROUTE_REQUEST_BYTES } from "../../core/wire/route-request.js";
import { decodeRouteStatus, encodeRouteStatus } from "../../core/wire/route-status.js";
import {
  decodeRouteEntry,
  decodeRoutesHead,
  ENTRY_EPOCH,
  ENTRY_FRESH,
  ENTRY_LIFE,
  ENTRY_ORIGIN,
  ENTRY_PROOF,
  ENTRY_RETRACTION,
  ENTRY_SHORT,
  ENTRY_SUSPICION,
  EPOCH_ENTRY_BYTES,
  emptyRouteEntry,
  encodeRouteEntry,
  FRESH_SAVES_BYTES,
  LIFE_BYTES,
  METRIC_LIFE_BYTES,
  openRoutes,
  PROOF_BYTES,
  RETRACTION_BYTES,
  ROUTE_BYTES,
  ROUTE_TAG_BYTES,
  ROUTES_HEAD_BYTES,
  type RouteEntry,
  readRouteEntry,
  SHORT_SAVES_BYTES,
  SUSPICION_BYTES,
  sealRoutes,
  skipRouteEntries,
} from "../../core/wire/routes.js";
import { decodeTableQuery, encodeTableQuery, TABLE_QUERY_BYTES, type TableQuery } from "../../core/wire/table-query.js";
import { decodeTableSums, encodeTableSums, TABLE_SUMS_BYTES } from "../../core/wire/table-sums.js";
import { randomFrom } from "../support/random.js";

const nac = Uint8Array.from({ length: 16 }, (_, i) => 0xa0 + i);
const route: RouteEntry = {
  flags: ENTRY_ORIGIN,
  id: 0x0c0d,
  bytes: nac,
  nacAt: 0,
  epoch: 7,
  slot: 0x01020304,
  repair: 9,
  metric: 5,
  generation: 0x0203,
  elementAt: 0,
};

const KINDS = [
  0,
  ENTRY_FRESH,
  ENTRY_RETRACTION,
  ENTRY_PROOF,
  ENTRY_LIFE,
  ENTRY_LIFE | ENTRY_PROOF,
  ENTRY_SUSPICION,
  ENTRY_EPOCH,
] as const;

function written(write: (out: Writer) => void): Uint8Array {
  const out = new Writer(new Uint8Array(2_400));
  write(out);
  return out.bytes.slice(0, out.offset);
}

describe("ROUTES", () => {
  test("has the bytes that the manual draws", () => {
    const bytes = written((out) => {
      const start = openRoutes(out, 0x0a0b0c0d);
      encodeRouteEntry(out, route);
      encodeRouteEntry(out, { ...route, flags: ENTRY_RETRACTION });
      sealRoutes(out, start, 2);
    });
    expect(bytes).toHaveLength(ROUTES_HEAD_BYTES + ROUTE_BYTES + RETRACTION_BYTES);
    expect([...bytes.subarray(0, 7)]).toEqual([ControlFrame.routes, 0x0a, 0x0b, 0x0c, 0x0d, 0, 2]);
    expect([...bytes.subarray(7, 7 + 55)]).toEqual([
      ...[0x01, 0x0c, 0x0d, ...nac, 0, 0, 0, 7, 1, 2, 3, 4, 9, 5, 2, 3],
      ...new Array(24).fill(0),
    ]);
    expect([...bytes.subarray(62)]).toEqual([0x02, 0x0c, 0x0d, ...nac]);
  });

  test("reads back what was written", () => {
    const bytes = written((out) => encodeRouteEntry(out, route));
    const into = emptyRouteEntry();
    expect(decodeRouteEntry(new Reader(bytes), into)).toBe(true);
    expect(into.bytes.slice(into.nacAt, into.nacAt + 16)).toEqual(nac);
    expect(into.elementAt).toBe(ROUTE_BYTES - 24);
    expect({ ...into, bytes: nac, nacAt: 0, elementAt: 0 }).toEqual(route);
  });

  test("names a NAC in two bytes when it is short", () => {
    const short = { ...route, flags: ENTRY_SHORT, id: 0xabcd };
    const bytes = written((out) => {
      encodeRouteEntry(out, short);
      encodeRouteEntry(out, { ...short, flags: ENTRY_SHORT | ENTRY_RETRACTION });
    });
    expect(bytes).toHaveLength(ROUTE_BYTES - ROUTE_TAG_BYTES + RETRACTION_BYTES - 2 * SHORT_SAVES_BYTES);
    expect([...bytes.subarray(0, 15)]).toEqual([0x04, 0xab, 0xcd, 0, 0, 0, 7, 1, 2, 3, 4, 9, 5, 2, 3]);
    expect([...bytes.subarray(31)]).toEqual([0x06, 0xab, 0xcd]);
    const into = emptyRouteEntry();
    const input = new Reader(bytes);
    expect([decodeRouteEntry(input, into), into.id, into.metric]).toEqual([true, 0xabcd, 5]);
    expect([decodeRouteEntry(input, into), into.id, input.remaining]).toEqual([true, 0xabcd, 0]);
  });

  test("leaves out the slot of a fresh route", () => {
    for (const flags of [ENTRY_FRESH, ENTRY_FRESH | ENTRY_SHORT, ENTRY_FRESH | ENTRY_ORIGIN]) {
      const isShort = (flags & ENTRY_SHORT) !== 0;
      const bytes = written((out) => encodeRouteEntry(out, { ...route, flags }));
      const whole = written((out) => encodeRouteEntry(out, { ...route, flags: flags & ~ENTRY_FRESH }));
      const at = isShort ? 7 : 23;
      expect([...bytes]).toEqual([flags, ...whole.subarray(1, at), ...whole.subarray(at + FRESH_SAVES_BYTES)]);
      const into = emptyRouteEntry();
      expect(decodeRouteEntry(new Reader(bytes), into)).toBe(true);
      expect([into.epoch, into.repair, into.metric, into.generation]).toEqual([7, 9, 5, 0x0203]);
      expect(into.elementAt).toBe(bytes.length - (isShort ? 16 : 24));
    }
  });

  test("tell of lives with the bytes that the manual draws", () => {
    const entries = [ENTRY_PROOF, ENTRY_LIFE, ENTRY_LIFE | ENTRY_PROOF, ENTRY_SUSPICION];
    const bytes = written((out) => {
      for (const flags of entries) encodeRouteEntry(out, { ...route, flags });
    });
    expect(bytes).toHaveLength(PROOF_BYTES + LIFE_BYTES + METRIC_LIFE_BYTES + SUSPICION_BYTES);
    expect([...bytes.subarray(0, 21)]).toEqual([0x08, 0x0c, 0x0d, ...nac, 2, 3]);
    expect([...bytes.subarray(37, 64)]).toEqual([0x10, 0x0c, 0x0d, ...nac, 0, 0, 0, 7, 1, 2, 3, 4]);
    expect([...bytes.subarray(37 + 55, 64 + 55)]).toEqual([0x18, 0x0c, 0x0d, ...nac, 0, 0, 0, 7, 1, 2, 3, 4]);
    expect([...bytes.subarray(37 + 98)]).toEqual([0x20, 0x0c, 0x0d, ...nac, 0, 0, 0, 7, 1, 2, 3, 4]);
    const input = new Reader(bytes);
    const into = emptyRouteEntry();
    for (const flags of entries) {
      expect(decodeRouteEntry(input, into)).toBe(true);
      expect(into.flags).toBe(flags);
      if (flags !== ENTRY_SUSPICION) expect(into.elementAt).toBe(input.offset - (flags === ENTRY_LIFE ? 28 : 16));
    }
    expect(input.remaining).toBe(0);
  });

  test("show whose successor an epoch is, with the bytes that the manual draws", () => {
    const bytes = written((out) => {
      encodeRouteEntry(out, { ...route, flags: ENTRY_EPOCH });
      encodeRouteEntry(out, { ...route, flags: ENTRY_EPOCH | ENTRY_SHORT });
    });
    expect(bytes).toHaveLength(2 * EPOCH_ENTRY_BYTES - SHORT_SAVES_BYTES);
    expect([...bytes.subarray(0, 23)]).toEqual([0x40, 0x0c, 0x0d, ...nac, 0, 0, 0, 7]);
    expect([...bytes.subarray(23, 27)]).toEqual([1, 2, 3, 4]);
    expect([...bytes.subarray(371, 378)]).toEqual([0x44, 0x0c, 0x0d, 0, 0, 0, 7]);
    const input = new Reader(bytes);
    const into = emptyRouteEntry();
    for (const start of [0, 371]) {
      expect(decodeRouteEntry(input, into)).toBe(true);
      expect([into.epoch, into.elementAt, input.offset - into.elementAt]).toEqual([
        route.epoch,
        start === 0 ? 27 : 382,
        EPOCH_PROOF_BYTES,
      ]);
    }
  });

  test("of many entries are skipped and then read one by one, with the same outcome as reading each by itself", () => {
    const random = randomFrom("entries");
    for (let round = 0; round < 2_000; round += 1) {
      const kind = () => KINDS[random.below(KINDS.length)]! | (random.below(2) * ENTRY_SHORT) | random.below(2);
      const count = random.below(6);
      const whole = written((out) => {
        for (let i = 0; i < count; i += 1) {
          const metric = random.chance(0.05) ? 64 : random.below(64);
          encodeRouteEntry(out, { ...route, flags: kind(), id: random.below(65_536), metric });
        }
      });
      if (whole.length > 0 && random.chance(0.2)) whole[random.below(whole.length)] = random.below(256);
      const bytes = random.chance(0.2) ? whole.subarray(0, random.below(whole.length + 1)) : whole;
      const one = new Reader(bytes);
      const read: RouteEntry[] = [];
      for (let i = 0; i < count; i += 1) {
        const into = emptyRouteEntry();
        if (decodeRouteEntry(one, into)) read.push(into);
        else break;
      }
      const all = new Reader(bytes);
      const isSound = skipRouteEntries(all, count);
      expect(isSound).toBe(read.length === count);
      if (!isSound) continue;
      expect([all.offset, all.remaining]).toEqual([one.offset, one.remaining]);
      const again: RouteEntry[] = [];
      for (let at = 0; at < bytes.length; ) {
        const into = emptyRouteEntry();
        at = readRouteEntry(bytes, at, into);
        again.push(into);
      }
      expect(again).toEqual(read);
    }
  });

  test("refuses the number zero, reserved flags, an infinite metric, and bytes that end early", () => {
    expect(decodeRoutesHead(new Reader(new Uint8Array(6)))).toBeUndefined();
    const refused = (entry: RouteEntry) =>
      decodeRouteEntry(new Reader(written((out) => encodeRouteEntry(out, entry))), emptyRouteEntry());
    for (let flags = 0; flags < 256; flags += 1) {
      const kind = flags & ~(ENTRY_ORIGIN | ENTRY_SHORT);
      const isEntry = (KINDS as readonly number[]).includes(kind);
      if (!isEntry) expect(() => refused({ ...route, flags })).toThrow(RangeError);
      const bytes = new Uint8Array(400);
      bytes[0] = flags;
      expect(decodeRouteEntry(new Reader(bytes), emptyRouteEntry()), `flags ${flags}`).toBe(isEntry);
    }
    expect(refused({ ...route, metric: 64 })).toBe(false);
    expect(refused({ ...route, metric: 63 })).toBe(true);
    const whole = written((out) => encodeRouteEntry(out, route));
    for (let length = 0; length < whole.length; length += 1) {
      expect(decodeRouteEntry(new Reader(whole.subarray(0, length)), emptyRouteEntry())).toBe(false);
    }
  });
});

describe("EPOCH_REQUEST", () => {
  const request: EpochRequest = { want: EpochWant.proof, nac, epoch: 0x01020304, known: 0x05060708 };

  test("has the bytes that the manual draws, and reads back as what was written", () => {
    const bytes = written((out) => encodeEpochRequest(out, request));
    expect([...bytes]).toEqual([ControlFrame.epochRequest, 1, ...nac, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(bytes).toHaveLength(EPOCH_REQUEST_BYTES);
    expect(decodeEpochRequest(new Reader(bytes, 1))).toEqual(request);
  });

  test("of any bytes, those are refused that are too few or want something else; nothing throws", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const isWhole = bytes.length >= EPOCH_REQUEST_BYTES - 1 && (bytes[0] === 1 || bytes[0] === 2);
        expect(decodeEpochRequest(new Reader(bytes)) !== undefined).toBe(isWhole);
      }),
      { examples: [[new Uint8Array(25).fill(1)], [new Uint8Array(25).fill(2)], [new Uint8Array(24).fill(1)]] },
    );
  });
});

describe("TABLE_QUERY and TABLE_SUMS", () => {
  const query = (asked: TableQuery) => written((out) => encodeTableQuery(out, asked));

  test("read back what was written, at their drawn sizes", () => {
    const sumsWanted = { depth: 2, prefix: 0xab00_0000, nacs: undefined };
    expect([...query(sumsWanted)]).toEqual([ControlFrame.tableQuery, 2, 0xab, 0, 0, 0, 0xff]);
    expect(decodeTableQuery(new Reader(query(sumsWanted), 1))).toEqual(sumsWanted);
    const leaf = { depth: 8, prefix: 0x1234_5678, nacs: new Array(8).fill(nac) };
    expect(query(leaf)).toHaveLength(TABLE_QUERY_BYTES);
    expect(decodeTableQuery(new Reader(query(leaf), 1))).toEqual(leaf);

    const sums = { depth: 7, prefix: 0xfedc_ba90, sent: 77, sums: Uint32Array.from({ length: 16 }, (_, i) => ~i) };
    const bytes = written((out) => encodeTableSums(out, sums));
    expect(bytes).toHaveLength(TABLE_SUMS_BYTES);
    expect(decodeTableSums(new Reader(bytes, 1))).toEqual(sums);
  });

  test("refuse depths and prefixes that are none, more NACs than a leaf has, and bytes that end early", () => {
    const refused = (asked: TableQuery) => decodeTableQuery(new Reader(query(asked), 1)) === undefined;
    expect(refused({ depth: 9, prefix: 0, nacs: undefined })).toBe(true);
    expect(refused({ depth: 0, prefix: 1, nacs: undefined })).toBe(true);
    expect(refused({ depth: 1, prefix: 0x0800_0000, nacs: undefined })).toBe(true);
    expect(refused({ depth: 1, prefix: 0xf000_0000, nacs: undefined })).toBe(false);
    expect(refused({ depth: 1, prefix: 0, nacs: new Array(9).fill(nac) })).toBe(true);
    const leaf = query({ depth: 1, prefix: 0, nacs: [nac] });
    for (let length = 1; length < leaf.length; length += 1) {
      expect(decodeTableQuery(new Reader(leaf.subarray(0, length), 1))).toBeUndefined();
    }
    const deep = { depth: 8, prefix: 0, sent: 0, sums: new Uint32Array(16) };
    expect(
      decodeTableSums(
        new Reader(
          written((out) => encodeTableSums(out, deep)),
          1,
        ),
      ),
    ).toBeUndefined();
    expect(decodeTableSums(new Reader(new Uint8Array(72)))).toBeUndefined();
  });
});

describe("ROUTE_STATUS, ROUTE_HEAD and ROUTE_REQUEST", () => {
  test("read back what was written, at their drawn sizes", () => {
    const status = {
      processed: 41,
      missing: [
        { start: 43, length: 2 },
        { start: 50, length: 65_535 },
      ],
    };
    const statusBytes = written((out) => encodeRouteStatus(out, status));
    expect(statusBytes).toHaveLength(6 + 2 * 6);
    expect(statusBytes[0]).toBe(ControlFrame.routeStatus);
    expect(decodeRouteStatus(new Reader(statusBytes, 1))).toEqual(status);

    const head = written((out) => encodeRouteHead(out, 0xfffffffe));
    expect(head).toHaveLength(ROUTE_HEAD_BYTES);
    expect(head[0]).toBe(ControlFrame.routeHead);
    expect(decodeRouteHead(new Reader(head, 1))).toBe(0xfffffffe);

    const request = { hops: 32, nac, epoch: 3, slot: 4, repair: 5, life: 0x0a0b0c0d };
    const requestBytes = written((out) => encodeRouteRequest(out, request));
    expect(requestBytes).toHaveLength(ROUTE_REQUEST_BYTES);
    expect(requestBytes[0]).toBe(ControlFrame.routeRequest);
    expect(decodeRouteRequest(new Reader(requestBytes, 1))).toEqual(request);
  });

  test("refuse an empty range, a range of what was processed, no hops, and bytes that end early", () => {
    const status = (start: number, length: number) =>
      decodeRouteStatus(
        new Reader(
          written((out) => encodeRouteStatus(out, { processed: 9, missing: [{ start, length }] })),
          1,
        ),
      );
    expect(status(10, 1)).toBeDefined();
    expect(status(10, 0)).toBeUndefined();
    expect(status(9, 1)).toBeUndefined();
    const request = written((out) => encodeRouteRequest(out, { hops: 0, nac, epoch: 3, slot: 4, repair: 5, life: 0 }));
    expect(decodeRouteRequest(new Reader(request, 1))).toBeUndefined();
    for (let length = 0; length < request.length - 1; length += 1) {
      expect(decodeRouteRequest(new Reader(request.subarray(0, length)))).toBeUndefined();
    }
    expect(decodeRouteHead(new Reader(new Uint8Array(3)))).toBeUndefined();
    expect(decodeRouteStatus(new Reader(Uint8Array.of(0, 0, 0, 0, 1)))).toBeUndefined();
  });

  test("never throw on a stranger's bytes", () => {
    const random = randomFrom("strangers");
    for (let i = 0; i < 20_000; i += 1) {
      const bytes = random.bytes(random.below(80));
      const decoders = [decodeRouteStatus, decodeRouteHead, decodeRouteRequest, decodeRoutesHead];
      for (const decode of [...decoders, decodeTableQuery, decodeTableSums]) {
        decode(new Reader(bytes));
      }
      decodeRouteEntry(new Reader(bytes), emptyRouteEntry());
    }
  });
});
