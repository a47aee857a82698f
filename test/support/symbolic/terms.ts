/**
 * Messages as terms, the way Dolev and Yao look at a protocol ("On the security of public key protocols", 1983): what a
 * cryptographic operation gives is a symbol that can be undone only with the right key, never by guessing.
 *
 * Terms are numbered; equal terms have the same number, so that comparing them is comparing numbers.
 */
export type Term = number;

export type Shape =
  /** A value drawn at random, or a constant that everybody knows. */
  | { readonly kind: "atom"; readonly name: string; readonly isPublic: boolean }
  | { readonly kind: "tuple"; readonly parts: readonly Term[] }
  /** A one-way function: hash, extract, expand. */
  | { readonly kind: "oneWay"; readonly label: string; readonly parts: readonly Term[] }
  | { readonly kind: "sealed"; readonly key: Term; readonly associated: Term; readonly plaintext: Term }
  /** The public key of a KEM key, what an encapsulation sends, and the secret it agrees on. */
  | { readonly kind: "kemPublic"; readonly secretKey: Term }
  | { readonly kind: "ciphertext"; readonly publicKey: Term; readonly randomness: Term }
  | { readonly kind: "kemSecret"; readonly publicKey: Term; readonly randomness: Term }
  /** A Diffie-Hellman share, and what two of them agree on; the exponents in order. */
  | { readonly kind: "share"; readonly exponent: Term }
  | { readonly kind: "shared"; readonly low: Term; readonly high: Term };

export class Terms {
  private readonly shapes: Shape[] = [];
  private readonly numbers = new Map<string, Term>();

  shapeOf(term: Term): Shape {
    return this.shapes[term]!;
  }

  /** A value that nobody knows but who drew it. */
  fresh(name: string): Term {
    return this.number({ kind: "atom", name, isPublic: false });
  }

  constant(name: string): Term {
    return this.number({ kind: "atom", name, isPublic: true });
  }

  tuple(...parts: Term[]): Term {
    return this.number({ kind: "tuple", parts });
  }

  oneWay(label: string, ...parts: Term[]): Term {
    return this.number({ kind: "oneWay", label, parts });
  }

  sealed(key: Term, associated: Term, plaintext: Term): Term {
    return this.number({ kind: "sealed", key, associated, plaintext });
  }

  kemPublic(secretKey: Term): Term {
    return this.number({ kind: "kemPublic", secretKey });
  }

  encapsulate(publicKey: Term, randomness: Term): { readonly ciphertext: Term; readonly secret: Term } {
    return {
      ciphertext: this.number({ kind: "ciphertext", publicKey, randomness }),
      secret: this.number({ kind: "kemSecret", publicKey, randomness }),
    };
  }

  /** What the owner of `secretKey` makes of a ciphertext; undefined for one that was made for another key. */
  decapsulate(ciphertext: Term, secretKey: Term): Term | undefined {
    const shape = this.shapeOf(ciphertext);
    if (shape.kind !== "ciphertext" || shape.publicKey !== this.kemPublic(secretKey)) return undefined;
    return this.number({ kind: "kemSecret", publicKey: shape.publicKey, randomness: shape.randomness });
  }

  share(exponent: Term): Term {
    return this.number({ kind: "share", exponent });
  }

  agree(exponent: Term, share: Term): Term {
    const shape = this.shapeOf(share);
    if (shape.kind !== "share") throw new Error(`terms: ${this.print(share)} is no share`);
    const [low, high] = [exponent, shape.exponent].sort((a, b) => a - b) as [Term, Term];
    return this.number({ kind: "shared", low, high });
  }

  print(term: Term): string {
    const shape = this.shapeOf(term);
    switch (shape.kind) {
      case "atom":
        return shape.name;
      case "tuple":
        return `(${shape.parts.map((part) => this.print(part)).join(", ")})`;
      case "oneWay":
        return `${shape.label}#${term}`; // whole, it would fill pages
      case "sealed":
        return `sealed{${this.print(shape.plaintext)}}`;
      case "kemPublic":
        return `pk(${this.print(shape.secretKey)})`;
      case "ciphertext":
        return `ct(${this.print(shape.publicKey)}, ${this.print(shape.randomness)})`;
      case "kemSecret":
        return `ss(${this.print(shape.publicKey)}, ${this.print(shape.randomness)})`;
      case "share":
        return `g^${this.print(shape.exponent)}`;
      case "shared":
        return `g^(${this.print(shape.low)}*${this.print(shape.high)})`;
    }
  }

  private number(shape: Shape): Term {
    const name = JSON.stringify(shape);
    const known = this.numbers.get(name);
    if (known !== undefined) return known;
    const term = this.shapes.length;
    this.shapes.push(shape);
    this.numbers.set(name, term);
    return term;
  }
}
