/** The process of the feeders of one daemon: `feeder-program RECORDING COUNT NETWORK`. */
import { readFileSync } from "node:fs";
import { SLOT_MS } from "../../core/link/network-time.js";
import { createNativeSuite } from "../crypto/native-suite.js";
import { createStderrLog } from "../log.js";
import { FeedChains } from "./feed-chains.js";
import { FeedPlayer } from "./feed-player.js";
import { decodeRecording } from "./feed-recording.js";
import type { Telling } from "./feed-teller.js";
import { Feeder } from "./feeder.js";
import { serve } from "./program.js";

export interface FeederFigures {
  /** Of each feeder. */
  readonly routes: readonly number[];
  readonly neighbours: readonly number[];
  /** UDP payload that all of them sent. */
  readonly sentBytes: number;
  readonly told: number;
  readonly isOver: boolean;
}

const [path = "", count = "0", network = ""] = process.argv.slice(2);
const recording = decodeRecording(readFileSync(path));
if (recording === undefined) throw new Error(`${path} is no recording of a feed`);
const suite = createNativeSuite();
const log = createStderrLog("warn", false);
const nodes = recording.nacs.length / 16;
const startMs = Date.now();
const chains = new FeedChains(suite, Math.floor(startMs / SLOT_MS));
makeAll();
const opened = Array.from({ length: Number(count) }, () => Feeder.open({ suite, network, nodes, log, chains }));
const feeders = await Promise.all(opened);
const player = new FeedPlayer(recording, feeders);

serve(
  {
    peers: () => feeders.map(({ peer }) => peer),
    load: () => player.load(startMs),
    play: () => player.start(),
    hold: () => player.hold(),
    /** Of whom any of them knows, themselves included. */
    nacs: () => [...new Set(feeders.flatMap((feeder) => feeder.nacs()))],
    figures: (): FeederFigures => ({
      routes: feeders.map(({ routes }) => routes),
      neighbours: feeders.map(({ neighbours }) => neighbours),
      sentBytes: feeders.reduce((sum, { sentBytes }) => sum + sentBytes, 0),
      told: player.told,
      isOver: player.isOver,
    }),
  },
  async () => {
    player.stop();
    await Promise.all(feeders.map((feeder) => feeder.close()));
  },
);

/** The chains of all that is told at first: a minute or two, in which a feeder would fall asleep. */
function makeAll(): void {
  const listener = {
    tell(tellings: readonly Telling[]): void {
      for (const { nac, epoch } of tellings) chains.make(nac, epoch);
    },
  };
  new FeedPlayer(
    recording!,
    Array.from({ length: Number(count) }, () => listener),
  ).load(startMs);
}
