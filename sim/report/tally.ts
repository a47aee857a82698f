/**
 * What one shard saw, as plain data. Everything that is added up is an integer, so that the sum is the same in whatever
 * order, and from however many shards.
 */

/** A removal or a join: from `atUs`, so long. */
export interface Span {
  readonly node: number;
  readonly atUs: number;
  readonly tookUs: number;
  isCensored: boolean;
}

/** Entries of one cause: how many, their bytes, and what the wire carried for them. */
export interface EntryCount {
  entries: number;
  bytes: number;
  wireBytes: number;
}

export interface TrafficCount {
  /** Bytes of streams and answers, or of datagrams, from nodes that lived to nodes that did. */
  offered: number;
  delivered: number;
  /** Bytes that came other than they were sent. */
  damaged: number;
}

/** By whole second of virtual time: `column[7]` is what happened in the eighth second. */
export interface Seconds {
  /** Pairs of live nodes with a path, of the sampled destinations; and those of them without a route. */
  readonly pairs: number[];
  readonly unreachable: number[];
  /** Control bytes sent by ordinary and by public nodes, and the node seconds (in microseconds) that they lived. */
  readonly ordinaryBytes: number[];
  readonly publicBytes: number[];
  readonly ordinaryUs: number[];
  readonly publicUs: number[];
  readonly changes: number[];
  readonly routes: number[];
}

export type Observations = {
  readonly endUs: number;
  readonly warmupUs: number;
  /** Nodes that ever started: each announced its service NAC. */
  readonly started: readonly number[];
  /** Lives that sent traffic: each announced a client NAC besides. */
  readonly clients: number;
  readonly removals: readonly Span[];
  readonly joins: readonly Span[];
  readonly seconds: Seconds;
  /** By node that lived after the warmup: control bytes and microseconds of life since. */
  readonly control: readonly {
    readonly node: number;
    readonly isPublic: boolean;
    readonly bytes: number;
    readonly aliveUs: number;
  }[];
  /** By percent of the shortest path: pairs. */
  readonly stretch: readonly number[];
  /** Live nodes, summed over the deaths and over the joins that count. */
  readonly witnesses: { readonly deaths: number; readonly joins: number };
  readonly entries: {
    readonly death: EntryCount;
    readonly join: EntryCount;
    readonly snapshot: EntryCount;
    readonly other: EntryCount;
  };
  readonly loops: number;
  readonly ghosts: number;
  /** One for each pair of an eclipsed node and a dead one. */
  readonly eclipses: readonly Span[];
  readonly falseRemovals: number;
  /** Of honest nodes, whole run. */
  readonly routeChanges: number;
  readonly forgedAccepted: number;
  readonly replayGains: number;
  readonly forgedRequests: number;
  readonly suspicions: { readonly all: number; readonly false: number };
  /** Pairs with a path but no route for longer than the bound, and the longest that was seen, of the watched destinations. */
  readonly starvation: { readonly pairs: number; readonly longestUs: number };
  readonly caps: Readonly<Record<string, { readonly limit: number; readonly peak: number }>>;
  readonly traffic: TrafficCount;
};

/** All shards of a run as one. Throws RangeError when there is none. */
export function mergeTallies(parts: readonly Observations[]): Observations {
  const first = parts[0];
  if (first === undefined) throw new RangeError("mergeTallies: there is nothing to merge");
  const sum = (pick: (part: Observations) => number) => parts.reduce((total, part) => total + pick(part), 0);
  const columns = (pick: (seconds: Seconds) => number[]) => addColumns(parts.map((part) => pick(part.seconds)));
  const entries = (pick: (part: Observations) => EntryCount) => ({
    entries: sum((part) => pick(part).entries),
    bytes: sum((part) => pick(part).bytes),
    wireBytes: sum((part) => pick(part).wireBytes),
  });
  return {
    endUs: first.endUs,
    warmupUs: first.warmupUs,
    started: parts.flatMap(({ started }) => started).sort((a, b) => a - b),
    clients: sum(({ clients }) => clients),
    removals: parts.flatMap(({ removals }) => removals).sort(byTime),
    joins: parts.flatMap(({ joins }) => joins).sort(byTime),
    seconds: {
      pairs: columns(({ pairs }) => pairs),
      unreachable: columns(({ unreachable }) => unreachable),
      ordinaryBytes: columns(({ ordinaryBytes }) => ordinaryBytes),
      publicBytes: columns(({ publicBytes }) => publicBytes),
      ordinaryUs: columns(({ ordinaryUs }) => ordinaryUs),
      publicUs: columns(({ publicUs }) => publicUs),
      changes: columns(({ changes }) => changes),
      routes: columns(({ routes }) => routes),
    },
    control: parts.flatMap(({ control }) => control).sort((a, b) => a.node - b.node),
    stretch: addColumns(parts.map(({ stretch }) => stretch)),
    witnesses: { deaths: sum(({ witnesses }) => witnesses.deaths), joins: sum(({ witnesses }) => witnesses.joins) },
    entries: {
      death: entries((part) => part.entries.death),
      join: entries((part) => part.entries.join),
      snapshot: entries((part) => part.entries.snapshot),
      other: entries((part) => part.entries.other),
    },
    loops: sum(({ loops }) => loops),
    ghosts: sum(({ ghosts }) => ghosts),
    eclipses: parts.flatMap(({ eclipses }) => eclipses).sort(byTime),
    falseRemovals: sum(({ falseRemovals }) => falseRemovals),
    routeChanges: sum(({ routeChanges }) => routeChanges),
    forgedAccepted: sum(({ forgedAccepted }) => forgedAccepted),
    replayGains: sum(({ replayGains }) => replayGains),
    forgedRequests: sum(({ forgedRequests }) => forgedRequests),
    suspicions: {
      all: sum(({ suspicions }) => suspicions.all),
      false: sum(({ suspicions }) => suspicions.false),
    },
    starvation: {
      pairs: sum(({ starvation }) => starvation.pairs),
      longestUs: Math.max(...parts.map(({ starvation }) => starvation.longestUs)),
    },
    caps: mergeCaps(parts.map(({ caps }) => caps)),
    traffic: {
      offered: sum(({ traffic }) => traffic.offered),
      delivered: sum(({ traffic }) => traffic.delivered),
      damaged: sum(({ traffic }) => traffic.damaged),
    },
  };
}

function byTime(a: Span, b: Span): number {
  return a.atUs - b.atUs || a.node - b.node;
}

function addColumns(columns: readonly (readonly number[])[]): number[] {
  const length = Math.max(...columns.map((column) => column.length));
  return Array.from({ length }, (_, i) => columns.reduce((total, column) => total + (column[i] ?? 0), 0));
}

function mergeCaps(all: readonly Observations["caps"][]): Observations["caps"] {
  const merged: Record<string, { limit: number; peak: number }> = {};
  const names = [...new Set(all.flatMap((caps) => Object.keys(caps)))].sort();
  for (const name of names) {
    const seen = all.flatMap((caps) => caps[name] ?? []);
    merged[name] = { limit: seen[0]!.limit, peak: Math.max(...seen.map(({ peak }) => peak)) };
  }
  return merged;
}
