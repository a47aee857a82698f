/**
 * Typed events with numeric codes: what a layer did, for people who watch and for recordings. A sink gets a code and up
 * to three integers, so tracing allocates nothing; without a sink it costs one comparison.
 *
 * Codes are stable: a recording made today must still be readable tomorrow. New codes go at the end of their block.
 */

export const Trace = {
  /** link id, path, cost class 1..4 */
  linkUp: 100,
  /** link id, reason (LinkDownReason) */
  linkDown: 101,
  /** link id, cost class 1..4 */
  linkCost: 102,
  /** link id, path, path before */
  linkMoved: 103,
  /** destination, next-hop link id, metric */
  routeSelected: 200,
  /** destination */
  routeLost: 201,
  /** destination, wanted repair index */
  routeRequested: 202,
  /** link id, entries in the batch */
  routesSent: 203,
  /** link id, control message number at which the stream was reset */
  routesReset: 204,
  /** destination, bytes of the entry, urgency (routing's Urgency): one entry of a ROUTES message was written */
  entryWritten: 205,
  /** destination, slot that it must prove: this node was the first to doubt, nobody asked it to */
  suspected: 206,
  /** destination, bytes of the entry, its kind (flags of wire/routes.ts): a proof, sign of life or suspicion was written */
  lifeWritten: 207,
  /** reason (DropReason) */
  packetDropped: 300,
  /** 0 link / 1 end to end, session index; so the two below */
  handshakeStarted: 400,
  handshakeDone: 401,
  handshakeFailed: 402,
  /** session id */
  sessionClosed: 403,
  /** session id, cell sequence */
  cellRepaired: 500,
  /** session id, missing cells listed */
  feedbackSent: 501,
  /** session id, stream id, port */
  streamOpened: 600,
  /** session id, stream id, code */
  streamReset: 601,
  /** session id, stream id */
  streamClosed: 602,
} as const;

export type TraceCode = (typeof Trace)[keyof typeof Trace];

export type TraceSink = (code: TraceCode, a: number, b: number, c: number) => void;

export const traceNothing: TraceSink = () => undefined;

/** The name of a code, for a log line or a viewer; undefined for a code of a newer version. */
export function traceName(code: number): string | undefined {
  return Object.entries(Trace).find(([, value]) => value === code)?.[0];
}
