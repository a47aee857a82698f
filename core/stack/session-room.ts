import { Cap } from "../collections/cap.js";
import { SECOND_US } from "../time/instant.js";

/** End-to-end sessions held at once; a handshake beyond takes the place of another, or is refused. */
export const SESSIONS_MAX = 1024;
/** A link by which more than this part of them come gives some up for those of other links. */
const LINK_PART = 2;
/** The same of a return NAC. */
const PEER_PART = 64;
/** A session that was heard so lately may just be about to open its first stream. */
const ROOM_IDLE_US = SECOND_US;

/** A session that stands. */
interface Held {
  readonly isCaller: boolean;
  /** Streams or flows go through it. */
  readonly isInUse: boolean;
  /** The link by which its peer was last heard. */
  readonly ingress: number;
  readonly peer: number;
  readonly usedUs: number;
}

/** Who makes room when the table of sessions is full, so that nobody who can open many keeps all others out. */
export class SessionRoom {
  readonly cap: Cap;
  private readonly sessionsMax: number;

  constructor(sessionsMax = SESSIONS_MAX) {
    this.cap = new Cap("sessions", sessionsMax);
    this.sessionsMax = sessionsMax;
  }

  isFull(count: number): boolean {
    return count >= this.sessionsMax;
  }

  /**
   * The session that ends so that one of `peer`, which came by `link`, may stand; undefined when there is none. Of those
   * that others opened, in this order: unused ones of a link with more than half, unused ones, any of such a link, any of
   * a NAC with more than its part. A link with half of the table makes room for its own.
   */
  choose<S extends Held>(nowUs: number, sessions: Iterable<S>, link: number, peer: number): S | undefined {
    const called = [...sessions].filter(({ isCaller }) => !isCaller);
    const ofLink = countBy(called, ({ ingress }) => ingress);
    const linkMax = this.sessionsMax / LINK_PART;
    const isGreedy = ({ ingress }: Held): boolean => (ofLink.get(ingress) ?? 0) > linkMax;
    const hasHalf = (ofLink.get(link) ?? 0) >= linkMax;

    const mine = hasHalf ? called.filter(({ ingress }) => ingress === link) : called;
    const unused = mine.filter((one) => !one.isInUse && nowUs - one.usedUs >= ROOM_IDLE_US);
    return (
      longestUnheard(unused.filter(isGreedy)) ??
      longestUnheard(unused) ??
      (hasHalf ? undefined : longestUnheard(called.filter(isGreedy))) ??
      this.ofHoarder(mine, peer)
    );
  }

  private ofHoarder<S extends Held>(sessions: readonly S[], newcomer: number): S | undefined {
    const ofPeer = countBy(sessions, ({ peer }) => peer);
    const peerMax = this.sessionsMax / PEER_PART;
    if ((ofPeer.get(newcomer) ?? 0) >= peerMax) return undefined;
    let hoarder: number | undefined;
    let most = peerMax;
    for (const [peer, count] of ofPeer) {
      if (count <= most) continue;
      hoarder = peer;
      most = count;
    }
    return longestUnheard(sessions.filter(({ peer }) => peer === hoarder));
  }
}

function countBy<S>(sessions: readonly S[], keyOf: (session: S) => number): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const session of sessions) counts.set(keyOf(session), (counts.get(keyOf(session)) ?? 0) + 1);
  return counts;
}

function longestUnheard<S extends Held>(sessions: readonly S[]): S | undefined {
  let found: S | undefined;
  for (const session of sessions) if (found === undefined || session.usedUs < found.usedUs) found = session;
  return found;
}
