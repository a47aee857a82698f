/** A program of the bench in a process of its own, asked over the channel that node gives to a child. */
import { type ChildProcess, fork } from "node:child_process";

const END_MS = 12_000;

interface Question {
  readonly id: number;
  readonly command: string;
}

type Answer = { readonly id: number; readonly result: unknown } | { readonly id: number; readonly error: string };

export class Program {
  readonly pid: number;
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;
  private readonly open = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  private asked = 0;
  private said = "";

  /** `path` is what was built. */
  constructor(path: string, args: readonly string[], execArgv: readonly string[] = []) {
    this.child = fork(path, args, { execArgv: [...execArgv], stdio: ["ignore", "ignore", "pipe", "ipc"] });
    this.pid = this.child.pid ?? -1;
    this.child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.said = (this.said + text).slice(-8_000);
    });
    this.child.on("message", (answer: Answer) => {
      const waiting = this.open.get(answer.id);
      this.open.delete(answer.id);
      if ("error" in answer) waiting?.reject(new Error(answer.error));
      else waiting?.resolve(answer.result);
    });
    // A program that computes for minutes does not notice that its asker was interrupted.
    const kill = (): void => void this.child.kill("SIGKILL");
    process.once("exit", kill);
    this.ended = new Promise((resolve) => {
      const end = (): void => {
        process.off("exit", kill);
        for (const { reject } of this.open.values()) reject(new Error(`a program of the bench ended: ${this.said}`));
        this.open.clear();
        resolve();
      };
      this.child.once("error", end);
      this.child.once("close", end);
    });
  }

  /** Rejects when the program says so, or ends. */
  ask<Result>(command: string): Promise<Result> {
    if (this.child.exitCode !== null || !this.child.connected) {
      return Promise.reject(new Error(`a program of the bench has ended: ${this.said}`));
    }
    this.asked += 1;
    const id = this.asked;
    return new Promise((resolve, reject) => {
      this.open.set(id, { resolve: resolve as (result: unknown) => void, reject });
      this.child.send({ id, command } satisfies Question);
    });
  }

  /** Tells it to end, and kills it when it does not. */
  async end(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), END_MS);
    await this.ended;
    clearTimeout(timer);
  }
}

/** In the child: answers with what the command gives. On SIGTERM, or when the asker is gone, it calls `end` and exits. */
export function serve(commands: Readonly<Record<string, () => unknown>>, end: () => Promise<void>): void {
  const leave = (): void => {
    void end().finally(() => process.exit(0));
  };
  process.once("SIGTERM", leave);
  process.once("disconnect", leave);
  process.on("SIGINT", () => undefined); // Ctrl-C reaches the asker, which ends us
  process.on("message", async ({ id, command }: Question) => {
    const answer = await answerOf(commands[command]).then(
      (result): Answer => ({ id, result }),
      (error: unknown): Answer => ({ id, error: error instanceof Error ? (error.stack ?? "") : String(error) }),
    );
    process.send?.(answer);
  });
}

async function answerOf(command: (() => unknown) | undefined): Promise<unknown> {
  if (command === undefined) throw new Error("no such command");
  return command();
}
