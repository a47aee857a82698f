import { NacDictionary } from "../../core/address/dictionary.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../../core/time/instant.js";
import { Cables, type End, type Life } from "./cables.js";
import type { Choice } from "./choice.js";
import { BEGIN_US, RelativeDigest } from "./relative-digest.js";
import { Router } from "./router.js";
import type { Fault, Setting } from "./setting.js";

const HELLO_US = 2 * SECOND_US;
/** Beyond, the moment is given back as it is, and goes on in the next choice. */
const HELLOS_MAX = 200;
/** After so long, every clock of the core stands as it stood: ticks of 40 ms, whole seconds, and hellos. */
const PHASE_US = HELLO_US;
const FIRST_EPOCH = 1000;

/** How often each of what nobody would do to himself may happen on one path. */
export interface Allowances {
  readonly losses: number;
  readonly faults: number;
  /** Steps of time while messages travel. */
  readonly late: number;
}

interface Node extends Life {
  router: Router;
  isAlive: boolean;
  life: number;
  readonly destination: number;
  /** By destination's node: since when it cannot be reached; NEVER while it can. */
  readonly cutOffUs: number[];
}

/**
 * A small network in a state, and what may happen in it next. Built of the core's own Routing. The same choices lead to the same state.
 */
export class World {
  nowUs = BEGIN_US;
  readonly nodes: readonly Node[];
  readonly cables: Cables;
  private readonly setting: Setting;
  private readonly helloUs: number[];
  private readonly isSpent: boolean[];
  private readonly dictionary = new NacDictionary();
  private losses: number;
  private faults: number;
  private late: number;

  constructor(setting: Setting, allowances: Allowances) {
    this.setting = setting;
    this.losses = allowances.losses;
    this.faults = allowances.faults;
    this.late = allowances.late;
    const { names, edges } = setting;
    this.helloUs = edges.map((_, i) => BEGIN_US + HELLO_US + Math.floor((i * HELLO_US) / edges.length));
    this.isSpent = setting.faults.map(() => false);
    const nodes: Node[] = names.map((_, i) => ({
      router: this.newRouter(i, 1),
      isAlive: true,
      life: 1,
      destination: this.dictionary.intern(nacOf(i)),
      cutOffUs: names.map(() => NEVER),
    }));
    this.nodes = nodes;
    this.cables = new Cables(edges, nodes);
    for (const { router, destination } of nodes) router.originate(this.nowUs, destination, FIRST_EPOCH);
    for (const edge of edges.keys()) this.cables.establish(this.nowUs, edge);
    this.warmUp();
  }

  hasSpent(fault: number): boolean {
    return this.isSpent[fault]!;
  }

  /** All that may happen next: first what happens by itself, the likeliest first, then what an allowance is needed for. */
  choices(): Choice[] {
    const choices = this.fairChoices(false);
    const { ends } = this.cables;
    const { faults } = this.setting;
    if (this.losses > 0) {
      for (const [end, { messages }] of ends.entries()) {
        for (const place of messages.keys()) choices.push({ do: "lose", end, place });
      }
    }
    if (this.faults > 0) {
      for (const [fault, what] of faults.entries()) {
        if (!this.isSpent[fault] && this.mayBefall(what)) choices.push({ do: "fault", fault });
      }
    }
    return choices;
  }

  /** What happens next where nothing is lost or overtaken and nothing else befalls; undefined when nothing does. */
  nextByItself(): Choice | undefined {
    return this.fairChoices(true)[0];
  }

  /** False, and nothing changes, when this cannot happen now. */
  take(choice: Choice): boolean {
    switch (choice.do) {
      case "deliver":
        return this.deliver(choice.end, choice.place);
      case "lose":
        if (this.losses === 0 || !this.cables.lose(choice.end, choice.place)) return false;
        this.losses -= 1;
        return true;
      case "up":
        if (this.cables.ends[choice.end]!.upByUs === NEVER) return false;
        this.takeUp(choice.end);
        return true;
      case "notice":
        if (this.cables.ends[choice.end]!.noticeByUs === NEVER) return false;
        this.takeDown(choice.end);
        return true;
      case "timer": {
        const node = this.nodes[choice.node]!;
        if (!node.isAlive || node.router.nextTimeoutUs > this.nowUs) return false;
        this.input(choice.node, (router) => router.handleTimeout(this.nowUs));
        return true;
      }
      case "time":
        return this.mayPass() && this.pass();
      case "fault": {
        const fault = this.setting.faults[choice.fault]!;
        if (this.faults === 0 || this.isSpent[choice.fault] || !this.mayBefall(fault)) return false;
        this.faults -= 1;
        this.isSpent[choice.fault] = true;
        this.befall(fault);
        return true;
      }
    }
  }

  /** Two states with the same have the same future; the second part tells apart what allowances still permit. */
  keys(): { readonly state: string; readonly whole: string } {
    const into = new RelativeDigest(this.nowUs);
    for (const { router, isAlive, life } of this.nodes) {
      into.number(isAlive ? life : -life);
      if (isAlive) router.digest(into);
    }
    into.span(this.nowUs % PHASE_US);
    this.cables.digest(this.nowUs, into);
    const state = into.hex();
    const spent = this.isSpent.map((one) => (one ? "1" : "0")).join("");
    return { state, whole: `${state} ${this.losses} ${this.late} ${this.faults > 0 ? spent : "-"}` };
  }

  /** Where a packet goes from a node; a cut cable does not stop it here, a neighbour that forgot the session does. -1: nowhere. */
  following(node: number, to: number): number {
    const { cables } = this;
    if (node === to) return -1;
    const link = this.nodes[node]!.router.nextHop(this.nodes[to]!.destination);
    if (link < 0) return -1;
    const end = cables.endsOf[node]![link]!;
    const { peerLife } = cables.ends[end]!;
    const peer = cables.peerOf(end);
    return this.nodes[peer]!.isAlive && this.nodes[peer]!.life === peerLife ? peer : -1;
  }

  /** Asked for at each step: without the loops that are nicer to read. */
  private fairChoices(isFirstEnough: boolean): Choice[] {
    const { nodes, nowUs } = this;
    const { ends } = this.cables;
    const choices: Choice[] = [];
    for (let end = 0; end < ends.length; end += 1) {
      const { isUp, session, messages } = ends[end]!;
      if (!isUp) continue;
      for (let place = 0; place < messages.length; place += 1) {
        if (messages[place]!.session !== session) continue;
        choices.push({ do: "deliver", end, place });
        if (isFirstEnough) return choices;
      }
    }
    for (let node = 0; node < nodes.length; node += 1) {
      const { isAlive, router } = nodes[node]!;
      if (isAlive && router.nextTimeoutUs <= nowUs) choices.push({ do: "timer", node });
    }
    for (let end = 0; end < ends.length; end += 1) if (ends[end]!.upByUs !== NEVER) choices.push({ do: "up", end });
    for (let end = 0; end < ends.length; end += 1) {
      if (ends[end]!.noticeByUs !== NEVER) choices.push({ do: "notice", end });
    }
    if (isFirstEnough && choices.length > 0) return choices;
    if (this.mayPass()) choices.push({ do: "time" });
    return choices;
  }

  private deliver(number: number, place: number): boolean {
    const bytes = this.cables.receive(number, place);
    if (bytes === undefined) return false;
    const { node, link } = this.cables.ends[number]!;
    this.input(node, (router) => router.handleRecord(this.nowUs, link, bytes));
    return true;
  }

  /** Time stands still while something is due; and while messages travel, unless they may be late. */
  private mayPass(): boolean {
    if (this.isDue()) return false;
    const nextUs = this.nextMoment();
    if (nextUs === NEVER && this.isCalm) return false;
    return !this.cables.isTravelling || (this.late > 0 && !this.cables.isOverdue(nextUs));
  }

  /** To the next moment at which somebody has something to do. */
  private pass(): boolean {
    const wasTravelling = this.cables.isTravelling;
    if (wasTravelling) this.late -= 1;
    for (let hellos = 0; hellos < HELLOS_MAX; hellos += 1) {
      const nextUs = Math.min(this.nextMoment(), this.isCalm ? NEVER : this.nextHello());
      if (nextUs === NEVER) break;
      this.nowUs = nextUs;
      this.greetAll();
      if (wasTravelling || this.isDue() || this.cables.isTravelling) break;
    }
    return true;
  }

  private isDue(): boolean {
    return this.nextMoment() <= this.nowUs;
  }

  /** The next but for hellos; NEVER when there is none. */
  private nextMoment(): number {
    const { nodes } = this;
    let nextUs = this.cables.nextMoment();
    for (let node = 0; node < nodes.length; node += 1) {
      const { isAlive, router } = nodes[node]!;
      if (isAlive && router.nextTimeoutUs < nextUs) nextUs = router.nextTimeoutUs;
    }
    return nextUs;
  }

  private nextHello(): number {
    return Math.min(...this.helloUs);
  }

  /** Hellos change nothing: all that was told is processed, that is known, and all tables agree. */
  private get isCalm(): boolean {
    for (let edge = 0; edge < this.helloUs.length; edge += 1) {
      const [a, b] = this.cables.sessionOf(edge) ?? [];
      if (a === undefined || b === undefined) continue;
      const one = this.nodes[a.node]!.router;
      const other = this.nodes[b.node]!.router;
      const isCalm =
        one.isSettled(a.link) &&
        other.isSettled(b.link) &&
        one.isLevelWith(other, a.link, b.link) &&
        one.believes(a.link, other, b.link) &&
        other.believes(b.link, one, a.link);
      if (!isCalm) return false;
    }
    return true;
  }

  /** Hellos of this moment, both ways and at once: they carry no routes, and what overtakes them makes no difference to them. */
  private greetAll(): void {
    for (const edge of this.helloUs.keys()) {
      const dueUs = this.helloUs[edge]!;
      if (dueUs > this.nowUs) continue;
      this.helloUs[edge] = dueUs + HELLO_US * (1 + Math.floor((this.nowUs - dueUs) / HELLO_US));
      const [a, b] = this.cables.sessionOf(edge) ?? [];
      if (a === undefined || b === undefined || this.isCalm) continue;
      this.greet(a, b);
      this.greet(b, a);
    }
  }

  private greet(from: End, to: End): void {
    const greeting = this.nodes[from.node]!.router.greet(from.link);
    this.input(to.node, (router) => router.handleGreeting(this.nowUs, to.link, greeting));
  }

  private mayBefall(fault: Fault): boolean {
    switch (fault.do) {
      case "crash":
        return this.nodes[fault.node]!.isAlive;
      case "start":
        return !this.nodes[fault.node]!.isAlive;
      case "cut":
        return !this.cables.isCut(fault.edge);
      case "mend":
        return this.cables.isCut(fault.edge);
    }
  }

  private befall(fault: Fault): void {
    switch (fault.do) {
      case "crash":
        this.crash(fault.node);
        break;
      case "start":
        this.start(fault.node);
        break;
      case "cut":
        this.cables.cut(this.nowUs, fault.edge);
        break;
      case "mend":
        this.cables.mend(this.nowUs, fault.edge);
        break;
    }
    this.noteReach();
  }

  private crash(number: number): void {
    this.nodes[number]!.isAlive = false;
    this.cables.abandon(this.nowUs, number);
  }

  /** A new life knows nothing of the one before. */
  private start(number: number): void {
    const node = this.nodes[number]!;
    node.isAlive = true;
    node.life += 1;
    node.router = this.newRouter(number, node.life);
    this.input(number, (router) => router.originate(this.nowUs, node.destination, FIRST_EPOCH + node.life - 1));
    for (const end of this.cables.endsOf[number]!) this.cables.establish(this.nowUs, end >> 1);
  }

  private takeUp(number: number): void {
    const { cables } = this;
    const { node, link, isUp } = cables.ends[number]!;
    if (isUp) this.takeDown(number);
    cables.takeUp(number);
    const peer = cables.peerOf(number);
    const routerId = routerIdOf(peer, this.nodes[peer]!.life);
    const { cost } = this.setting.edges[number >> 1]!;
    this.input(node, (router) => router.linkUp(this.nowUs, link, routerId, cost));
  }

  private takeDown(number: number): void {
    const { node, link } = this.cables.ends[number]!;
    this.cables.takeDown(number);
    this.input(node, (router) => router.linkDown(this.nowUs, link));
  }

  /** One input, and all that leaves because of it. */
  private input(number: number, act: (router: Router) => void): void {
    const { router } = this.nodes[number]!;
    const ends = this.cables.endsOf[number]!;
    act(router);
    router.flush(this.nowUs, (link, bytes) => this.cables.send(this.nowUs, ends[link]!, bytes));
  }

  private newRouter(number: number, life: number): Router {
    const { isLastResort, mutation } = this.setting;
    return new Router({
      dictionary: this.dictionary,
      routerId: routerIdOf(number, life),
      isLastResort: isLastResort[number]!,
      spread: number * 10 * MILLISECOND_US,
      mutation,
    });
  }

  private warmUp(): void {
    const untilUs = BEGIN_US + this.setting.warmupUs;
    while (this.setting.warmupUs > 0 && this.nowUs < untilUs) {
      const choice = this.nextByItself();
      if (choice === undefined || !this.take(choice)) break;
    }
    this.noteReach();
  }

  /** Who can reach whom changed: since when somebody cannot is what a ghost is measured by. */
  private noteReach(): void {
    for (const [from, node] of this.nodes.entries()) {
      const reached = this.cables.reachedFrom(from);
      for (const to of this.nodes.keys()) {
        if (reached.has(to)) node.cutOffUs[to] = NEVER;
        else if (node.cutOffUs[to] === NEVER) node.cutOffUs[to] = this.nowUs;
      }
    }
  }
}

/** Spread over all bits; in an order that is not that of the nodes. */
function routerIdOf(node: number, life: number): Uint8Array {
  const id = new Uint8Array(8);
  for (const i of id.keys()) id[i] = Math.imul(node * 31 + life * 7 + i + 1, 0x9e3779b1) >>> 24;
  return id;
}

function nacOf(node: number): Uint8Array {
  const nac = new Uint8Array(16);
  for (const i of nac.keys()) nac[i] = Math.imul(node * 17 + i + 1, 0x85ebca6b) >>> 24;
  return nac;
}
