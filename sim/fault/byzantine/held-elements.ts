import { type Elements, EPOCH_PROOF_BYTES, LIFE_PROOF_BYTES, TAG_BYTES } from "../../../core/routing/elements.js";
import { METRIC_NONE } from "../../../core/routing/feasible.js";
import { ELEMENT_BYTES } from "../../../core/wire/routes.js";
import type { StackInside } from "../stack-inside.js";

interface Held {
  readonly epoch: number;
  readonly generation: number;
  readonly metric: number;
}

/** What writes, and what is heard. The rest goes to the elements themselves. */
type Guarded = Pick<Elements, "writeMetric" | "writeTag" | "writeLife" | "proveEpoch" | "checkMetric" | "checkLife">;

/**
 * What a liar can do with the hash chains of others: it holds the elements that it heard, and makes from them those of higher
 * metrics and older generations. Modelled elements can be computed by anybody, so this is where a liar is kept from it: for all
 * else it writes zeros, which verify nowhere.
 */
export class HeldElements {
  /** By destination, the best heard: the newest generation, and its lowest metric. Bounded by the table. */
  private readonly metrics = new Map<number, Held>();
  /** The newest slot of the life chain, in `generation`. */
  private readonly lives = new Map<number, Held>();

  constructor(inside: StackInside) {
    const { table, decision, chained } = inside;
    for (let i = 0; i < table.listed; i += 1) {
      const destination = table.order[i]!;
      const next = table.knows(destination) ? table.byLink[table.records.next(destination)] : undefined;
      const metric = next?.learnedMetric(destination) ?? METRIC_NONE;
      if (metric === METRIC_NONE) continue;
      const generation = decision.liveness.lives.generationTold(destination);
      this.hear(this.metrics, destination, { epoch: table.records.epoch(destination), generation, metric });
    }
    const held = this.around(chained[0]!.elements, (destination) => table.isLocal(destination));
    for (const one of chained) one.elements = held;
  }

  /** It has the whole chain of this epoch: the destination is its own invention, or its advert was kept. */
  hold(destination: number, held: Held): void {
    this.metrics.set(destination, held);
  }

  private around(elements: Elements, isOwn: (destination: number) => boolean): Elements {
    const { metrics, lives } = this;
    const mayWrite = (held: Held | undefined, wanted: Held) =>
      held !== undefined && held.epoch === wanted.epoch && !isBetter(wanted, held);
    const knows = (destination: number, epoch: number) =>
      isOwn(destination) || epoch <= (metrics.get(destination)?.epoch ?? -1);
    const guarded: Guarded = {
      writeMetric: (destination, epoch, generation, metric, into, at) => {
        const isHeld = isOwn(destination) || mayWrite(metrics.get(destination), { epoch, generation, metric });
        if (!isHeld) return blank(into, at, ELEMENT_BYTES);
        return elements.writeMetric(destination, epoch, generation, metric, into, at);
      },
      writeTag: (destination, epoch, into, at) =>
        knows(destination, epoch) ? elements.writeTag(destination, epoch, into, at) : blank(into, at, TAG_BYTES),
      writeLife: (destination, epoch, slot, into, at) => {
        const isHeld = isOwn(destination) || mayWrite(lives.get(destination), { epoch, generation: slot, metric: 0 });
        if (!isHeld) return blank(into, at, LIFE_PROOF_BYTES);
        return elements.writeLife(destination, epoch, slot, into, at);
      },
      proveEpoch: (destination, epoch, into, at) =>
        knows(destination, epoch)
          ? elements.proveEpoch(destination, epoch, into, at)
          : blank(into, at, EPOCH_PROOF_BYTES),
      checkMetric: (nowUs, link, destination, epoch, generation, metric, ...rest) => {
        const verdict = elements.checkMetric(nowUs, link, destination, epoch, generation, metric, ...rest);
        if (verdict === "sound") this.hear(metrics, destination, { epoch, generation, metric });
        return verdict;
      },
      checkLife: (nowUs, link, destination, epoch, slot, ...rest) => {
        const verdict = elements.checkLife(nowUs, link, destination, epoch, slot, ...rest);
        if (verdict === "sound") this.hear(lives, destination, { epoch, generation: slot, metric: 0 });
        return verdict;
      },
    };
    return new Proxy(elements, {
      get: (target, name) => {
        const value: unknown = Reflect.get(name in guarded ? guarded : target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  private hear(into: Map<number, Held>, destination: number, heard: Held): void {
    const known = into.get(destination);
    if (known === undefined || heard.epoch > known.epoch || (heard.epoch === known.epoch && isBetter(heard, known))) {
      into.set(destination, heard);
    }
  }
}

/** Of one epoch: nobody who holds only `other` can make `one`. */
function isBetter(one: Held, other: Held): boolean {
  return one.generation === other.generation ? one.metric < other.metric : one.generation > other.generation;
}

/** As if it could be made, so that the rest of the lie is told. */
function blank(into: Uint8Array, at: number, bytes: number): true {
  into.fill(0, at, at + bytes);
  return true;
}
