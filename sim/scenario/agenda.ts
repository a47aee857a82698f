/** What is to happen, earliest first; of equal times what was entered first. A binary heap. */
export class Agenda {
  readonly #entries: Entry[] = [];
  #entered = 0;

  get size(): number {
    return this.#entries.length;
  }

  add(atUs: number, run: (nowUs: number) => void): void {
    const entries = this.#entries;
    const entry = { atUs, order: this.#entered, run };
    this.#entered += 1;
    let at = entries.length;
    entries.push(entry);
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (!isBefore(entry, entries[up]!)) break;
      entries[at] = entries[up]!;
      at = up;
    }
    entries[at] = entry;
  }

  next(): Entry | undefined {
    const entries = this.#entries;
    const first = entries[0];
    const last = entries.pop();
    if (first === undefined || last === undefined || first === last) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below + 1 < entries.length && isBefore(entries[below + 1]!, entries[below]!)) below += 1;
      if (below >= entries.length || !isBefore(entries[below]!, last)) break;
      entries[at] = entries[below]!;
      at = below;
    }
    entries[at] = last;
    return first;
  }
}

interface Entry {
  readonly atUs: number;
  readonly order: number;
  readonly run: (nowUs: number) => void;
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atUs < b.atUs || (a.atUs === b.atUs && a.order < b.order);
}
