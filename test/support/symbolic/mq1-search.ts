/**
 * A bounded search for attacks on MQ1: a few honest handshakes side by side, and an attacker who is the network. At each
 * step he gives some participant a message that it accepts, whichever he can write down; all choices are tried.
 * Messages that a participant would refuse change nothing and are left out.
 *
 * The bounds: the handshakes of a `Scene`, and bodies made of values that occur in it. Within them the answer is complete.
 */
import { Attacker, type Powers } from "./attacker.js";
import { type Flaws, Schedule, type Step } from "./schedule.js";
import { type Term, Terms } from "./terms.js";

export interface Scene {
  /** Whom the honest initiators call: the honest responder, or a service of the attacker's own. */
  readonly initiators: readonly ("responder" | "attacker")[];
  /** INITs and CONFs that the responder takes. */
  readonly inits: number;
  readonly confs: number;
  readonly powers?: Powers;
  readonly flaws?: Flaws;
  /** The attacker only listens: every message goes to whom it was sent, unchanged. */
  readonly isPassive?: boolean;
}

export type Property =
  | "secrecy"
  | "forward secrecy"
  | "responder authentication"
  | "agreement"
  | "return NAC secrecy"
  | "no session twice";

export interface Attack {
  readonly property: Property;
  /** What was done, in order. */
  readonly steps: readonly string[];
}

export interface Outcome {
  readonly states: number;
  /** Initiators that the responder confirmed, over all states: the search must have seen handshakes complete. */
  readonly completed: number;
  /** The first attack found on each property. */
  readonly attacks: readonly Attack[];
}

interface InitiatorState {
  readonly id: number;
  readonly calls: "responder" | "attacker";
  readonly staticPublic: Term;
  readonly exponent: Term;
  readonly index: Term;
  readonly returnNac: Term;
  readonly header: Term;
  readonly suites: Term;
  readonly init: Step<Term>;
  readonly transcript: Term;
  /** Set when RESP was accepted. */
  readonly accepted?: { readonly respSealed: Term; readonly material: Term };
}

/** What the responder took part in; the real one remembers none of `inits`. */
interface ResponderState {
  readonly inits: readonly { readonly respSealed: Term }[];
  readonly sessions: readonly SessionView[];
  readonly used: readonly Term[];
}

interface SessionView {
  readonly material: Term;
  readonly header: Term;
  readonly suites: Term;
}

interface World {
  readonly attacker: Attacker;
  readonly initiators: readonly InitiatorState[];
  readonly responder: ResponderState;
  readonly steps: readonly string[];
}

export function searchAttacks(scene: Scene): Outcome {
  return new Search(scene).run();
}

class Search {
  private readonly scene: Scene;
  private readonly terms = new Terms();
  private readonly schedule: Schedule<Term>;
  private readonly found = new Map<Property, Attack>();
  private readonly seen = new Set<string>();
  private completed = 0;

  // What the attacker brings along.
  private readonly ownKemKey: Term;
  private readonly ownRandomness: Term;
  private readonly ownExponent: Term;
  private readonly ownIndex: Term;
  private readonly ownNac: Term;

  // The responder's.
  private readonly staticKey: Term;
  private readonly ephemeralKey: Term;
  private readonly biscuitKey: Term;

  // Known to all.
  private readonly network: Term;
  private readonly params: Term;
  private readonly strong: Term;
  private readonly weak: Term;
  private readonly bothSuites: Term;
  private readonly weakOnly: Term;

  constructor(scene: Scene) {
    this.scene = scene;
    const { terms } = this;
    this.schedule = new Schedule<Term>(
      {
        hash: (...parts) => terms.oneWay("hash", ...parts),
        extract: (salt, secret) => terms.oneWay("extract", salt, secret),
        expand: (key, label, context) => terms.oneWay(label, key, context),
      },
      terms.constant("nothing"),
      scene.flaws,
    );
    this.ownKemKey = terms.fresh("attacker's KEM key");
    this.ownRandomness = terms.fresh("attacker's randomness");
    this.ownExponent = terms.fresh("attacker's exponent");
    this.ownIndex = terms.fresh("attacker's index");
    this.ownNac = terms.fresh("attacker's NAC");
    this.staticKey = terms.fresh("static key");
    this.ephemeralKey = terms.fresh("ephemeral key");
    this.biscuitKey = terms.fresh("biscuit key");
    this.network = terms.constant("network");
    this.params = terms.constant("parameters");
    this.strong = terms.constant("strong suite");
    this.weak = terms.constant("weak suite");
    this.bothSuites = terms.constant("strong and weak suites");
    this.weakOnly = terms.constant("the weak suite only");
  }

  run(): Outcome {
    const stack = [this.start()];
    while (stack.length > 0) {
      const world = stack.pop()!;
      const name = nameOf(world);
      if (this.seen.has(name)) continue;
      this.seen.add(name);
      this.judge(world);
      stack.push(...this.next(world));
    }
    return { states: this.seen.size, completed: this.completed, attacks: [...this.found.values()] };
  }

  /** All initiators have sent INIT: nothing that they say depends on what the attacker does before. */
  private start(): World {
    const { terms, scene } = this;
    let attacker = Attacker.start(terms, scene.powers ?? {}, [
      this.ownKemKey,
      this.ownRandomness,
      this.ownExponent,
      this.ownIndex,
      this.ownNac,
      terms.kemPublic(this.staticKey),
    ]);
    const initiators: InitiatorState[] = [];
    scene.initiators.forEach((calls, id) => {
      const { state, heard } = this.call(id, calls);
      initiators.push(state);
      attacker = attacker.hears(...heard);
    });
    return { attacker, initiators, responder: { inits: [], sessions: [], used: [] }, steps: [] };
  }

  private call(id: number, calls: "responder" | "attacker"): { state: InitiatorState; heard: Term[] } {
    const { terms, schedule } = this;
    const staticPublic = terms.kemPublic(calls === "responder" ? this.staticKey : this.ownKemKey);
    const exponent = terms.fresh(`x${id}`);
    const index = terms.fresh(`index${id}`);
    const returnNac = terms.fresh(`NAC${id}`);
    const { ciphertext, secret } = terms.encapsulate(staticPublic, terms.fresh(`r${id}`));
    const share = terms.share(exponent);
    const th0 = schedule.first(this.strong, this.network, staticPublic);
    const init = schedule.init(th0, secret, this.strong, ciphertext, share);
    const body = this.initBody(index, returnNac, this.bothSuites);
    const sealed = terms.sealed(init.key, init.transcript, body);
    const transcript = schedule.afterInit(init, sealed);
    const inClear = this.scene.flaws?.returnNacInClear ? [returnNac] : [];
    return {
      state: {
        id,
        calls,
        staticPublic,
        exponent,
        index,
        returnNac,
        header: this.strong,
        suites: this.bothSuites,
        init,
        transcript,
      },
      heard: [ciphertext, share, sealed, ...inClear],
    };
  }

  /** Every world that one message makes of this one. */
  private next(world: World): World[] {
    const worlds: World[] = [];
    const { responder, initiators } = world;
    if (responder.inits.length < this.scene.inits) worlds.push(...this.giveInit(world));
    if (responder.sessions.length < this.scene.confs) worlds.push(...this.giveConf(world));
    for (const initiator of initiators) {
      if (initiator.accepted === undefined) worlds.push(...this.giveResp(world, initiator));
    }
    return worlds;
  }

  private giveInit(world: World): World[] {
    const { terms, schedule } = this;
    const { attacker } = world;
    const worlds: World[] = [];
    const staticPublic = terms.kemPublic(this.staticKey);
    for (const header of this.scene.isPassive ? [this.strong] : [this.strong, this.weak]) {
      const th0 = schedule.first(header, this.network, staticPublic);
      for (const ciphertext of this.ciphertextsFor(world, staticPublic)) {
        const secret = terms.decapsulate(ciphertext, this.staticKey)!;
        for (const share of this.shares(world)) {
          const step = schedule.init(th0, secret, header, ciphertext, share);
          for (const sealed of this.sealedFor(world, step.key, step.transcript, () => this.forgedInitBodies(world))) {
            const body = terms.shapeOf(sealed);
            const plaintext = body.kind === "sealed" ? terms.shapeOf(body.plaintext) : undefined;
            if (plaintext?.kind !== "tuple" || plaintext.parts.length !== 4) continue;
            const [index, returnNac, , suites] = plaintext.parts as [Term, Term, Term, Term];
            const number = world.responder.inits.length;
            const exponent = terms.fresh(`y${number}`);
            const responderIndex = terms.fresh(`responder index${number}`);
            const transcript = schedule.afterInit(step, sealed);
            const own = terms.share(exponent);
            const resp = schedule.resp(step, transcript, terms.agree(exponent, share), header, index, own);
            const ephemeralPublic = terms.kemPublic(this.ephemeralKey);
            const rest = terms.tuple(ephemeralPublic, this.params);
            const th2 = schedule.afterResp(resp, responderIndex, rest);
            const biscuitBody = terms.tuple(resp.chainingKey, th2, index, responderIndex, returnNac, suites);
            const biscuit = terms.sealed(this.biscuitKey, terms.fresh(`nonce${number}`), biscuitBody);
            const respSealed = terms.sealed(
              resp.key,
              resp.transcript,
              terms.tuple(responderIndex, biscuit, ephemeralPublic, this.params),
            );
            worlds.push({
              ...world,
              attacker: attacker.hears(index, own, respSealed),
              responder: { ...world.responder, inits: [...world.responder.inits, { respSealed }] },
              steps: [
                ...world.steps,
                `the responder takes an INIT: ${terms.print(header)}, ${terms.print(ciphertext)}, ${terms.print(share)}`,
              ],
            });
          }
        }
      }
    }
    return worlds;
  }

  private giveResp(world: World, initiator: InitiatorState): World[] {
    const { terms, schedule } = this;
    const { attacker } = world;
    const worlds: World[] = [];
    for (const share of this.shares(world)) {
      const agreed = terms.agree(initiator.exponent, share);
      const resp = schedule.resp(
        initiator.init,
        initiator.transcript,
        agreed,
        initiator.header,
        initiator.index,
        share,
      );
      for (const sealed of this.sealedFor(world, resp.key, resp.transcript, () => this.forgedRespBodies(world))) {
        const shape = terms.shapeOf(sealed);
        const body = shape.kind === "sealed" ? terms.shapeOf(shape.plaintext) : undefined;
        if (body?.kind !== "tuple" || body.parts.length !== 4) continue;
        const [responderIndex, biscuit, ephemeralPublic, params] = body.parts as [Term, Term, Term, Term];
        const th2 = schedule.afterResp(resp, responderIndex, terms.tuple(ephemeralPublic, params));
        const { ciphertext, secret } = terms.encapsulate(ephemeralPublic, terms.fresh(`e${initiator.id}`));
        const conf = schedule.conf(resp, th2, secret, initiator.header, responderIndex, biscuit, ciphertext);
        const confSealed = terms.sealed(conf.key, conf.transcript, this.params);
        const material = schedule.traffic(conf, schedule.afterConf(conf, confSealed));
        const accepted = { respSealed: sealed, material };
        worlds.push({
          ...world,
          attacker: attacker.hears(responderIndex, biscuit, ciphertext, confSealed),
          initiators: world.initiators.map((one) => (one === initiator ? { ...one, accepted } : one)),
          steps: [
            ...world.steps,
            `initiator ${initiator.id} takes a RESP: ${terms.print(share)}, ${terms.print(ephemeralPublic)}`,
          ],
        });
      }
    }
    return worlds;
  }

  private giveConf(world: World): World[] {
    const { terms, schedule, scene } = this;
    const { attacker, responder } = world;
    const worlds: World[] = [];
    for (const biscuit of this.heardSealed(attacker, this.biscuitKey)) {
      if (responder.used.includes(biscuit) && !scene.flaws?.biscuitsForgotten) continue;
      const state = terms.shapeOf((terms.shapeOf(biscuit) as { plaintext: Term }).plaintext);
      if (state.kind !== "tuple") continue;
      const [chainingKey, th2, , responderIndex, , suites] = state.parts as [Term, Term, Term, Term, Term, Term];
      for (const header of scene.isPassive ? [this.strong] : [this.strong, this.weak]) {
        for (const ciphertext of this.ciphertextsFor(world, terms.kemPublic(this.ephemeralKey))) {
          const secret = terms.decapsulate(ciphertext, this.ephemeralKey)!;
          const conf = schedule.conf({ chainingKey }, th2, secret, header, responderIndex, biscuit, ciphertext);
          for (const sealed of this.sealedFor(world, conf.key, conf.transcript, () => [this.params])) {
            const material = schedule.traffic(conf, schedule.afterConf(conf, sealed));
            worlds.push({
              ...world,
              responder: {
                ...responder,
                sessions: [...responder.sessions, { material, header, suites }],
                used: [...responder.used, biscuit],
              },
              steps: [...world.steps, `the responder takes a CONF: ${terms.print(header)}, ${terms.print(ciphertext)}`],
            });
          }
        }
      }
    }
    return worlds;
  }

  // What the attacker can give.

  private ciphertextsFor(world: World, publicKey: Term): Term[] {
    const { terms } = this;
    const heard = [...world.attacker.heard].filter((term) => {
      const shape = terms.shapeOf(term);
      return shape.kind === "ciphertext" && shape.publicKey === publicKey;
    });
    if (this.scene.isPassive || !world.attacker.derives(publicKey)) return heard;
    return [...new Set([...heard, terms.encapsulate(publicKey, this.ownRandomness).ciphertext])];
  }

  private shares(world: World): Term[] {
    const heard = [...world.attacker.heard].filter((term) => this.terms.shapeOf(term).kind === "share");
    return this.scene.isPassive ? heard : [...new Set([...heard, this.terms.share(this.ownExponent)])];
  }

  /** What opens under `key` and `associated`: heard, or made by the attacker if he has the key. */
  private sealedFor(world: World, key: Term, associated: Term, bodies: () => Term[]): Term[] {
    const { terms } = this;
    const heard = this.heardSealed(world.attacker, key).filter((term) => {
      const shape = terms.shapeOf(term);
      return shape.kind === "sealed" && shape.associated === associated;
    });
    if (this.scene.isPassive || !world.attacker.derives(key) || !world.attacker.derives(associated)) return heard;
    return [...new Set([...heard, ...bodies().map((body) => terms.sealed(key, associated, body))])];
  }

  private heardSealed(attacker: Attacker, key: Term): Term[] {
    return [...attacker.heard].filter((term) => {
      const shape = this.terms.shapeOf(term);
      return shape.kind === "sealed" && shape.key === key;
    });
  }

  private forgedInitBodies(world: World): Term[] {
    const nacs = [this.ownNac, ...world.initiators.map((one) => one.returnNac)].filter((nac) =>
      world.attacker.derives(nac),
    );
    return nacs.flatMap((nac) =>
      [this.bothSuites, this.weakOnly].map((suites) => this.initBody(this.ownIndex, nac, suites)),
    );
  }

  private forgedRespBodies(world: World): Term[] {
    const { terms } = this;
    const biscuits = [this.ownIndex, ...this.heardSealed(world.attacker, this.biscuitKey)];
    const keys = [terms.kemPublic(this.ownKemKey), terms.kemPublic(this.ephemeralKey)].filter((key) =>
      world.attacker.derives(key),
    );
    return biscuits.flatMap((biscuit) => keys.map((key) => terms.tuple(this.ownIndex, biscuit, key, this.params)));
  }

  private initBody(index: Term, returnNac: Term, suites: Term): Term {
    return this.terms.tuple(index, returnNac, this.params, suites);
  }

  // What must hold.

  private judge(world: World): void {
    const { attacker, initiators, responder } = world;
    const later = attacker.hears(this.staticKey); // the static key is stolen when all is over
    for (const initiator of initiators) {
      if (initiator.calls !== "responder") continue;
      if (attacker.derives(initiator.returnNac)) this.report(world, "return NAC secrecy");
      const { accepted } = initiator;
      if (accepted === undefined) continue;
      if (attacker.derives(accepted.material)) this.report(world, "secrecy");
      if (later.derives(accepted.material)) this.report(world, "forward secrecy");
      if (!responder.inits.some(({ respSealed }) => respSealed === accepted.respSealed)) {
        this.report(world, "responder authentication");
      }
      const partner = responder.sessions.find(({ material }) => material === accepted.material);
      if (partner === undefined) continue;
      this.completed += 1;
      if (partner.header !== initiator.header || partner.suites !== initiator.suites) this.report(world, "agreement");
    }
    const materials = responder.sessions.map(({ material }) => material);
    if (new Set(materials).size < materials.length) this.report(world, "no session twice");
  }

  private report(world: World, property: Property): void {
    if (!this.found.has(property)) this.found.set(property, { property, steps: world.steps });
  }
}

/** Worlds that differ only in the order of what happened are one. */
function nameOf({ attacker, initiators, responder }: World): string {
  const heard = [...attacker.heard].sort((a, b) => a - b).join();
  const accepted = initiators.map((one) => one.accepted?.material ?? "-").join();
  const sessions = responder.sessions.map(({ material, header }) => `${material}/${header}`).join();
  return `${heard}|${accepted}|${responder.inits.map((one) => one.respSealed).join()}|${sessions}`;
}
