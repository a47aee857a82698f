/** Churn, flaps and traffic: each draws the time of its next event when the last one has come. */
import { exponential, weibull, weibullResidual } from "../random/samplers.js";
import type { Stream } from "../random/stream.js";
import type { Cast } from "./cast.js";
import { Links } from "./link-states.js";
import type { Churn, Flap, TrafficProcess } from "./processes.js";
import { addTransfer } from "./transfers.js";

type Path = readonly PropertyKey[];

const HOUR_US = 3600 * 1_000_000;

export function addProcesses(cast: Cast): void {
  const { churn, flaps, traffic } = cast.draft.data;
  for (const [i, one] of churn.entries()) cast.at(one.start, () => addChurn(cast, one, ["churn", i]));
  for (const [i, one] of flaps.entries()) cast.at(one.start, () => addFlaps(cast, one, ["flaps", i]));
  for (const [i, one] of traffic.entries()) addTraffic(cast, one, ["traffic", i]);
}

/** `run` at the times of a Poisson process. */
function poisson(cast: Cast, perHour: number, startUs: number, endUs: number, stream: Stream, run: () => void): void {
  if (perHour <= 0) return;
  const next = (afterUs: number): void => {
    const atUs = afterUs + Math.max(1, Math.round((HOUR_US / perHour) * exponential(stream)));
    if (atUs > endUs) return;
    cast.at(atUs, () => {
      run();
      next(atUs);
    });
  };
  next(startUs);
}

function addChurn(cast: Cast, churn: Churn, path: Path): void {
  const { sessions } = churn;
  const id = String(path[1]);
  const stream = cast.stream("churn", id);
  const shape = sessions.kind === "weibull" ? sessions.shape / 1_000_000 : 1;
  const law = { mean: sessions.mean, shape };
  const endUs = churn.end ?? cast.endUs;
  /** Whose sessions have ended here. */
  const gone: number[] = [];

  const endAfter = (node: number, us: number): void => {
    const life = cast.lifeOf(node);
    const atUs = cast.nowUs + Math.max(1, Math.round(us));
    if (atUs > endUs) return;
    const how = stream.hits(churn.crash) ? "crash" : "leave";
    cast.at(atUs, () => {
      // The timeline may have ended it before.
      if (!cast.isAlive(node) || cast.lifeOf(node) !== life) return;
      cast.end(node, how);
      gone.push(node);
    });
  };

  const initial = cast.select(churn.select ?? "all", [...path, "select"], "any");
  for (const node of initial) {
    const residual = weibullResidual(cast.stream(`session-${id}`, node), law);
    const atUs = Math.max(cast.nowUs, cast.firstUs(node)) + Math.max(1, Math.round(residual));
    if (atUs > endUs) continue;
    const how = stream.hits(churn.crash) ? "crash" : "leave";
    cast.at(atUs, () => {
      if (!cast.isAlive(node)) return;
      cast.end(node, how);
      gone.push(node);
    });
  }

  if (churn.arrivals === "none") return;
  const balanced = (initial.length * HOUR_US) / sessions.mean;
  const perHour = churn.arrivals === "balanced" ? balanced : churn.arrivals;
  const arrivals = cast.stream("arrivals", id);
  poisson(cast, perHour, churn.start, endUs, arrivals, () => {
    let node: number | undefined;
    if (gone.length > 0 && arrivals.hits(churn.returning)) {
      const place = arrivals.below(gone.length);
      node = gone[place]!;
      gone[place] = gone[gone.length - 1]!;
      gone.pop();
      if (cast.isAlive(node)) return; // the timeline has brought it back
      cast.start(node, churn.state === "kept");
    } else node = cast.arrive(churn, arrivals);
    if (node !== undefined) endAfter(node, weibull(stream, law));
  });
}

function addFlaps(cast: Cast, flap: Flap, path: Path): void {
  const links = new Links(cast);
  const endUs = flap.end ?? cast.endUs;
  const alternate = (id: string, down: () => void, up: () => void): void => {
    const stream = cast.stream("flap", `${String(path[1])}/${id}`);
    const after = (us: number, run: () => void): void => {
      const atUs = cast.nowUs + Math.max(1, Math.round(flap.kind === "regular" ? us : us * exponential(stream)));
      if (atUs <= endUs) cast.at(atUs, run);
    };
    const goDown = (): void => {
      down();
      after(flap.down, goUp);
    };
    const goUp = (): void => {
      up();
      after(flap.up, goDown);
    };
    after(flap.up, goDown);
  };
  if (flap.select !== undefined) {
    for (const node of cast.select(flap.select, [...path, "select"], "any")) {
      alternate(
        cast.draft.nodes[node]!.name,
        () => cast.end(node, "crash"),
        () => {
          if (!cast.isAlive(node)) cast.start(node);
        },
      );
    }
  }
  if (flap.between === undefined) return;
  for (const edge of cast.links(flap.between, [...path, "between"])) {
    alternate(
      `${edge.a}-${edge.b}`,
      () => links.cutOne(edge, false),
      () => links.mendOne(edge),
    );
  }
}

function addTraffic(cast: Cast, traffic: TrafficProcess, path: Path): void {
  const stream = cast.stream("transfers", String(path[1]));
  const endUs = traffic.end ?? cast.endUs;
  poisson(cast, traffic.arrivals, traffic.start, endUs, stream, () => addTransfer(cast, traffic, path, stream));
}
