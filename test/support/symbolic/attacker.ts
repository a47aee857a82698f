/**
 * The attacker of Dolev and Yao: hears everything, takes apart whatever he has the key for, puts together whatever he
 * has the parts of, and computes nothing that the mathematics forbids.
 */
import type { Term, Terms } from "./terms.js";

export interface Powers {
  /** He computes discrete logarithms: every Diffie-Hellman agreement he hears is his. A quantum computer. */
  readonly breaksDiffieHellman?: boolean;
  /** He opens every KEM ciphertext he hears. */
  readonly breaksKem?: boolean;
}

export class Attacker {
  readonly heard: ReadonlySet<Term>;
  private readonly terms: Terms;
  private readonly powers: Powers;
  private readonly derived = new Map<Term, boolean>();

  private constructor(terms: Terms, powers: Powers, heard: ReadonlySet<Term>) {
    this.terms = terms;
    this.powers = powers;
    this.heard = heard;
  }

  static start(terms: Terms, powers: Powers, known: readonly Term[]): Attacker {
    return new Attacker(terms, powers, new Set()).hears(...known);
  }

  /** The attacker who heard these as well, and took apart what he now can. */
  hears(...news: Term[]): Attacker {
    const heard = new Set(this.heard);
    const waiting = [...news];
    while (waiting.length > 0) {
      while (waiting.length > 0) {
        const term = waiting.pop()!;
        if (heard.has(term)) continue;
        heard.add(term);
        const shape = this.terms.shapeOf(term);
        if (shape.kind === "tuple") waiting.push(...shape.parts);
      }
      // What he could not open before, he may open now.
      const now = new Attacker(this.terms, this.powers, heard);
      for (const term of heard) {
        const shape = this.terms.shapeOf(term);
        if (shape.kind !== "sealed" || heard.has(shape.plaintext)) continue;
        if (now.derives(shape.key)) waiting.push(shape.plaintext);
      }
    }
    return new Attacker(this.terms, this.powers, heard);
  }

  /** Can he write this down? */
  derives(term: Term): boolean {
    if (this.heard.has(term)) return true;
    const known = this.derived.get(term);
    if (known !== undefined) return known;
    this.derived.set(term, false); // a term that needs itself is not derived that way
    const result = this.puts(term);
    this.derived.set(term, result);
    return result;
  }

  private puts(term: Term): boolean {
    const { terms, powers } = this;
    const shape = terms.shapeOf(term);
    const all = (...parts: Term[]) => parts.every((part) => this.derives(part));
    switch (shape.kind) {
      case "atom":
        return shape.isPublic;
      case "tuple":
      case "oneWay":
        return all(...shape.parts);
      case "sealed":
        return all(shape.key, shape.associated, shape.plaintext);
      case "kemPublic":
        return all(shape.secretKey);
      case "ciphertext":
        return all(shape.publicKey, shape.randomness);
      case "kemSecret": {
        if (all(shape.publicKey, shape.randomness)) return true;
        const { ciphertext } = terms.encapsulate(shape.publicKey, shape.randomness);
        const owner = terms.shapeOf(shape.publicKey);
        const opens = powers.breaksKem === true || (owner.kind === "kemPublic" && this.derives(owner.secretKey));
        return opens && this.derives(ciphertext);
      }
      case "share":
        return all(shape.exponent);
      case "shared": {
        const [low, high] = [terms.share(shape.low), terms.share(shape.high)];
        if (all(shape.low, high) || all(shape.high, low)) return true;
        return powers.breaksDiffieHellman === true && all(low, high);
      }
    }
  }
}
