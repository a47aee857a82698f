import type { Census } from "../engine/census.js";
import type { Happenings } from "./happenings.js";

/** Candidates of one window. Beyond: not looked at; a liar that is believed so often is seen in the next window. */
const CANDIDATES_MAX = 65_536;

/**
 * Lies that honest nodes believed: routes over a liar with a metric that is not above the liar's own, or to where the liar
 * itself has no route. Looked at where the window ends, when the liar's own table may be read; news that was under way when
 * the liar's own route grew worse counts as well, so one or two beside the many prove nothing.
 */
export class Forgeries {
  accepted = 0;
  private readonly census: Census;
  private readonly happenings: Happenings;
  private readonly candidates: number[] = [];

  constructor(census: Census, happenings: Happenings) {
    this.census = census;
    this.happenings = happenings;
  }

  handleRoute(node: number, destination: number, hop: number): void {
    const { happenings, candidates } = this;
    if (happenings.liars.length === 0 || hop < 0 || hop === destination) return;
    if (happenings.isHonest(hop) || !happenings.isHonest(node) || candidates.length >= 2 * CANDIDATES_MAX) return;
    candidates.push(node, destination);
  }

  handleWindow(): void {
    const { nodes, hop, metric } = this.census;
    for (let i = 0; i < this.candidates.length; i += 2) {
      const node = this.candidates[i]!;
      const destination = this.candidates[i + 1]!;
      const liar = hop[node * nodes + destination]! - 1;
      if (liar < 0 || liar === destination || this.happenings.isHonest(liar)) continue;
      const isKnown = hop[liar * nodes + destination] !== 0;
      if (!isKnown || metric[node * nodes + destination]! <= metric[liar * nodes + destination]!) this.accepted += 1;
    }
    this.candidates.length = 0;
  }
}
