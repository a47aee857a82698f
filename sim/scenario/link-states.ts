/** Links that are cut or degraded, as the timeline and the flaps make them. */
import type { Cast } from "./cast.js";
import { pathName } from "./complaint.js";
import { type EdgeDraft, regionsUs, wayBetween } from "./draft.js";
import type { EntryOf } from "./timeline.js";

type Path = readonly PropertyKey[];

export class Links {
  readonly #cast: Cast;
  /** Keys of pairs, lower number first. */
  readonly #cut = new Set<string>();
  readonly #degraded = new Set<string>();

  constructor(cast: Cast) {
    this.#cast = cast;
  }

  cut(entry: EntryOf<"cut">, path: Path): void {
    for (const edge of this.#meant(entry, path)) {
      this.cutOne(edge, entry.oneWay);
      this.#later(entry.for, () => this.mendOne(edge));
    }
  }

  degrade(entry: EntryOf<"degrade">, path: Path): void {
    const cast = this.#cast;
    for (const { a, b } of this.#meant(entry, path)) {
      const model = cast.draft.models.pair(entry.link, regionsUs(cast.draft, a, b), [...path, "link"]);
      cast.emit({ do: "degrade", a, b, model, oneWay: entry.oneWay });
      this.#degraded.add(keyOf(a, b));
      this.#later(entry.for, () => this.#restore(a, b));
    }
  }

  mend(entry: EntryOf<"mend">, path: Path): void {
    for (const edge of this.#meant(entry, path)) {
      this.mendOne(edge);
      this.#restore(edge.a, edge.b);
    }
  }

  dial(entry: EntryOf<"dial">, path: Path): void {
    const cast = this.#cast;
    const targets = cast.select(entry.to, [...path, "to"], "any");
    for (const node of cast.select(entry.from, [...path, "from"], "any")) {
      for (const target of targets) {
        if (target === node) continue;
        const dial = wayBetween(cast.draft, node, target);
        if (dial !== undefined) {
          cast.emit({ do: "dial", node, dial });
          cast.draft.edges.push({ a: node, b: target });
          continue;
        }
        const [from, to] = [node, target].map((one) => cast.draft.nodes[one]!.name);
        cast.complain([...path, "to"], `${pathName(path)}: ${from} cannot reach ${to}`);
      }
    }
  }

  cutOne({ a, b }: EdgeDraft, oneWay: boolean): void {
    this.#cast.emit({ do: "cut", a, b, oneWay });
    this.#cut.add(keyOf(a, b));
  }

  mendOne({ a, b }: EdgeDraft): void {
    if (this.#cut.delete(keyOf(a, b))) this.#cast.emit({ do: "mend", a, b });
  }

  #restore(a: number, b: number): void {
    if (this.#degraded.delete(keyOf(a, b))) this.#cast.emit({ do: "degrade", a, b, model: -1, oneWay: false });
  }

  #later(afterUs: number | undefined, run: () => void): void {
    if (afterUs !== undefined) this.#cast.at(this.#cast.nowUs + afterUs, run);
  }

  #meant(entry: Pick<EntryOf<"mend">, "between" | "share" | "count">, path: Path): EdgeDraft[] {
    const found = this.#cast.links(entry.between, [...path, "between"]);
    const shared = entry.share === undefined ? found.length : Math.round((found.length * entry.share) / 1_000_000);
    const count = Math.min(entry.count ?? found.length, entry.share === 0 ? 0 : Math.max(shared, 1));
    if (count >= found.length) return found;
    return this.#cast.stream("links", pathName(path)).sample(found, count);
  }
}

function keyOf(a: number, b: number): string {
  return `${Math.min(a, b)}/${Math.max(a, b)}`;
}
