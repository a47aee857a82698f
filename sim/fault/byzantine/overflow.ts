import { weather } from "../../random/weather.js";
import type { Liar } from "./liar.js";
import { Phantoms } from "./phantoms.js";

const INVENTED = 100_000;
const ROUND = 2_000;
const ROUND_US = 100_000;
const METRIC = 2;
const EPOCH = 1;

/** Tells of a hundred thousand NACs that nobody has. */
export function overflow(nowUs: number, liar: Liar): void {
  const { inside, elements } = liar;
  const { dictionary } = inside.table;
  const phantoms = new Phantoms(inside);
  let invented = 0;
  liar.every(nowUs, ROUND_US, (atUs) => {
    if (liar.neighbours.length === 0) return;
    for (let i = 0; i < ROUND && invented < INVENTED; i += 1, invented += 1) {
      const destination = dictionary.intern(inventedNac(liar.node, invented));
      const generation = inside.origins.slot;
      elements.hold(destination, { epoch: EPOCH, generation, metric: 0 }); // the chain is its own
      phantoms.invent(atUs, destination, { metric: METRIC, epoch: EPOCH, index: generation * 256, generation });
      dictionary.release(destination); // the table holds it now
    }
  });
}

function inventedNac(node: number, number: number): Uint8Array {
  const nac = new Uint8Array(16);
  for (let word = 0; word < 4; word += 1) {
    const value = weather(node, number, word);
    for (let i = 0; i < 4; i += 1) nac[word * 4 + i] = value >>> (8 * i);
  }
  return nac;
}
