/** What a schema cannot see: times after the end, names of things that are not there, graphs that cannot be. */

import { ACTIONS_MAX } from "./cast.js";
import type { Complaint, Place } from "./complaint.js";
import { play } from "./expand.js";
import { parseExpectation } from "./expect.js";
import type { ScenarioData } from "./schema.js";
import { NODES_MAX } from "./topologies.js";

/** One that plays the whole scenario with its own seed and hears what it has to complain of. */
export function meaningComplaints(data: ScenarioData, place: Place): Complaint[] {
  const complaints: Complaint[] = [];
  const complain = (path: readonly PropertyKey[], message: string): void => {
    if (complaints.length < COMPLAINTS_MAX) complaints.push({ ...place(path), message });
  };
  checkTimes(data, complain);
  checkChoices(data, complain);
  checkNumbers(data, complain);
  for (const [i, text] of data.expect.entries()) {
    const parsed = parseExpectation(text);
    if (!parsed.ok) complain(["expect", i], `expect[${i}]: ${parsed.message}`);
    else if (parsed.expectation.toUs !== undefined && parsed.expectation.toUs > data.duration) {
      complain(["expect", i], `expect[${i}]: ends after the end of the run`);
    }
  }
  if (complaints.length === 0) play(data, data.seed, complain);
  return complaints;
}

const COMPLAINTS_MAX = 200;

type Complain = (path: readonly PropertyKey[], message: string) => void;

function checkTimes(data: ScenarioData, complain: Complain): void {
  const end = data.duration;
  const late = (path: readonly PropertyKey[], name: string, us: number | undefined): void => {
    if (us !== undefined && us > end) complain(path, `${name}: ${seconds(us)} is after the end, ${seconds(end)}`);
  };
  late(["warmup"], "warmup", data.warmup);
  late(["nodes", "over"], "nodes.over", data.nodes.over);
  for (const [i, entry] of data.timeline.entries()) late(["timeline", i, "at"], `timeline[${i}].at`, entry.at);
  for (const list of ["churn", "flaps", "traffic"] as const) {
    for (const [i, one] of data[list].entries()) {
      late([list, i, "start"], `${list}[${i}].start`, one.start);
      late([list, i, "end"], `${list}[${i}].end`, one.end);
      if (one.end !== undefined && one.end < one.start) {
        complain([list, i, "end"], `${list}[${i}].end: ${seconds(one.end)} is before its start, ${seconds(one.start)}`);
      }
    }
  }
}

/** Found before anything is drawn: a plan of millions would take its time to be refused. */
function checkNumbers(data: ScenarioData, complain: Complain): void {
  for (const [list, most] of [
    ["churn", NODES_MAX],
    ["traffic", ACTIONS_MAX],
  ] as const) {
    for (const [i, { arrivals, start, end }] of data[list].entries()) {
      if (typeof arrivals !== "number") continue;
      const expected = Math.round((arrivals * ((end ?? data.duration) - start)) / HOUR_US);
      if (expected > most) {
        complain([list, i, "arrivals"], `${list}[${i}].arrivals: about ${expected} of them, more than ${most}`);
      }
    }
  }
}

const HOUR_US = 3600 * 1_000_000;

/** Where one of two keys is needed, and only one makes sense. */
function checkChoices(data: ScenarioData, complain: Complain): void {
  const choose = (
    path: readonly PropertyKey[],
    name: string,
    one: string,
    other: string,
    has: [unknown, unknown],
  ): void => {
    const given = has.filter((value) => value !== undefined).length;
    if (given !== 1) complain(path, `${name}: expected either ${one} or ${other}`);
  };
  for (const [i, entry] of data.timeline.entries()) {
    const path = ["timeline", i];
    const name = `timeline[${i}]`;
    if (entry.do === "flap") {
      choose(path, name, "between", "select", [entry.between, entry.select]);
      if (entry.down >= entry.every) complain([...path, "down"], `${name}.down: expected less than every`);
    }
    if (entry.do === "rebind" || entry.do === "reboot") {
      choose(path, name, "subnet", "select", [entry.subnet, entry.select]);
    }
  }
  for (const [i, flap] of data.flaps.entries()) {
    choose(["flaps", i], `flaps[${i}]`, "between", "select", [flap.between, flap.select]);
  }
  const regions = data.regions?.names ?? [];
  for (const [list, entries] of [
    ["churn", data.churn],
    ["timeline", data.timeline],
  ] as const) {
    for (const [i, entry] of entries.entries()) {
      if ("region" in entry && entry.region !== undefined && !regions.includes(entry.region)) {
        complain([list, i, "region"], `${list}[${i}].region: there is no region "${entry.region}"`);
      }
    }
  }
}

function seconds(us: number): string {
  return `${us / 1_000_000}s`;
}
