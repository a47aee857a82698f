/** The process that records a feed: `record-program FILE SCENARIO TELLERS FROM UNTIL [KEY=VALUE...]`, times in virtual seconds. */
import { renameSync, writeFileSync } from "node:fs";
import { loadPlan } from "../sim/scenario-file.js";
import { recordFeed } from "./feed-recorder.js";
import { encodeRecording } from "./feed-recording.js";
import { serve } from "./program.js";

const [path = "", scenario = "", tellers = "", from = "", until = "", ...set] = process.argv.slice(2);

serve(
  {
    record: (): void => {
      const span = { fromUs: Number(from) * 1e6, untilUs: Number(until) * 1e6 };
      const plan = loadPlan(scenario, { set });
      const source = [plan.name, ...set, `seed ${plan.seed}`].join(", ");
      const recording = recordFeed(plan, { tellers: Number(tellers), span, source });
      writeFileSync(`${path}.part`, encodeRecording(recording));
      renameSync(`${path}.part`, path);
    },
  },
  async () => undefined,
);
