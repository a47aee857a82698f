/** The timeline of a scenario, made into actions. */
import type { Cast } from "./cast.js";
import { pathName } from "./complaint.js";
import { Links } from "./link-states.js";
import type { Selector } from "./selectors.js";
import type { EntryOf, TimelineEntry } from "./timeline.js";
import { addTransfers } from "./transfers.js";

type Path = readonly PropertyKey[];

export function addTimeline(cast: Cast): void {
  const stage = new Stage(cast);
  for (const [i, entry] of cast.draft.data.timeline.entries()) {
    cast.at(entry.at, () => stage.enter(entry, ["timeline", i]));
  }
}

class Stage {
  readonly #cast: Cast;
  readonly #links: Links;
  /** Partitions that are in force: name to number. */
  readonly #partitions = new Map<string, number>();
  #nextPartition = 0;

  constructor(cast: Cast) {
    this.#cast = cast;
    this.#links = new Links(cast);
  }

  enter(entry: TimelineEntry, path: Path): void {
    const cast = this.#cast;
    switch (entry.do) {
      case "crash":
      case "leave":
        return this.#each(entry, path, "alive", (node) => {
          cast.end(node, entry.do);
          this.#later(entry.for, () => {
            if (!cast.isAlive(node)) cast.start(node);
          });
        });
      case "restart":
        return this.#each(entry, path, "any", (node) => cast.start(node, entry.state === "kept"));
      case "pause":
        return this.#each(entry, path, "alive", (node) => {
          cast.emit({ do: "pause", node });
          this.#later(entry.for, () => cast.emit({ do: "resume", node }));
        });
      case "resume":
        return this.#each(entry, path, "alive", (node) => cast.emit({ do: "resume", node }));
      case "join":
        return this.#join(entry, path);
      case "partition":
        return this.#partition(entry, path);
      case "heal":
        if (!this.#partitions.has(entry.id)) {
          return cast.complain([...path, "id"], `${pathName(path)}: there is no partition "${entry.id}" to heal`);
        }
        return this.#heal(entry.id);
      case "cut":
        return this.#links.cut(entry, path);
      case "mend":
        return this.#links.mend(entry, path);
      case "degrade":
        return this.#links.degrade(entry, path);
      case "flap":
        return this.#flap(entry, path);
      case "gateway-death":
        return this.#gatewayDeath(entry, path);
      case "rebind":
      case "reboot":
        return this.#nat(entry, path);
      case "move":
        return this.#each(entry, path, "any", (node) => this.#move(node, entry.interface, path));
      case "clock":
        return this.#each(entry, path, "any", (node) => {
          const driftPpm = entry.drift ?? cast.draft.nodes[node]!.driftPpm;
          cast.emit({ do: "clock", node, leapUs: entry.leap, driftPpm });
        });
      case "slow":
        return this.#each(entry, path, "any", (node) => {
          cast.emit({ do: "slow", node, packetUs: entry.packet, queuePackets: entry.queue });
          const { cpu } = cast.draft.nodes[node]!;
          this.#later(entry.for, () =>
            cast.emit({
              do: "slow",
              node,
              packetUs: cpu?.packetUs ?? 0,
              queuePackets: cpu?.queuePackets ?? entry.queue,
            }),
          );
        });
      case "byzantine":
        return this.#byzantine(entry, path);
      case "dial":
        return this.#links.dial(entry, path);
      case "traffic":
        return addTransfers(cast, entry, path);
    }
  }

  /** The deed for each that is selected; spread over a time when the entry says so. */
  #each(
    entry: { readonly select: Selector; readonly over?: number | undefined },
    path: Path,
    state: "alive" | "any",
    run: (node: number) => void,
  ): void {
    const nodes = this.#cast.select(entry.select, [...path, "select"], state);
    this.#spread(nodes, entry.over, path, run);
  }

  #spread(items: readonly number[], over: number | undefined, path: Path, run: (item: number) => void): void {
    const cast = this.#cast;
    const stream = cast.stream("over", pathName(path));
    for (const item of items) {
      if (over === undefined || over === 0) run(item);
      else cast.at(cast.nowUs + stream.below(over), () => run(item));
    }
  }

  #later(afterUs: number | undefined, run: () => void): void {
    if (afterUs !== undefined) this.#cast.at(this.#cast.nowUs + afterUs, run);
  }

  #join(entry: EntryOf<"join">, path: Path): void {
    const stream = this.#cast.stream("join", pathName(path));
    const numbers = Array.from({ length: entry.count }, (_, i) => i);
    this.#spread(numbers, entry.over, path, () => this.#cast.arrive(entry, stream));
  }

  #partition(entry: EntryOf<"partition">, path: Path): void {
    const cast = this.#cast;
    if (this.#partitions.has(entry.id)) {
      return cast.complain([...path, "id"], `${pathName(path)}: the partition "${entry.id}" is in force already`);
    }
    const from = cast.select(entry.from, [...path, "from"], "any");
    const inside = new Set(from);
    const others = cast.draft.nodes.map((_, i) => i).filter((node) => !inside.has(node));
    const to = entry.to === undefined ? others : cast.select(entry.to, [...path, "to"], "any");
    const id = this.#nextPartition;
    this.#nextPartition += 1;
    this.#partitions.set(entry.id, id);
    cast.emit({ do: "partition", id, from, to, oneWay: entry.oneWay });
    this.#later(entry.for, () => {
      if (this.#partitions.get(entry.id) === id) this.#heal(entry.id);
    });
  }

  #heal(name: string): void {
    this.#cast.emit({ do: "heal", id: this.#partitions.get(name)! });
    this.#partitions.delete(name);
  }

  #flap(entry: EntryOf<"flap">, path: Path): void {
    const cast = this.#cast;
    const nodes = entry.select === undefined ? [] : cast.select(entry.select, [...path, "select"], "any");
    const edges = entry.between === undefined ? [] : cast.links(entry.between, [...path, "between"]);
    for (let k = 0; k < entry.times; k += 1) {
      const down = cast.nowUs + k * entry.every;
      if (down > cast.endUs) break;
      cast.at(down, () => {
        for (const node of nodes) cast.end(node, "crash");
        for (const edge of edges) this.#links.cutOne(edge, false);
      });
      cast.at(down + entry.down, () => {
        for (const node of nodes) if (!cast.isAlive(node)) cast.start(node);
        for (const edge of edges) this.#links.mendOne(edge);
      });
    }
  }

  /** All roles of one node at one moment: each is an action. */
  #byzantine({ select, around, as }: EntryOf<"byzantine">, path: Path): void {
    const cast = this.#cast;
    if (select === undefined && around === undefined) {
      return cast.complain(path, `${pathName(path)}: who lies is missing: select, or around`);
    }
    const liars = new Set(select === undefined ? [] : cast.select(select, [...path, "select"], "any"));
    const victims = new Set(around === undefined ? [] : cast.select(around, [...path, "around"], "any"));
    for (const { a, b } of cast.draft.edges) {
      if (victims.has(a) && !victims.has(b)) liars.add(b);
      if (victims.has(b) && !victims.has(a)) liars.add(a);
    }
    const roles = typeof as === "string" ? [as] : as;
    for (const node of [...liars].sort((a, b) => a - b)) {
      for (const role of roles) cast.emit({ do: "byzantine", node, as: role });
    }
  }

  #gatewayDeath(entry: EntryOf<"gateway-death">, path: Path): void {
    const cast = this.#cast;
    const select = { role: "gateway" as const, subnet: entry.subnet, count: entry.count };
    for (const node of cast.select(select, [...path, "subnet"])) {
      cast.end(node, "crash");
      this.#later(entry.for, () => {
        if (!cast.isAlive(node)) cast.start(node);
      });
    }
  }

  #nat(entry: EntryOf<"rebind"> | EntryOf<"reboot">, path: Path): void {
    const cast = this.#cast;
    const hit = entry.subnet === undefined ? this.#natsBefore(entry.select!, path) : this.#natOf(entry.subnet, path);
    this.#spread([...hit], entry.over, path, (realm) => {
      if (entry.do === "rebind") return cast.emit({ do: "rebind", realm });
      cast.emit({ do: "reboot", realm, address: cast.draft.nextAddress });
      cast.draft.nextAddress += 1;
    });
  }

  /** A subnet may have other subnets in it and nobody else. */
  #natOf(subnet: string, path: Path): Set<number> {
    const { draft } = this.#cast;
    const realm = draft.realms.findIndex(({ name }) => name === subnet);
    const isThere = draft.realms[realm]?.nat !== undefined;
    const what = realm < 0 ? "selects nothing" : "no NAT stands before it";
    if (!isThere) draft.complain([...path, "subnet"], `${pathName(path)}.subnet: ${what}`);
    return new Set(isThere ? [realm] : []);
  }

  #natsBefore(select: Selector, path: Path): Set<number> {
    const cast = this.#cast;
    const { nodes, realms } = cast.draft;
    const hit = new Set<number>();
    for (const node of cast.select(select, [...path, "select"], "any")) {
      for (const { realm } of nodes[node]!.interfaces) if (realms[realm]!.nat !== undefined) hit.add(realm);
    }
    if (hit.size === 0) cast.complain([...path, "select"], `${pathName(path)}.select: no NAT stands before those`);
    return hit;
  }

  #move(node: number, at: number, path: Path): void {
    const cast = this.#cast;
    const { interfaces, name } = cast.draft.nodes[node]!;
    if (at >= interfaces.length) {
      return cast.complain(
        [...path, "interface"],
        `${pathName(path)}: ${name} has ${interfaces.length} interfaces, none is ${at}`,
      );
    }
    cast.emit({ do: "move", node, interface: at, address: cast.draft.nextAddress });
    cast.draft.nextAddress += 1;
  }
}
