import type { Liar } from "./liar.js";

/** Hellos, and nothing else: what it is told it does not process, and what it would tell does not leave. */
export function stall(_nowUs: number, { inside }: Liar): void {
  const { intake, routing } = inside;
  intake.handleFrame = (_atUs, _neighbour, _type, input) => {
    input.offset = input.end; // the rest of the record with it
    return true;
  };
  const pollControl = routing.pollControl.bind(routing);
  routing.pollControl = (atUs, link, out) => {
    const start = out.offset;
    pollControl(atUs, link, out);
    out.offset = start;
    return false;
  };
  routing.controlSent = () => 0;
  routing.isStalled = () => false; // others give up first
}
