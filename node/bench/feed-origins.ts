/** The origins behind a feed: in which slots each of them proves to everybody that it lives. */
import { gearFor, generationAt, nextGeneration, periodSlots } from "../../core/routing/gears.js";

const NAC_END = 15;
const SLOT_MS = 5_000;
/** Origins speak in the middle of a slot, each at its own time (core/routing/origins.ts). */
const RELEASE_DELAY_MS = 1_000;
const RELEASE_SPREAD_MS = 3_500;

export class FeedOrigins {
  private readonly gear: number;

  /** @param nodes  of the network: the more there are, the more rarely each speaks */
  constructor(nodes: number) {
    this.gear = gearFor(nodes, 0);
  }

  /** The generation of a node that has lived for long. */
  generation(nac: Uint8Array, slot: number): number {
    return this.after(nac, slot - periodSlots(this.gear));
  }

  /** The first generation of one that starts in `slot`. */
  firstGeneration(nac: Uint8Array, slot: number): number {
    return generationAt(slot, this.gear, nac[NAC_END]!);
  }

  /** Whether the generation after the one given was released `msOfSlot` after the beginning of `slot`, or before. */
  isOver(nac: Uint8Array, generation: number, slot: number, msOfSlot: number): boolean {
    const next = this.after(nac, generation);
    return next < slot || (next === slot && msOfSlot >= releaseMs(nac));
  }

  after(nac: Uint8Array, generation: number): number {
    return nextGeneration(generation, this.gear, nac[NAC_END]!, phaseOf(nac));
  }
}

/** Milliseconds since 1970 that have passed of a slot. */
export function msOfSlot(nowMs: number): number {
  return nowMs % SLOT_MS;
}

function releaseMs(nac: Uint8Array): number {
  return RELEASE_DELAY_MS + ((phaseOf(nac) * 257) % RELEASE_SPREAD_MS);
}

function phaseOf(nac: Uint8Array): number {
  return nac[0]! * 256 + nac[1]!;
}
