/** Questions and answers on streams of a world of stacks. */
import type { StackWorld, WorldNode } from "./stack-world.js";

/** `host` sends back what it was sent, once it has heard all of it. */
export function echo(world: StackWorld, host: WorldNode): void {
  const todo = new Map<number, Uint8Array>();
  host.onEvent = (event) => {
    if (event.kind === "streamOpened") host.stack.acceptStream(world.nowUs, event.stream);
    if (event.kind === "streamFinished") todo.set(event.stream, host.bytesReceived(event.stream));
    if (event.kind !== "streamFinished" && event.kind !== "streamWritable") return;
    const rest = todo.get(event.stream);
    if (rest === undefined) return;
    const taken = host.stack.write(world.nowUs, event.stream, rest);
    todo.set(event.stream, rest.subarray(taken));
    if (taken === rest.length) host.stack.finish(world.nowUs, event.stream);
  };
}

/** `client` sends `question` and finishes. Answers the stream's number. */
export function ask(world: StackWorld, client: WorldNode, host: WorldNode, question: Uint8Array): number {
  const stream = client.stack.openStream(world.nowUs, host.nac, 80);
  let sent = 0;
  client.onEvent = (event) => {
    if (event.kind !== "streamWritable" || event.stream !== stream) return;
    sent += client.stack.write(world.nowUs, stream, question.subarray(sent));
    if (sent === question.length) client.stack.finish(world.nowUs, stream);
  };
  return stream;
}
