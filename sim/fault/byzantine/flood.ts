import type { Link } from "../../../core/stack/link.js";
import { ControlFrame } from "../../../core/wire/control-frame.js";
import type { Writer } from "../../../core/wire/cursor.js";
import { encodeRouteRequest, ROUTE_REQUEST_BYTES } from "../../../core/wire/route-request.js";
import type { Liar } from "./liar.js";

const MALFORMED_PER_SECOND = 100;
const OVERSIZED_PER_SECOND = 500;
/** As far as a request may go. */
const HOPS = 32;

/** Records that are sealed as they should be, whose frames are not what they say. */
export function malformed(nowUs: number, liar: Liar): void {
  flood(nowUs, liar, MALFORMED_PER_SECOND, (out) => garble(out, liar));
}

/** Records as large as they can be, full of requests that each want something newer than there is. */
export function oversized(nowUs: number, liar: Liar): void {
  flood(nowUs, liar, OVERSIZED_PER_SECOND, (out) => demand(out, liar));
}

function flood(nowUs: number, liar: Liar, perSecond: number, write: (out: Writer) => void): void {
  const { links, sender } = liar.inside;
  liar.every(nowUs, Math.round(1_000_000 / perSecond), () => {
    for (const link of links as Iterable<Link>) {
      if (!link.isUp) continue;
      const out = sender.controlWriter();
      write(out);
      sender.sendControl(link, out);
    }
  });
}

function garble(out: Writer, liar: Liar): void {
  const chance = liar.draw();
  switch (chance % 4) {
    case 0: // 65,535 entries, of which one is there
      out.u8(ControlFrame.routes).u32(liar.draw()).u16(0xffff).zeros(19);
      return;
    case 1: // an entry whose flags are of no entry
      out.u8(ControlFrame.routes).u32(liar.draw()).u16(1).u8(0xff).zeros(60);
      return;
    case 2: // a frame that ends in its middle
      out.u8(ControlFrame.tableQuery).u16(0xffff);
      return;
    default:
      while (out.room >= 4) out.u32(liar.draw());
  }
}

function demand(out: Writer, liar: Liar): void {
  const { table } = liar.inside;
  const { records, dictionary } = table;
  const wanted = liar.take(Math.floor(out.room / ROUTE_REQUEST_BYTES));
  if (wanted.length === 0) return;
  for (let i = 0; out.room >= ROUTE_REQUEST_BYTES; i += 1) {
    const destination = wanted[i % wanted.length]!;
    const index = records.index(destination) + 1;
    encodeRouteRequest(out, {
      hops: HOPS,
      nac: dictionary.bytesOf(destination),
      epoch: records.epoch(destination),
      slot: Math.floor(index / 256),
      repair: index % 256,
      life: 0,
    });
  }
}
