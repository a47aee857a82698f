/**
 * How often an origin proves that it lives: one of three gears, in slots of 5 s.
 *
 *   0  every 15 s   small networks, the strict profile, and whoever is suspected by liars
 *   1  every 90 s   up to some thousand nodes
 *   2  every 450 s  larger ones
 *
 * A generation is the slot of such a proof. Which gear it is of follows from the number of the slot itself, which the element
 * of its hash chain proves: no relay can tell another gear. (The last byte of the NAC makes the slots of one gear differ from origin to origin.)
 */
export const GEAR_PERIODIC = 0;
const PERIODS: readonly number[] = [3, 18, 90];
const GEARS = PERIODS.length;

/** Up to so many destinations the origin stays in gear 0 and 1: at 21 bytes and two copies of each proof, 0.6 KB/s. */
const ROUTES_MAX: readonly number[] = [220, 1_300];
/** A table must be smaller by so much before the origin proves more often again. */
const HYSTERESIS_PARTS = 5;

/** A proof may be lost on the way, and the next may take three slots. */
const GRACE_SLOTS = 3;

/** The gear that the origin was in when it proved `generation`. */
export function gearOf(generation: number, nacEnd: number): number {
  return (((generation + nacEnd) % GEARS) + GEARS) % GEARS;
}

export function periodSlots(gear: number): number {
  return PERIODS[gear]!;
}

/** A destination whose newest proof is so many slots old is dead, whatever neighbours say. */
export function lifetimeSlots(gear: number): number {
  return 2 * PERIODS[gear]! + GRACE_SLOTS;
}

/** The gear for a table of so many routes, given the one in use. */
export function gearFor(routes: number, present: number): number {
  let gear = 0;
  while (gear < ROUTES_MAX.length && routes > ROUTES_MAX[gear]!) gear += 1;
  if (gear >= present) return gear;
  const bound = ROUTES_MAX[present - 1]!;
  return routes < bound - bound / HYSTERESIS_PARTS ? gear : present;
}

/** The newest slot up to `slot` that tells `gear`. */
export function generationAt(slot: number, gear: number, nacEnd: number): number {
  const ahead = (gearOf(slot, nacEnd) - gear + GEARS) % GEARS;
  return slot - ahead;
}

/**
 * The first generation after `after`, in a gear: spread over the period by the NAC, so that origins do not all speak at once.
 *
 * @param phase any number that tells origins apart, such as two bytes of the NAC
 */
export function nextGeneration(after: number, gear: number, nacEnd: number, phase: number): number {
  const period = PERIODS[gear]!;
  const wanted = phase % (period / GEARS);
  for (let slot = after + 1; ; slot += 1) {
    const turn = Math.floor((((slot % period) + period) % period) / GEARS);
    if (gearOf(slot, nacEnd) === gear && turn === wanted) return slot;
  }
}
