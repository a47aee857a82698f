/** A plan run by the simulator, and what happened in it. */
import { simulate } from "../../sim/engine/simulation.js";
import { instruments } from "../../sim/oracle/instruments.js";
import type { Plan } from "../../sim/plan/plan.js";
import { type Report, reportOf } from "../../sim/report/report.js";
import type { Happening } from "./chronicle.js";
import { PARTS } from "./plans.js";

export function simulatedRun(plan: Plan): { readonly happenings: readonly Happening[]; readonly report: Report } {
  const happenings: Happening[] = [];
  for (const action of plan.actions) {
    if (action.do === "pause" || action.do === "resume") {
      happenings.push({ kind: action.do, atUs: action.atUs, node: action.node });
    }
  }
  const result = simulate(
    plan,
    { workers: 1 },
    {
      ...PARTS,
      instruments: (view) => {
        const { observer, hooks } = instruments(view);
        const { handleStart, handleEnd, handleRoute, handleLink } = observer;
        observer.handleStart = (atUs, node) => {
          happenings.push({ kind: "start", atUs, node });
          handleStart.call(observer, atUs, node);
        };
        observer.handleEnd = (atUs, node, how) => {
          happenings.push({ kind: "crash", atUs, node });
          handleEnd.call(observer, atUs, node, how);
        };
        observer.handleRoute = (atUs, node, destination, hopNode, metric) => {
          happenings.push({ kind: "route", atUs, node, destination, isHeld: hopNode >= 0 });
          handleRoute.call(observer, atUs, node, destination, hopNode, metric);
        };
        observer.handleLink = (atUs, node, peer, isUp) => {
          if (isUp) happenings.push({ kind: "linkUp", atUs, node });
          handleLink.call(observer, atUs, node, peer, isUp);
        };
        return { observer, hooks };
      },
    },
  );
  return { happenings, report: reportOf(plan, result) };
}
