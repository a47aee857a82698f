import { NacDictionary } from "../../core/address/dictionary.js";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import { IncomingIds } from "../../core/routing/short-ids.js";
import { ControlFrame, RecordKind } from "../../core/wire/control-frame.js";
import { Reader } from "../../core/wire/cursor.js";
import { HELLO_BYTES } from "../../core/wire/hello.js";
import { decodeRouteHead } from "../../core/wire/route-head.js";
import { decodeRouteStatus } from "../../core/wire/route-status.js";
import {
  decodeRouteEntry,
  decodeRoutesHead,
  ENTRY_RETRACTION,
  ENTRY_SHORT,
  emptyRouteEntry,
} from "../../core/wire/routes.js";

interface Overheard {
  readonly ids: IncomingIds;
  /** Of the newest ROUTES message read: a repair repeats an older one. */
  number: number;
  readonly names: Map<number, readonly Uint8Array[]>;
}

/**
 * Reads what a neighbour reads, and so knows which NACs the short ids of a record stand for. It must hear each session from
 * its start, and nothing may be lost; a session is told by its key.
 */
export class Eavesdropper {
  private readonly dictionary = new NacDictionary();
  private readonly sessions = new Map<string, Overheard>();

  /** The plaintext of a record, with all NACs that it names by ids appended in full. */
  unfold(plaintext: Uint8Array, session: string): Uint8Array {
    if (plaintext[0] !== RecordKind.control) return plaintext;
    const known = this.sessions.get(session);
    const overheard = known ?? {
      ids: new IncomingIds(heapAllocator),
      number: 0,
      names: new Map(),
    };
    this.sessions.set(session, overheard);
    const named: Uint8Array[] = [];
    const input = new Reader(plaintext, 1);
    while (input.remaining > 0) {
      const type = input.u8();
      if (type === ControlFrame.hello) input.skip(HELLO_BYTES);
      else if (type === ControlFrame.routeStatus) decodeRouteStatus(input);
      else if (type === ControlFrame.routeHead) decodeRouteHead(input);
      else if (type === ControlFrame.routes) named.push(...this.names(input, overheard));
      else break; // what follows names NACs in full
    }
    return Buffer.concat([plaintext, ...named]);
  }

  private names(input: Reader, overheard: Overheard): readonly Uint8Array[] {
    const { number, count } = decodeRoutesHead(input)!;
    const entry = emptyRouteEntry();
    const isRepair = number <= overheard.number;
    if (!isRepair && number !== overheard.number + 1) throw new Error(`message ${number} was not overheard in order`);
    const named: Uint8Array[] = [];
    for (let i = 0; i < count; i += 1) {
      decodeRouteEntry(input, entry);
      if (isRepair) continue;
      const isRetraction = (entry.flags & ENTRY_RETRACTION) !== 0;
      if ((entry.flags & ENTRY_SHORT) !== 0) {
        named.push(this.dictionary.bytesOf(overheard.ids.destinationOf(entry.id)));
        if (isRetraction) overheard.ids.end(entry.id);
      } else if (!isRetraction) overheard.ids.give(entry.id, this.dictionary.intern(entry.bytes, entry.nacAt));
    }
    if (isRepair) return overheard.names.get(number)!;
    overheard.number = number;
    overheard.names.set(number, named);
    return named;
  }
}
