/** What happens again and again, at random times drawn from the seed: churn, flaps, traffic. */
import { z } from "zod";
import { between, selector } from "./selectors.js";
import { arriving, transfer } from "./timeline.js";
import { frequency, share, span, time } from "./units.js";

const start = time.prefault("0s");
/** The end of the run when it is not given. */
const end = time.optional();

export const churn = z.strictObject({
  /** Nodes of the beginning whose sessions end, too. Those that arrive always have sessions. */
  select: selector.optional(),
  /** Poisson. `balanced`: as many as leave, on average. */
  arrivals: z.union([z.enum(["balanced", "none"]), frequency]).default("balanced"),
  /** How long a node stays. Those of the beginning are met in the middle of their session, as in a network that runs. */
  sessions: z.discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("weibull"),
      mean: span,
      /** Below 1: many short sessions and a few very long ones. Stutzbach and Rejaie 2006 measured 34 to 59 %. */
      shape: share.prefault("50%"),
    }),
    z.strictObject({ kind: z.literal("exponential"), mean: span }),
  ]),
  /** Who ends does so without a word, in so many cases; the others leave. */
  crash: share.prefault("70%"),
  /** Share of the arrivals that were there before. */
  returning: share.prefault("0%"),
  state: z.enum(["kept", "lost"]).default("kept"),
  ...arriving,
  start,
  end,
});
export type Churn = z.output<typeof churn>;

export const flap = z.strictObject({
  /** Either links, or nodes that crash and come back. */
  between: between.optional(),
  select: selector.optional(),
  up: span,
  down: span,
  /** Every phase takes exactly so long, or so long on average. */
  kind: z.enum(["regular", "exponential"]).default("regular"),
  start,
  end,
});
export type Flap = z.output<typeof flap>;

export const traffic = z.strictObject({
  ...transfer,
  /** Poisson: transfers of all sources together. */
  arrivals: frequency,
  start,
  end,
});
export type TrafficProcess = z.output<typeof traffic>;
