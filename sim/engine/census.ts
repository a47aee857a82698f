/**
 * What all shards see of all nodes: who is alive, who has which route, which links are up. Plain typed arrays, shared
 * between workers where there are several. A shard writes only about its own nodes (but for `holders`, which are added to
 * atomically), so the whole is consistent whenever all shards stand still: at the ends of windows.
 */

/** Link numbers of a node are below this: as many as others may open, its own dials, and successors for a while. */
export const LINKS_MAX = 256;
/** Next hops are stored as node + 1 in 16 bits. */
export const NODES_MAX = 65_534;

export interface Census {
  readonly nodes: number;
  /** `hop[node * nodes + destination]`: node of the next hop + 1; 0 without a route. */
  readonly hop: Uint16Array;
  /** Metric of that route; meaningless without one. */
  readonly metric: Uint8Array;
  /** By destination: live nodes, others than itself, with a usable route to it. */
  readonly holders: Int32Array;
  /** 1 while the node lives, paused or not. */
  readonly alive: Uint8Array;
  /** How often the node started. */
  readonly starts: Uint32Array;
  /** Virtual time of the last start and end, and of the first link that came up after the last start; -1 for never. */
  readonly bornUs: Float64Array;
  readonly diedUs: Float64Array;
  readonly linkedUs: Float64Array;
  /** `linkPeer[node * LINKS_MAX + link]`: node at the other end + 1 while the link is up at this end, else 0. */
  readonly linkPeer: Uint16Array;
  /** Cost class of that link, 1 to 4. */
  readonly linkCost: Uint8Array;
  /** By shard and destination, `lastLossUs[shard * nodes + destination]`: when a node of the shard last lost a route to it; -1. */
  readonly lastLossUs: Float64Array;
  /** When that link came up at this end (same place as in `linkPeer`): tells a session from one with an earlier life of the peer. */
  readonly linkUpUs: Float64Array;
  /** By shard: when a route or a link of one of its nodes changed last, or one started or ended; -1. All is quiet long after the latest. */
  readonly changedUs: Float64Array;
  /**
   * `released[(parity * nodes + node) * 2]`: epoch and index (slot * 256 + repair) that a node gave its service NAC last, as of the
   * last whole second of that parity: written at one second, read at the next. Zeros before the first.
   */
  readonly released: Float64Array;
}

/** Makes a buffer of so many bytes, filled with zeros: shared when there are workers. */
export type BufferSource = (bytes: number) => ArrayBufferLike;

/** The buffers of a census, in the order of its fields: workers attach to them. */
export type CensusBuffers = readonly ArrayBufferLike[];

export function censusBuffers(nodes: number, shards: number, make: BufferSource): CensusBuffers {
  if (nodes > NODES_MAX) throw new RangeError(`census: ${nodes} nodes are more than ${NODES_MAX}`);
  const never = (count: number) => {
    const buffer = make(count * 8);
    new Float64Array(buffer).fill(-1);
    return buffer;
  };
  return [
    make(nodes * nodes * 2),
    make(nodes * nodes),
    make(nodes * 4),
    make(nodes),
    make(nodes * 4),
    never(nodes),
    never(nodes),
    never(nodes),
    make(nodes * LINKS_MAX * 2),
    make(nodes * LINKS_MAX),
    never(nodes * shards),
    never(nodes * LINKS_MAX),
    never(shards),
    make(nodes * 2 * 2 * 8),
  ];
}

export function censusOver(nodes: number, buffers: CensusBuffers): Census {
  const [
    hop,
    metric,
    holders,
    alive,
    starts,
    born,
    died,
    linked,
    linkPeer,
    linkCost,
    lastLoss,
    linkUp,
    changed,
    released,
  ] = buffers;
  return {
    nodes,
    hop: new Uint16Array(hop!),
    metric: new Uint8Array(metric!),
    holders: new Int32Array(holders!),
    alive: new Uint8Array(alive!),
    starts: new Uint32Array(starts!),
    bornUs: new Float64Array(born!),
    diedUs: new Float64Array(died!),
    linkedUs: new Float64Array(linked!),
    linkPeer: new Uint16Array(linkPeer!),
    linkCost: new Uint8Array(linkCost!),
    lastLossUs: new Float64Array(lastLoss!),
    linkUpUs: new Float64Array(linkUp!),
    changedUs: new Float64Array(changed!),
    released: new Float64Array(released!),
  };
}

/** When the last route to `destination` was lost anywhere; -1 for never. Right at the ends of windows. */
export function lastLossOf(census: Census, destination: number): number {
  let latest = -1;
  for (let at = destination; at < census.lastLossUs.length; at += census.nodes) {
    latest = Math.max(latest, census.lastLossUs[at]!);
  }
  return latest;
}
