import type { Liar } from "./liar.js";
import { type Advert, Phantoms } from "./phantoms.js";

/** "Yesterday" is long enough ago for everybody to have forgotten the dead: lost-sources.ts remembers them for a minute. */
const YESTERDAY_US = 90_000_000;
const LOOK_US = 1_000_000;
/** Adverts kept for later. Beyond: those lost then are not replayed. */
const KEPT_MAX = 4_096;

interface Kept {
  readonly nac: Uint8Array;
  readonly advert: Advert;
  readonly atUs: number;
}

/** Keeps the adverts of those who died, and tells them again when everybody has forgotten them. */
export function replay(nowUs: number, liar: Liar): void {
  const { inside, elements } = liar;
  const { table, selection, decision } = inside;
  const { dictionary } = table;
  const phantoms = new Phantoms(inside);
  const last = new Map<number, Advert>();
  const kept: Kept[] = [];
  const remember = (destination: number) => {
    if (liar.carries(destination)) last.set(destination, phantoms.advertOf(destination));
  };
  for (let i = 0; i < table.listed; i += 1) remember(table.order[i]!);
  const choose = selection.choose.bind(selection);
  selection.choose = (destination) => {
    choose(destination);
    remember(destination);
  };
  const add = decision.lost.add.bind(decision.lost);
  decision.lost.add = (atUs, destination) => {
    const advert = last.get(destination);
    last.delete(destination);
    if (advert !== undefined && kept.length < KEPT_MAX) {
      kept.push({ nac: dictionary.bytesOf(destination), advert, atUs });
    }
    add(atUs, destination);
  };
  liar.every(nowUs, LOOK_US, (atUs) => {
    while (kept.length > 0 && kept[0]!.atUs + YESTERDAY_US <= atUs) {
      const { nac, advert } = kept.shift()!;
      const destination = dictionary.intern(nac);
      elements.hold(destination, advert);
      phantoms.invent(atUs, destination, advert);
      dictionary.release(destination); // the table holds it now
    }
  });
}
