import { ExitCode, Failure } from "../failure.js";
import { type Replay, type ReplaySuite, replayJournal } from "../journal/replay.js";
import { formatFields, paint, print, printJson } from "./output.js";

/** Repeats a journal and prints what came of it. Throws a Failure when that differs, or the file is no journal. */
export function runReplay(path: string, options: { json: boolean; suite: ReplaySuite | undefined }): void {
  const replay = replayJournal(path, options.suite);
  if (options.json) printJson(replay);
  else print(formatReplay(replay));
  if (replay.firstDifference === null) return;
  const what = `the replay of ${path} differs from input ${replay.firstDifference} on: ${replay.difference}`;
  throw new Failure("journal.differs", ExitCode.differs, what, "replay it with the build that recorded it");
}

function formatReplay(replay: Replay): string {
  const { suite, recordedSuite, firstDifference } = replay;
  const isSame = firstDifference === null;
  return formatFields([
    ["replay", isSame ? paint("green", "identical") : paint("red", `differs from input ${firstDifference} on`)],
    ["inputs", String(replay.inputs)],
    ["outputs", String(replay.outputs)],
    ["sha256", replay.sha256],
    ["suite", suite === recordedSuite ? suite : `${suite}, recorded with ${recordedSuite}`],
    [
      "end",
      replay.truncated ? "cut off: the daemon was killed, or the journal stopped" : isSame ? "whole" : "not reached",
    ],
  ]);
}
