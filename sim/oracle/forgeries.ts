import { type Census, LINKS_MAX } from "../engine/census.js";
import type { Happenings } from "./happenings.js";
import { ToldToLiars } from "./told-to-liars.js";

/** Routes over liars that are looked at in one window, and that wait to be looked at again. Beyond: not looked at. */
const CANDIDATES_MAX = 65_536;
/** What was under way, or was told when the liar's neighbours had better routes, is put right in this time. */
const CONFIRM_US = 2_000_000;
const NONE = 255;

type Verdict = "forged" | "gain" | "honest";

interface Pending {
  readonly atUs: number;
  readonly liar: number;
  readonly metric: number;
  readonly verdict: Verdict;
}

/**
 * Adverts of liars that honest nodes of this shard chose: promises below everything that the liar's neighbours offer it or
 * offered it while the proof of that lasts, and promises that are only better than what it can have now. What a liar can have
 * heard is read from its neighbours' rows, at the choice and two seconds later; routes to the dead are for removals.ts to judge.
 */
export class Forgeries {
  /** Below what the liar heard. */
  accepted = 0;
  /** Less than the liar's own link above what it hears, or what it heard and is worse by now. */
  gains = 0;
  private readonly census: Census;
  private readonly happenings: Happenings;
  private readonly transit: ArrayLike<number>;
  private readonly told: ToldToLiars;
  private readonly candidates: number[] = [];
  private readonly pending = new Map<number, Pending>();

  /** @param transit  by node, what the way through it costs */
  constructor(census: Census, happenings: Happenings, transit: ArrayLike<number>) {
    this.census = census;
    this.happenings = happenings;
    this.transit = transit;
    this.told = new ToldToLiars(census.nodes);
  }

  handleRoute(node: number, destination: number, hop: number): void {
    const { happenings, candidates } = this;
    if (happenings.liars.length === 0 || hop < 0 || hop === destination) return;
    if (happenings.isHonest(hop) || !happenings.isHonest(node) || candidates.length >= 2 * CANDIDATES_MAX) return;
    candidates.push(node, destination);
  }

  handleWindow(nowUs: number): void {
    const { nodes, hop, metric } = this.census;
    const { candidates, pending } = this;
    for (let i = 0; i < candidates.length; i += 2) {
      const node = candidates[i]!;
      const destination = candidates[i + 1]!;
      const verdict = this.judge(node, destination);
      if (verdict === "honest" || pending.size >= CANDIDATES_MAX) continue;
      const at = node * nodes + destination;
      const known = pending.get(at);
      const liar = hop[at]! - 1;
      if (known?.liar === liar && known.metric === metric[at]) continue;
      pending.delete(at); // to the end
      pending.set(at, { atUs: nowUs, liar, metric: metric[at]!, verdict });
    }
    candidates.length = 0;
  }

  handleSecond(nowUs: number): void {
    const { nodes, hop, metric } = this.census;
    this.told.handleSecond(nowUs);
    for (const liar of this.happenings.liars) this.remember(liar);
    for (const [at, { atUs, liar, metric: promised, verdict }] of this.pending) {
      if (atUs + CONFIRM_US > nowUs) return;
      this.pending.delete(at);
      if (hop[at] !== liar + 1 || metric[at] !== promised) continue;
      if (this.judge(Math.floor(at / nodes), at % nodes) !== verdict) continue;
      if (verdict === "forged") this.accepted += 1;
      else this.gains += 1;
    }
  }

  private judge(node: number, destination: number): Verdict {
    const { nodes, hop, metric } = this.census;
    const at = node * nodes + destination;
    const liar = hop[at]! - 1;
    if (liar < 0 || liar === destination || this.happenings.isHonest(liar)) return "honest";
    if (!this.happenings.isAlive(destination) || !this.happenings.isAlive(liar)) return "honest";
    const promised = metric[at]! - this.costOf(node, liar);
    const { heard, whole } = this.heardBy(liar, destination);
    if (heard === NONE || promised >= whole) return "honest";
    return promised < Math.min(heard, this.told.best(liar, destination)) ? "forged" : "gain";
  }

  /** The best that neighbours offer the liar, and the best with the links there and the way through the liar added. */
  private heardBy(liar: number, destination: number): { readonly heard: number; readonly whole: number } {
    const { alive, linkPeer, linkCost } = this.census;
    let heard = NONE;
    let whole = NONE;
    for (let link = liar * LINKS_MAX; link < (liar + 1) * LINKS_MAX; link += 1) {
      const peer = linkPeer[link]! - 1;
      if (peer < 0 || alive[peer] === 0) continue;
      const offered = this.offered(peer, liar, destination);
      if (offered === NONE) continue;
      heard = Math.min(heard, offered);
      whole = Math.min(whole, offered + linkCost[link]! + this.transit[liar]!);
    }
    return { heard, whole };
  }

  /** What its neighbours offer the liar, each row at a time: a liar has a few of them, of up to LINKS_MAX. */
  private remember(liar: number): void {
    const { nodes, alive, linkPeer } = this.census;
    const best = this.told.obtain(liar);
    for (let link = liar * LINKS_MAX; link < (liar + 1) * LINKS_MAX; link += 1) {
      const peer = linkPeer[link]! - 1;
      if (peer < 0 || alive[peer] === 0) continue;
      for (let destination = 0; destination < nodes; destination += 1) {
        best[destination] = Math.min(best[destination]!, this.offered(peer, liar, destination));
      }
    }
  }

  /** The metric that the peer offers the liar; NONE without a route, or with one that leads over the liar. */
  private offered(peer: number, liar: number, destination: number): number {
    if (peer === destination) return 0;
    const { nodes, hop, metric } = this.census;
    const at = peer * nodes + destination;
    return hop[at] === 0 || hop[at] === liar + 1 ? NONE : metric[at]! + this.transit[peer]!;
  }

  /** Of the cheapest link: in doubt the liar promised more. */
  private costOf(node: number, peer: number): number {
    const { linkPeer, linkCost } = this.census;
    let cost = 0;
    for (let link = node * LINKS_MAX; link < (node + 1) * LINKS_MAX; link += 1) {
      if (linkPeer[link] === peer + 1 && (cost === 0 || linkCost[link]! < cost)) cost = linkCost[link]!;
    }
    return cost;
  }
}
