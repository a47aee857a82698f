/**
 * Random times after the distributions of churn. Math.log and its like may differ between engines in the last bit, so these are made of
 * + - * / and square roots alone, which IEEE 754 fixes to the bit; what comes out is rounded to microseconds by who uses it.
 */
import type { Stream } from "./stream.js";

const { LN2, SQRT1_2 } = Math;

/** Natural logarithm of x > 0: x = m * 2^e with m near 1, then 2 artanh((m - 1) / (m + 1)) as a series. */
export function ln(x: number): number {
  let exponent = 0;
  let mantissa = x;
  while (mantissa > 2 * SQRT1_2) {
    mantissa /= 2;
    exponent += 1;
  }
  while (mantissa < SQRT1_2) {
    mantissa *= 2;
    exponent -= 1;
  }
  const ratio = (mantissa - 1) / (mantissa + 1);
  const square = ratio * ratio;
  let sum = 0;
  for (let k = 25; k >= 1; k -= 2) sum = sum * square + 1 / k; // |ratio| <= 0.172: the first term left out is below 2^-53
  return 2 * ratio * sum + exponent * LN2;
}

/** e^x for |x| below 700: halved until small, a series, squared again. */
export function exp(x: number): number {
  const halvings = 10;
  const small = x / 1024;
  let sum = 1;
  for (let k = 14; k >= 1; k -= 1) sum = 1 + (small * sum) / k;
  for (let i = 0; i < halvings; i += 1) sum *= sum;
  return sum;
}

export function power(base: number, exponent: number): number {
  return base === 0 ? 0 : exp(exponent * ln(base));
}

/** Gamma function of x > 0: moved up to where Stirling's series is exact enough, and back down by its recurrence. */
export function gamma(x: number): number {
  let factor = 1;
  let z = x;
  while (z < 12) {
    factor *= z;
    z += 1;
  }
  const inverse = 1 / z;
  const square = inverse * inverse;
  const series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)));
  const TWO_PI = 6.283_185_307_179_586;
  return (Math.sqrt(TWO_PI * inverse) * exp(z * (ln(z) - 1) + series)) / factor;
}

/** Exponential with mean 1. */
export function exponential(stream: Stream): number {
  return -ln(1 - stream.unit());
}

/** Weibull of a shape k: heavy-tailed below 1, exponential at 1. */
export interface Weibull {
  readonly mean: number;
  readonly shape: number;
}

export function weibull(stream: Stream, { mean, shape }: Weibull): number {
  return scaleOf(mean, shape) * power(exponential(stream), 1 / shape);
}

/**
 * What is left of a Weibull session that is met at a random moment, as all that run when the scenario begins are. Long sessions are met more
 * often, in proportion to their length: (x / scale)^k is then Gamma(1 + 1/k), and the moment is uniform within.
 */
export function weibullResidual(stream: Stream, { mean, shape }: Weibull): number {
  const length = scaleOf(mean, shape) * power(gammaVariate(stream, 1 + 1 / shape), 1 / shape);
  return stream.unit() * length;
}

function scaleOf(mean: number, shape: number): number {
  return mean / gamma(1 + 1 / shape);
}

/** Whole part: a sum of exponentials. The rest: Ahrens and Dieter 1974, algorithm GS. */
function gammaVariate(stream: Stream, shape: number): number {
  const whole = Math.floor(shape);
  let sum = 0;
  for (let i = 0; i < whole; i += 1) sum += exponential(stream);
  const rest = shape - whole;
  return rest < 1e-9 ? sum : sum + fractionalGamma(stream, rest);
}

function fractionalGamma(stream: Stream, shape: number): number {
  const bound = (Math.E + shape) / Math.E;
  // Each round is accepted with a chance above 1/1.39: 200 refusals in a row do not happen.
  for (let round = 0; round < 200; round += 1) {
    const p = bound * stream.unit();
    if (p <= 1) {
      const x = power(p, 1 / shape);
      if (stream.unit() <= exp(-x)) return x;
    } else {
      const x = -ln((bound - p) / shape);
      if (stream.unit() <= power(x, shape - 1)) return x;
    }
  }
  return shape;
}
