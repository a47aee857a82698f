import { ControlFrame } from "../../core/wire/control-frame.js";
import { Reader } from "../../core/wire/cursor.js";
import { decodeEpochRequest } from "../../core/wire/epoch-request.js";
import { decodeRouteHead } from "../../core/wire/route-head.js";
import { decodeRouteRequest } from "../../core/wire/route-request.js";
import { decodeRouteStatus } from "../../core/wire/route-status.js";
import {
  decodeRoutesHead,
  ENTRY_RETRACTION,
  emptyRouteEntry,
  readRouteEntry,
  skipRouteEntries,
} from "../../core/wire/routes.js";
import { decodeTableQuery } from "../../core/wire/table-query.js";
import { decodeTableSums } from "../../core/wire/table-sums.js";

/** What a record of control frames says, one phrase for each frame: "routes 3 (two, one taken back)", "a question for a newer index". */
export function recordWords(record: Uint8Array): string {
  const input = new Reader(record);
  const phrases: string[] = [];
  while (input.remaining > 0) {
    const phrase = frameWords(input);
    if (phrase === undefined) return [...phrases, "what cannot be read"].join(", ");
    phrases.push(phrase);
  }
  return phrases.join(", ");
}

function frameWords(input: Reader): string | undefined {
  switch (input.u8()) {
    case ControlFrame.routes:
      return routesWords(input);
    case ControlFrame.routeStatus: {
      const status = decodeRouteStatus(input);
      if (status === undefined) return undefined;
      const missing = status.missing.map(({ start, length }) =>
        length === 1 ? start : `${start}-${start + length - 1}`,
      );
      return missing.length === 0 ? `"got ${status.processed}"` : `"missing ${missing.join(" ")}"`;
    }
    case ControlFrame.routeHead: {
      const sent = decodeRouteHead(input);
      return sent === undefined ? undefined : `"${sent} was the last"`;
    }
    case ControlFrame.routeRequest:
      return decodeRouteRequest(input) === undefined ? undefined : "a request for a newer index";
    case ControlFrame.tableQuery:
      return decodeTableQuery(input) === undefined ? undefined : "a question about the table";
    case ControlFrame.tableSums:
      return decodeTableSums(input) === undefined ? undefined : "sums of the table";
    case ControlFrame.epochRequest:
      return decodeEpochRequest(input) === undefined ? undefined : "a request for the proof of an epoch";
    default:
      return undefined;
  }
}

function routesWords(input: Reader): string | undefined {
  const head = decodeRoutesHead(input);
  if (head === undefined) return undefined;
  const start = input.offset;
  if (!skipRouteEntries(input, head.count)) return undefined;
  const entry = emptyRouteEntry();
  const words: string[] = [];
  for (let at = start; at < input.offset; ) {
    at = readRouteEntry(input.bytes, at, entry);
    words.push((entry.flags & ENTRY_RETRACTION) === 0 ? `metric ${entry.metric}` : "taken back");
  }
  return `routes ${head.number} (${words.join(", ")})`;
}
