/**
 * The key schedule of MQ1 once more, over any algebra: over bytes it must agree with the code in core/session (which
 * test/core/mq1-symbolic.test.ts checks), over terms it is what the search for attacks looks at. So the search speaks
 * about the protocol that runs.
 */
export interface Algebra<Value> {
  hash(...parts: Value[]): Value;
  /** The next chaining key. */
  extract(salt: Value, secret: Value): Value;
  /** A key for one purpose. */
  expand(chainingKey: Value, label: string, context: Value): Value;
}

/** What a weaker protocol would leave out. Each flaw must be found. */
export interface Flaws {
  /** INIT is sealed without the secret of the static key. */
  readonly noStaticSecret?: boolean;
  /** RESP forgets the chaining key that the static secret went into. */
  readonly noChainToStatic?: boolean;
  /** X25519 is left out. */
  readonly noDiffieHellman?: boolean;
  /** The responder's ephemeral ML-KEM key is left out. */
  readonly noEphemeralKem?: boolean;
  /** Version, suite and suites offered are in no transcript. */
  readonly headersUnbound?: boolean;
  /** The return NAC travels in clear. */
  readonly returnNacInClear?: boolean;
  /** The responder forgets which biscuits became sessions. */
  readonly biscuitsForgotten?: boolean;
}

export interface Step<Value> {
  readonly chainingKey: Value;
  readonly transcript: Value;
  readonly key: Value;
}

export class Schedule<Value> {
  private readonly algebra: Algebra<Value>;
  private readonly flaws: Flaws;
  private readonly nothing: Value;

  /** @param nothing  stands where a flaw leaves something out */
  constructor(algebra: Algebra<Value>, nothing: Value, flaws: Flaws = {}) {
    this.algebra = algebra;
    this.flaws = flaws;
    this.nothing = nothing;
  }

  /** th0; `protocol` is "MQ1", version and suite. */
  first(protocol: Value, networkId: Value, staticPublic: Value): Value {
    return this.algebra.hash(this.header(protocol), networkId, this.algebra.hash(staticPublic));
  }

  init(th0: Value, staticSecret: Value, header: Value, ciphertext: Value, share: Value): Step<Value> {
    const secret = this.flaws.noStaticSecret ? this.nothing : staticSecret;
    const head = [this.header(header), ciphertext, share];
    return this.enter("mq1 init", this.algebra.hash(th0), secret, th0, head);
  }

  afterInit(step: Step<Value>, sealed: Value): Value {
    return this.algebra.hash(step.transcript, sealed);
  }

  resp(
    init: Step<Value>,
    transcript: Value,
    agreed: Value,
    header: Value,
    initiatorIndex: Value,
    share: Value,
  ): Step<Value> {
    const salt = this.flaws.noChainToStatic ? this.nothing : init.chainingKey;
    const secret = this.flaws.noDiffieHellman ? this.nothing : agreed;
    return this.enter("mq1 resp", salt, secret, transcript, [this.header(header), initiatorIndex, share]);
  }

  /** th2: `opening` and `rest` are RESP's body around the biscuit. */
  afterResp(step: Step<Value>, opening: Value, rest: Value): Value {
    return this.algebra.hash(step.transcript, opening, rest);
  }

  conf(
    resp: { readonly chainingKey: Value },
    th2: Value,
    ephemeralSecret: Value,
    header: Value,
    responderIndex: Value,
    biscuit: Value,
    ciphertext: Value,
  ): Step<Value> {
    const secret = this.flaws.noEphemeralKem ? this.nothing : ephemeralSecret;
    const head = [this.header(header), responderIndex, biscuit, ciphertext];
    return this.enter("mq1 conf", resp.chainingKey, secret, th2, head);
  }

  /** th4. */
  afterConf(step: Step<Value>, sealed: Value): Value {
    return this.algebra.hash(step.transcript, sealed);
  }

  /** The material of all traffic keys. */
  traffic(step: Step<Value>, th4: Value): Value {
    return this.algebra.expand(step.chainingKey, "mq1 traffic", th4);
  }

  private enter(label: string, salt: Value, secret: Value, transcript: Value, head: readonly Value[]): Step<Value> {
    const chainingKey = this.algebra.extract(salt, secret);
    const next = this.algebra.hash(transcript, ...head);
    return { chainingKey, transcript: next, key: this.algebra.expand(chainingKey, label, next) };
  }

  private header(value: Value): Value {
    return this.flaws.headersUnbound ? this.nothing : value;
  }
}
