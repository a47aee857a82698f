import type { LinkModel } from "../plan/plan.js";

/** The models of a plan as columns, so that a crossing reads numbers and not objects. */
export class LinkModels {
  readonly delayUs: Float64Array;
  readonly mtuBytes: Uint32Array;
  /** Nothing but delay and size: the quick way. */
  readonly isPlain: Uint8Array;
  /** The fate of a packet is drawn from the weather. */
  readonly isRandom: Uint8Array;
  readonly jitterUs: Float64Array;
  readonly jitterCorrelationPpm: Uint32Array;
  readonly lossPpm: Uint32Array;
  readonly isBursty: Uint8Array;
  readonly toBadPpm: Uint32Array;
  readonly toGoodPpm: Uint32Array;
  readonly goodLossPpm: Uint32Array;
  readonly badLossPpm: Uint32Array;
  readonly duplicatePpm: Uint32Array;
  readonly reorderPpm: Uint32Array;
  readonly reorderUs: Float64Array;
  readonly corruptPpm: Uint32Array;
  readonly rate: Float64Array;
  readonly queueBytes: Float64Array;

  constructor(models: readonly LinkModel[]) {
    const count = models.length;
    const shares = (of: (model: LinkModel) => number) => Uint32Array.from(models, of);
    const amounts = (of: (model: LinkModel) => number) => Float64Array.from(models, of);
    this.delayUs = amounts((model) => model.delayUs);
    this.mtuBytes = shares((model) => model.mtuBytes);
    this.jitterUs = amounts((model) => model.jitterUs);
    this.jitterCorrelationPpm = shares((model) => model.jitterCorrelationPpm);
    this.lossPpm = shares((model) => (model.burst === undefined ? model.lossPpm : 0));
    this.isBursty = Uint8Array.from(models, (model) => (model.burst === undefined ? 0 : 1));
    this.toBadPpm = shares((model) => model.burst?.toBadPpm ?? 0);
    this.toGoodPpm = shares((model) => model.burst?.toGoodPpm ?? 0);
    this.goodLossPpm = shares((model) => model.burst?.goodLossPpm ?? 0);
    this.badLossPpm = shares((model) => model.burst?.badLossPpm ?? 0);
    this.duplicatePpm = shares((model) => model.duplicatePpm);
    this.reorderPpm = shares((model) => model.reorderPpm);
    this.reorderUs = amounts((model) => model.reorderUs);
    this.corruptPpm = shares((model) => model.corruptPpm);
    this.rate = amounts((model) => model.rate);
    this.queueBytes = amounts((model) => model.queueBytes);
    this.isRandom = new Uint8Array(count);
    this.isPlain = new Uint8Array(count);
    for (let i = 0; i < count; i += 1) {
      const chances = this.lossPpm[i]! + this.isBursty[i]! + this.duplicatePpm[i]! + this.reorderPpm[i]!;
      const random = chances + this.jitterUs[i]! + this.corruptPpm[i]! > 0;
      this.isRandom[i] = random ? 1 : 0;
      this.isPlain[i] = random || this.rate[i]! > 0 ? 0 : 1;
    }
  }
}
