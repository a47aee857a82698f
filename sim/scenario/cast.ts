/** The nodes of a plan as time passes: who lives, who is linked with whom, which actions come of it. */
import type { Action } from "../plan/plan.js";
import { Stream } from "../random/stream.js";
import { Agenda } from "./agenda.js";
import { pathName } from "./complaint.js";
import { addInterface, type Draft, drawRegion, type EdgeDraft, furnish, INTERNET, linkUp, NodeDraft } from "./draft.js";
import { Membership } from "./membership.js";
import type { Selector } from "./selectors.js";
import { addHouse, drawNat } from "./subnets.js";
import { NODES_MAX } from "./topologies.js";

/** A plan has at most so many. */
export const ACTIONS_MAX = 1_000_000;
/** Links that an arriving node finds at a public one; the bound of the protocol. */
const PUBLIC_DEGREE_MAX = 64;

type Path = readonly PropertyKey[];

/** What an action is without its time. */
type Deed = Action extends infer A ? (A extends Action ? Omit<A, "atUs"> : never) : never;

export interface Arrival {
  readonly peers: number;
  readonly public: number;
  readonly nat?: string | undefined;
  readonly region?: string | undefined;
}

export class Cast {
  readonly draft: Draft;
  readonly agenda = new Agenda();
  readonly #actions: Action[] = [];
  readonly #isAlive: boolean[] = [];
  readonly #lives: number[] = [];
  /** Live links of a node, so that arriving ones go to who has room. */
  readonly #load: number[];
  readonly #public: number[] = [];
  readonly #selections = new Map<string, { readonly membership: Membership; readonly stream: Stream }>();
  readonly #firstUs: number[] = [];
  #arrivals = 0;
  #now = 0;

  constructor(draft: Draft) {
    this.draft = draft;
    this.#load = draft.nodes.map(() => 0);
    for (const [i, node] of draft.nodes.entries()) {
      this.#isAlive.push(false);
      this.#lives.push(0);
      if (node.role === "public") this.#public.push(i);
    }
  }

  get nowUs(): number {
    return this.#now;
  }

  get endUs(): number {
    return this.draft.data.duration;
  }

  isAlive(node: number): boolean {
    return this.#isAlive[node]!;
  }

  /** How often it has started: a session that was drawn for one life must not end the next. */
  lifeOf(node: number): number {
    return this.#lives[node]!;
  }

  /** When a node of the beginning starts. */
  firstUs(node: number): number {
    return this.#firstUs[node] ?? 0;
  }

  stream(kind: string, id: string | number = ""): Stream {
    return new Stream(this.draft.seed, kind, id);
  }

  complain(path: Path, message: string): void {
    this.draft.complain(path, message);
  }

  /** Nothing happens after the end. */
  at(atUs: number, run: (nowUs: number) => void): void {
    if (atUs <= this.endUs) this.agenda.add(atUs, run);
  }

  emit(deed: Deed): void {
    this.#actions.push({ atUs: this.#now, ...deed } as Action);
  }

  startAll(): void {
    const { over } = this.draft.data.nodes;
    const stream = this.stream("start");
    for (const node of this.draft.nodes.keys()) {
      this.#firstUs.push(over === 0 ? 0 : stream.below(over));
      this.at(this.#firstUs[node]!, () => this.start(node));
    }
  }

  /** All that happens, in order. */
  play(): readonly Action[] {
    for (let entry = this.agenda.next(); entry !== undefined; entry = this.agenda.next()) {
      this.#now = entry.atUs;
      entry.run(entry.atUs);
      if (this.#actions.length > ACTIONS_MAX || this.agenda.size > ACTIONS_MAX) {
        this.complain([], `more than ${ACTIONS_MAX} actions`);
        break;
      }
    }
    return this.#actions;
  }

  start(node: number, keepsState = true): void {
    if (this.#isAlive[node]) {
      this.emit({ do: "restart", node, keepsState });
      this.#lives[node]! += 1;
      return;
    }
    this.emit(this.#lives[node] === 0 ? { do: "start", node } : { do: "restart", node, keepsState });
    this.#isAlive[node] = true;
    this.#lives[node]! += 1;
    for (const dial of this.draft.nodes[node]!.dials) this.#load[dial.node]! += 1;
  }

  end(node: number, how: "crash" | "leave"): void {
    if (!this.#isAlive[node]) return;
    this.emit({ do: how, node });
    this.#isAlive[node] = false;
    for (const dial of this.draft.nodes[node]!.dials) this.#load[dial.node]! -= 1;
  }

  /** A node that was not there before, with dials to some of those that live. Undefined when there are too many. */
  arrive(arrival: Arrival, stream: Stream): number | undefined {
    const { draft } = this;
    if (draft.nodes.length >= NODES_MAX) {
      this.complain([], `more than ${NODES_MAX} nodes`);
      return undefined;
    }
    const node = draft.nodes.length;
    const one = new NodeDraft(`a${this.#arrivals}`);
    this.#arrivals += 1;
    const region = arrival.region === undefined ? -1 : draft.regionNames.indexOf(arrival.region);
    one.regionIndex = region < 0 ? drawRegion(draft, one.name) : region;
    one.region = draft.regionNames[one.regionIndex]!;
    draft.nodes.push(one);
    this.#isAlive.push(false);
    this.#lives.push(0);
    this.#load.push(0);
    addInterface(draft, one, INTERNET, draft.data.nodes.access);
    if (!stream.hits(arrival.public)) addHouse(draft, node, arrival.nat ?? drawNat(draft, one.name));
    furnish(draft, one);
    for (const peer of this.#peersFor(node, arrival.peers, stream)) linkUp(draft, node, peer);
    if (one.role === "public") this.#public.push(node);
    this.start(node);
    return node;
  }

  #peersFor(node: number, count: number, stream: Stream): number[] {
    const peers = new Set<number>();
    const { topology } = this.draft.data;
    const room = topology.kind === "internet" ? topology.degreeMax : PUBLIC_DEGREE_MAX;
    const fits = (peer: number) =>
      peer !== node && this.#isAlive[peer] && this.#load[peer]! + this.draft.nodes[peer]!.dials.length < room;
    for (let attempt = 0; attempt < 20 * count && peers.size < count && this.#public.length > 0; attempt += 1) {
      const peer = this.#public[stream.below(this.#public.length)]!;
      if (fits(peer)) peers.add(peer);
    }
    for (const peer of this.#public) {
      if (peers.size >= count) break;
      if (fits(peer)) peers.add(peer);
    }
    return [...peers];
  }

  /** Numbers of the nodes meant now, ascending. Each place of the file draws from a stream of its own. */
  select(selector: Selector, path: Path, state: "alive" | "dead" | "any" = "alive"): number[] {
    const name = pathName(path);
    let selection = this.#selections.get(name);
    if (selection === undefined) {
      selection = { membership: new Membership(selector), stream: this.stream("select", name) };
      this.#selections.set(name, selection);
    }
    const { membership, stream } = selection;
    const wanted = membership.state ?? state;
    let known = 0;
    const fitting: number[] = [];
    for (const [i, node] of this.draft.nodes.entries()) {
      if (!membership.has(node)) continue;
      known += 1;
      if (wanted === "any" || (wanted === "alive") === this.#isAlive[i]) fitting.push(i);
    }
    if (known === 0) this.complain(path, `${name}: selects nothing`);
    if (!membership.isThinned) return fitting;
    return stream.sample(fitting, membership.howMany(fitting.length)).sort((a, b) => a - b);
  }

  /** Links between the nodes of one selector and those of another, whether these live or not; the first end is of the first. */
  links(between: readonly [Selector, Selector], path: Path): EdgeDraft[] {
    const one = new Set(this.select(between[0], [...path, 0], "any"));
    const other = new Set(this.select(between[1], [...path, 1], "any"));
    const found: EdgeDraft[] = [];
    for (const { a, b } of this.draft.edges) {
      if (one.has(a) && other.has(b)) found.push({ a, b });
      else if (one.has(b) && other.has(a)) found.push({ a: b, b: a });
    }
    if (found.length === 0) this.complain(path, `${pathName(path)}: between those there is no link`);
    return found;
  }
}
