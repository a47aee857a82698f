/**
 * Delta debugging (ddmin): from items that fail together to few that still do.
 *
 * @see Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input, IEEE TSE 28(2), 2002
 */

/** Does it still fail with these alone, and for the same reason? */
export type StillFails<T> = (kept: readonly T[]) => Promise<boolean>;

/**
 * Items of which none can be left out alone, in their order; the same ones each time when `stillFails` answers the same.
 * Halves go first, then finer parts. `items` themselves are taken to fail and are not tried. As soon as `isOver` the best
 * so far comes back.
 */
export async function minimal<T>(
  items: readonly T[],
  stillFails: StillFails<T>,
  isOver: () => boolean = () => false,
): Promise<T[]> {
  let kept = [...items];
  if (kept.length > 0 && (await stillFails([]))) return [];
  for (let parts = 2; kept.length >= 2 && !isOver(); ) {
    const found = await smaller(kept, Math.min(parts, kept.length), stillFails, isOver);
    if (found !== undefined) {
      kept = found.kept;
      parts = Math.max(found.isPart ? 2 : parts - 1, 2);
    } else if (parts >= kept.length) break;
    else parts *= 2;
  }
  return kept;
}

/** One part alone, else all but one part; undefined when neither fails. */
async function smaller<T>(
  items: readonly T[],
  parts: number,
  stillFails: StillFails<T>,
  isOver: () => boolean,
): Promise<{ kept: T[]; isPart: boolean } | undefined> {
  const bounds = Array.from({ length: parts + 1 }, (_, i) => Math.floor((i * items.length) / parts));
  for (let part = 0; part < parts && !isOver(); part += 1) {
    const kept = items.slice(bounds[part], bounds[part + 1]);
    if (await stillFails(kept)) return { kept, isPart: true };
  }
  if (parts === 2) return undefined; // all but one half is the other half
  for (let part = 0; part < parts && !isOver(); part += 1) {
    const kept = [...items.slice(0, bounds[part]), ...items.slice(bounds[part + 1])];
    if (await stillFails(kept)) return { kept, isPart: false };
  }
  return undefined;
}

/** The least whole number from `least` to `most` that still fails, if less is ever worse; `most` is taken to fail. */
export async function leastThat(least: number, most: number, stillFails: (value: number) => Promise<boolean>) {
  let low = least;
  let high = most;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await stillFails(middle)) high = middle;
    else low = middle + 1;
  }
  return high;
}
