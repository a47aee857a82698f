/** From here on a key gives way to the next. RFC 9001 B.1 allows 2^28 packets of our size. */
export const KEY_UPDATE_PACKETS = 2 ** 22;
/** One key seals no more than this, whatever happens. */
export const PACKETS_MAX = 2 ** 24;
/** A round of new keys is due after so much use, or so many bytes in either direction. */
export const REKEY_SECONDS = 120;
export const REKEY_BYTES = 2 ** 30;
/** Packet numbers of a session: five bytes hold them. */
export const NUMBERS_MAX = 2 ** 40;
/** After so many packets whose tag was wrong a session opens nothing more (RFC 9001 section 6.6). */
export const FORGED_MAX = 2 ** 36;

/** When the keys of a session, and the session itself, wear out. Lower ones only cost time; higher ones are not safe. */
export interface SessionLimits {
  /** Packets sealed under one key before the next takes over. */
  readonly keyUpdatePackets: number;
  /** Packets sealed under one key at most, when no next one can take over. */
  readonly packetsMax: number;
  readonly rekeySeconds: number;
  readonly rekeyBytes: number;
  /** At most 2^40. */
  readonly numbersMax: number;
  readonly forgedMax: number;
}

export const LIMITS: SessionLimits = {
  keyUpdatePackets: KEY_UPDATE_PACKETS,
  packetsMax: PACKETS_MAX,
  rekeySeconds: REKEY_SECONDS,
  rekeyBytes: REKEY_BYTES,
  numbersMax: NUMBERS_MAX,
  forgedMax: FORGED_MAX,
};
