/**
 * What happened in a run, simulated or real, and what is measured of it: the same way for both.
 *
 * A node holds a route while a packet for the destination would be forwarded now. Those who are dead or stand still hold none.
 */

export type Happening = { readonly atUs: number; readonly node: number } & (
  | { readonly kind: "start" | "crash" | "pause" | "resume" | "linkUp" }
  | { readonly kind: "route"; readonly destination: number; readonly isHeld: boolean }
);

export const SPANS = ["removal", "join", "forgetting", "recovery"] as const;

/**
 *   removal     from a crash until nobody holds a route to the node
 *   join        from the first link after a start, its first echoed hello, until 99 % of those who were there by then hold one
 *   forgetting  from the moment a node stands still until nobody holds a route to it
 *   recovery    from the moment it goes on until 99 % of those who were there by then hold one again
 */
export type SpanName = (typeof SPANS)[number];

/** Seconds, in the order in which they ended. */
export type Measures = Readonly<Record<SpanName, number[]>> & {
  /** What was begun and never came to its end, in words. */
  readonly unfinished: string[];
};

const JOINED_SHARE = 0.99;

interface Wait {
  readonly name: SpanName;
  readonly node: number;
  readonly sinceUs: number;
  /** Who is to hold a route; undefined: nobody is to. */
  readonly who: readonly number[] | undefined;
}

/** @param fromUs  what begins before does not count */
export function measure(happenings: readonly Happening[], fromUs: number): Measures {
  const measures: Measures = { removal: [], join: [], forgetting: [], recovery: [], unfinished: [] };
  const world = new World();
  let waits: Wait[] = [];
  for (const happening of [...happenings].sort((a, b) => a.atUs - b.atUs)) {
    const { node, atUs } = happening;
    const name = spanBegunBy(happening, world);
    world.take(happening);
    if (name !== undefined) {
      const isComing = name === "join" || name === "recovery";
      for (const wait of waits) if (wait.node === node) giveUp(wait);
      waits = waits.filter((wait) => wait.node !== node);
      waits.push({ name, node, sinceUs: atUs, who: isComing ? world.othersThan(node) : undefined });
    }
    waits = waits.filter((wait) => {
      if (!isOver(wait, world)) return true;
      if (wait.sinceUs >= fromUs) measures[wait.name].push((atUs - wait.sinceUs) / 1e6);
      return false;
    });
  }
  waits.forEach(giveUp);
  return measures;

  function giveUp({ name, node, sinceUs }: Wait): void {
    if (sinceUs < fromUs) return;
    measures.unfinished.push(`${name} of node ${node}, ${(sinceUs - fromUs) / 1e6} s after the beginning`);
  }
}

function spanBegunBy({ kind, node }: Happening, world: World): SpanName | undefined {
  if (kind === "crash") return "removal";
  if (kind === "linkUp") return world.linked.has(node) ? undefined : "join";
  if (kind === "pause") return "forgetting";
  return kind === "resume" ? "recovery" : undefined;
}

function isOver({ node, who }: Wait, world: World): boolean {
  if (who === undefined) return !world.isHeld(node);
  return who.filter((one) => world.holds(one, node)).length >= Math.ceil(who.length * JOINED_SHARE);
}

class World {
  /** Alive, and with a link since its start. */
  readonly linked = new Set<number>();
  private readonly asleep = new Set<number>();
  /** Of the living: the destinations to which each holds a route. */
  private readonly held = new Map<number, Set<number>>();

  take(happening: Happening): void {
    const { kind, node } = happening;
    switch (kind) {
      case "start":
        this.held.set(node, new Set());
        return;
      case "linkUp":
        this.linked.add(node);
        return;
      case "crash":
        this.held.delete(node);
        this.linked.delete(node);
        return;
      case "pause":
        this.asleep.add(node);
        return;
      case "resume":
        this.asleep.delete(node);
        return;
      case "route":
        if (happening.isHeld) this.held.get(node)?.add(happening.destination);
        else this.held.get(node)?.delete(happening.destination);
        return;
    }
  }

  holds(node: number, destination: number): boolean {
    return !this.asleep.has(node) && this.held.get(node)?.has(destination) === true;
  }

  /** By anybody but itself. */
  isHeld(destination: number): boolean {
    for (const node of this.held.keys()) if (node !== destination && this.holds(node, destination)) return true;
    return false;
  }

  /** Who is there and awake. */
  othersThan(node: number): number[] {
    return [...this.linked].filter((one) => one !== node && !this.asleep.has(one));
  }
}
