/** seedrandom's types name its root only; this is the one file of it that we use. */
declare module "seedrandom/lib/alea.js" {
  /** Uniform in [0, 1) at each call. */
  export default function alea(seed: string): () => number;
}
