import type { PingFailure } from "../core/stack/ports.js";

export type PingOutcome = { readonly rttUs: number } | { readonly reason: PingFailure | "busy" | "closed" };

/** Pings under way; one more is answered "busy". */
const PINGS_MAX = 1024;

interface PendingPing {
  readonly answer: (outcome: PingOutcome) => void;
  readonly timer: NodeJS.Timeout;
}

/** Pings that wait for their answer, each with the number by which the stack knows it. */
export class Pings {
  private readonly pending = new Map<number, PendingPing>();
  private ids = 0;

  /** Has `send` send one, and waits `timeoutMs` for its answer. */
  start(timeoutMs: number, send: (id: number) => void): Promise<PingOutcome> {
    if (this.pending.size >= PINGS_MAX) return Promise.resolve({ reason: "busy" });
    this.ids += 1;
    const id = this.ids;
    return new Promise((answer) => {
      const timer = setTimeout(() => this.answer(id, { reason: "timeout" }), timeoutMs);
      this.pending.set(id, { answer, timer });
      send(id);
    });
  }

  answer(id: number, outcome: PingOutcome): void {
    const ping = this.pending.get(id);
    if (ping === undefined) return;
    this.pending.delete(id);
    clearTimeout(ping.timer);
    ping.answer(outcome);
  }

  close(): void {
    for (const id of [...this.pending.keys()]) this.answer(id, { reason: "closed" });
  }
}
