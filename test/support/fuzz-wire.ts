/** Every decoder of core/wire as a target: found by their names, so that a new one cannot be forgotten. */
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { FrameType } from "../../core/wire/cell.js";
import { ControlFrame } from "../../core/wire/control-frame.js";
import { Reader } from "../../core/wire/cursor.js";
import { DatagramFrame } from "../../core/wire/datagram-frame.js";
import { Feedback } from "../../core/wire/feedback-frame.js";
import { PacketType } from "../../core/wire/flight.js";
import { emptyHello } from "../../core/wire/hello.js";
import { NetworkHeader } from "../../core/wire/network-header.js";
import { emptyRouteEntry } from "../../core/wire/routes.js";
import { StreamFrame } from "../../core/wire/stream-frame.js";
import type { FuzzTarget } from "./fuzz.js";
import type { Corpus } from "./fuzz-corpus.js";

type Decode = (input: Reader, ...more: unknown[]) => unknown;

const WIRE = fileURLToPath(new URL("../../core/wire/", import.meta.url));

/** Where a decoder begins to read in what travels, and in which samples. */
interface Place {
  readonly family: "flights" | "frames";
  /** Frames so short that one input is given to all of them. */
  readonly isSmall?: boolean;
  readonly samples: (corpus: Corpus) => readonly Uint8Array[];
  readonly read?: (bytes: Uint8Array, decode: Decode) => void;
}

const flight = (type: number): Place => ({
  family: "flights",
  samples: ({ datagrams }) => datagrams.get(type) ?? [],
});
const body: Place = { family: "flights", samples: ({ bodies }) => bodies };
/** The frame's own bytes are somewhere in a record: at any place where its type stands. */
const frame = (type: number, more: Partial<Place> = {}): Place => ({
  family: "frames",
  samples: ({ records }) => records.flatMap((record) => after(record, type)),
  ...more,
});
const cellFrame = (type: number, more: Partial<Place> = {}): Place => ({
  ...frame(type, more),
  samples: ({ cells }) => cells.flatMap((cell) => after(cell, type)),
});
const small = { isSmall: true };
const into = (make: () => unknown): Partial<Place> => ({
  read: (bytes, decode) => void decode(new Reader(bytes), make()),
});

const PLACES: Readonly<Record<string, Place>> = {
  decodeInit: flight(PacketType.init),
  decodeInitBody: body,
  decodeResp: flight(PacketType.resp),
  decodeRespBody: body,
  decodeConf: flight(PacketType.conf),
  decodeConfBody: body,
  decodeParams: { ...body, ...small },
  decodeBiscuitState: body,
  decodeCookie: flight(PacketType.cookie),
  decodeKeyRequest: flight(PacketType.keyRequest),
  decodeKeyResponse: flight(PacketType.keyResponse),
  decodeUnknown: { ...flight(PacketType.unknown), ...small },
  decodeNetworkHeader: {
    family: "frames",
    samples: ({ records }) => records.filter((record) => record[0] === 1),
    read: (bytes, decode) => {
      const decodeHeader = decode as unknown as (
        bytes: Uint8Array,
        at: number,
        length: number,
        into: object,
      ) => boolean;
      decodeHeader(bytes, 0, bytes.length, new NetworkHeader());
    },
  },
  decodeHello: frame(ControlFrame.hello, into(emptyHello)),
  decodeBye: frame(ControlFrame.bye, small),
  decodeMerge: frame(ControlFrame.merge),
  decodePathChallenge: frame(ControlFrame.pathChallenge, small),
  decodeRekeyOffer: frame(ControlFrame.rekeyOffer),
  decodeRekeyAnswer: frame(ControlFrame.rekeyAnswer),
  decodeRoutesHead: frame(ControlFrame.routes, small),
  decodeRouteEntry: frame(ControlFrame.routes, into(emptyRouteEntry)),
  decodeRouteHead: frame(ControlFrame.routeHead, small),
  decodeRouteRequest: frame(ControlFrame.routeRequest),
  decodeRouteStatus: frame(ControlFrame.routeStatus),
  decodeTableQuery: frame(ControlFrame.tableQuery, small),
  decodeTableSums: frame(ControlFrame.tableSums),
  decodeEpochRequest: frame(ControlFrame.epochRequest),
  decodeCellHeader: { family: "frames", isSmall: true, samples: ({ cells }) => cells },
  decodePing: cellFrame(FrameType.ping, small),
  decodeClose: cellFrame(FrameType.close, small),
  decodeMaxSession: cellFrame(FrameType.maxSession, small),
  decodeMaxStream: cellFrame(FrameType.maxStream, small),
  decodeOpen: cellFrame(FrameType.open, small),
  decodeAccept: cellFrame(FrameType.accept, small),
  decodeReset: cellFrame(FrameType.reset, small),
  decodeStop: cellFrame(FrameType.stop, small),
  decodeFeedback: cellFrame(
    FrameType.feedback,
    into(() => new Feedback()),
  ),
  decodeDatagram: cellFrame(
    FrameType.datagram,
    into(() => new DatagramFrame()),
  ),
  decodeDescriptorRequest: cellFrame(FrameType.descriptorRequest, small),
  decodeDescriptorPart: cellFrame(FrameType.descriptorPart),
  decodeStreamFrame: cellFrame(FrameType.stream, {
    read: (bytes, decode) => {
      for (let type = FrameType.stream; type < FrameType.stream + 4; type += 1) {
        decode(new Reader(bytes), type, new StreamFrame());
      }
    },
  }),
};

/** All decoders of a family; the small ones are one target together. Throws when a decoder has no place above. */
export async function wireTargets(family: Place["family"], corpus: Corpus): Promise<FuzzTarget[]> {
  const targets: FuzzTarget[] = [];
  const together: FuzzTarget[] = [];
  for (const [name, decode] of await decoders()) {
    const place = PLACES[name];
    if (place === undefined) throw new Error(`fuzz: ${name} of core/wire has no place in test/support/fuzz-wire.ts`);
    if (place.family !== family) continue;
    const read = place.read ?? ((bytes: Uint8Array, one: Decode) => void one(new Reader(bytes)));
    const target = { name, corpus: place.samples(corpus), read: (bytes: Uint8Array) => read(bytes, decode) };
    if (place.isSmall) together.push(target);
    else targets.push(target);
  }
  targets.push({
    name: together.map(({ name }) => name).join(", "),
    corpus: together.flatMap((target) => target.corpus.slice(0, 100)),
    read: (bytes) => {
      for (const target of together) target.read(bytes.slice());
    },
  });
  return targets.map((target) => ({ ...target, corpus: target.corpus.length > 0 ? target.corpus : corpus.bodies }));
}

/** `decode*` of every file, in order of their names. */
async function decoders(): Promise<[string, Decode][]> {
  const all: [string, Decode][] = [];
  for (const file of readdirSync(WIRE).sort()) {
    const module = (await import(`${WIRE}${file}`)) as Record<string, unknown>;
    for (const [name, value] of Object.entries(module)) {
      if (name.startsWith("decode") && typeof value === "function") all.push([name, value as Decode]);
    }
  }
  return all;
}

function after(bytes: Uint8Array, type: number): Uint8Array[] {
  const at = bytes.indexOf(type, 1);
  return at < 0 ? [] : [bytes.subarray(at + 1)];
}
