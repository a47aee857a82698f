import type { StackConfig, StackPorts } from "../../core/stack/ports.js";
import { Stack } from "../../core/stack/stack.js";
import { messageOf } from "../failure.js";
import type { Log } from "../log.js";
import { BLOCK_HEADER_BYTES, RecordKind, sealBlock } from "./format.js";
import {
  INPUT_NAMES,
  INPUT_NUMBERS,
  type InputName,
  packArguments,
  type StackAnswer,
  type StackSurface,
} from "./inputs.js";
import { JournalFile } from "./journal-file.js";
import { Scribe } from "./scribe.js";
import { Transcript, thrown } from "./transcript.js";
import { encodeValue } from "./value.js";

/** A block ends with the input that makes it so long; a buffer has room for one more ordinary input behind that. */
const BLOCK_BYTES = 256 * 1024;
const BUFFER_BYTES = BLOCK_BYTES + 32 * 1024;
/** What a kill may cost: the inputs since the last block. */
const FLUSH_MS = 1000;
/** Before the bytes of a value stands their length. */
const LENGTH_BYTES = 4;

export type StackMaker = (nowUs: number, config: StackConfig, ports: StackPorts) => Stack;
const makeStack: StackMaker = (nowUs, config, ports) => new Stack(nowUs, config, ports);

/**
 * Records a stack while it works: what goes in before it goes in, what it draws, and a hash over what comes out.
 *
 * Nothing that befalls the journal reaches the stack. When the disk is full, or slower than the network, recording stops
 * with a logged `journal.stopped`, and the stack goes on.
 */
export class Journal {
  private readonly file: JournalFile;
  private readonly log: Log;
  private readonly transcript = new Transcript();
  private readonly out: Scribe;
  private readonly timer: NodeJS.Timeout;
  private readonly handleExit = (): void => this.closeNow();
  private blocks = 0;
  /** Calls of the stack so far; making it is number 0. */
  private inputs = -1;
  private outputsBefore = 0;
  /** Not before `record`, and no more after a fault or the end. */
  private isRecording = false;
  private isInside = false;
  /** Where the bytes of the write under way begin, and how many were kept of them. */
  private bytesAt = 0;
  private bytesKept = 0;

  private constructor(file: JournalFile, log: Log) {
    this.file = file;
    this.log = log;
    this.out = new Scribe(file.buffer(BUFFER_BYTES));
    this.out.restart(BLOCK_HEADER_BYTES);
    file.onFault = (reason) => this.stop(reason);
    this.timer = setInterval(() => this.flush(), FLUSH_MS);
    this.timer.unref();
    process.once("exit", this.handleExit);
  }

  /** Makes the file. Throws a Failure when it cannot, or when something stands there already. */
  static create(path: string, log: Log, reserveBytes?: number): Journal {
    return new Journal(JournalFile.create(path, reserveBytes), log);
  }

  /** Makes a stack, to be called once; every input goes through what it answers. */
  record(nowUs: number, config: StackConfig, ports: StackPorts, make: StackMaker = makeStack): StackSurface {
    this.isRecording = true;
    this.write(() => {
      this.out.u8(RecordKind.begin);
      encodeValue(this.out, { suite: ports.suite.name, nowUs, config });
    });
    this.isInside = true;
    const stack = make(nowUs, config, this.portsBeside(ports));
    this.endInput(stack, undefined);
    this.flush();
    this.file.checkSpace();
    return this.surfaceOf(stack);
  }

  /** To be called when the stack was shut down. Fulfilled when the file is whole and closed. */
  async close(): Promise<void> {
    if (this.isRecording) {
      this.closeBlock();
      this.write(() => {
        this.out.u8(RecordKind.end);
        this.closeBlock();
      });
      this.isRecording = false;
    }
    this.release();
    await this.file.close();
  }

  /** For a start that came to nothing. */
  async discard(): Promise<void> {
    this.isRecording = false;
    this.release();
    await this.file.remove();
  }

  /** The same stack, recorded. */
  private surfaceOf(stack: Stack): StackSurface {
    const answers: Pick<Stack, StackAnswer> = {
      get nextDeadlineUs() {
        return stack.nextDeadlineUs;
      },
      get pathsInUse() {
        return stack.pathsInUse;
      },
      isSessionKnown: (index) => stack.isSessionKnown(index),
      status: () => stack.status(),
      peers: (nowUs) => stack.peers(nowUs),
      routes: () => stack.routes(),
      digest: () => stack.digest(),
    };
    const inputs = INPUT_NAMES.map((name) => {
      const method = stack[name] as (...given: readonly unknown[]) => unknown;
      return [name, (...given: readonly unknown[]) => this.run(stack, name, method, given)] as const;
    });
    return Object.assign(answers, Object.fromEntries(inputs) as Pick<Stack, InputName>);
  }

  /** What the stack draws is written down; what it says is heard. */
  private portsBeside(ports: StackPorts): StackPorts {
    return {
      ...ports,
      entropy: (length) => {
        const drawn = ports.entropy(length);
        this.write(() => {
          this.out.u8(RecordKind.entropy);
          this.out.u32(drawn.length);
          this.out.bytes(drawn);
        });
        return drawn;
      },
      random32: () => {
        const drawn = ports.random32();
        this.write(() => {
          this.out.u8(RecordKind.random);
          this.out.u32(drawn);
        });
        return drawn;
      },
      sink: this.transcript.listen({
        ...ports.sink,
        persist: (record) => {
          try {
            ports.sink.persist(record);
          } catch (error) {
            this.write(() => {
              this.out.u8(RecordKind.refused);
              this.out.text(messageOf(error));
            });
            throw error;
          }
        },
      }),
    };
  }

  private run(
    stack: Stack,
    name: InputName,
    method: (...given: readonly unknown[]) => unknown,
    given: readonly unknown[],
  ): unknown {
    if (!this.isRecording) return Reflect.apply(method, stack, given);
    this.beginInput(name, given);
    let answer: unknown;
    try {
      answer = Reflect.apply(method, stack, given);
    } catch (error) {
      this.endInput(stack, thrown(error));
      throw error;
    }
    if (name === "write") this.keepTaken(answer);
    this.endInput(stack, answer);
    return answer;
  }

  private beginInput(name: InputName, given: readonly unknown[]): void {
    this.isInside = true;
    this.write(() => {
      const { out } = this;
      const kept = packArguments(name, given);
      out.u8(RecordKind.input);
      out.u8(INPUT_NUMBERS[name]);
      out.u8(kept.length);
      for (const value of kept) encodeValue(out, value);
      const last = kept[kept.length - 1];
      this.bytesKept = last instanceof Uint8Array ? last.length : 0;
      this.bytesAt = out.length - this.bytesKept;
    });
  }

  /** Bytes that the stack did not take come again, so they are not kept. They are the last argument. */
  private keepTaken(answer: unknown): void {
    this.write(() => {
      const { out, bytesAt, bytesKept } = this;
      if (typeof answer !== "number" || answer > bytesKept)
        throw new RangeError(`a write took ${String(answer)} bytes`);
      out.remove(bytesAt + answer, bytesKept - answer);
      out.patchU32(bytesAt - LENGTH_BYTES, answer);
    });
  }

  private endInput(stack: Stack, answer: unknown): void {
    this.isInside = false;
    this.write(() => {
      const { transcript, out } = this;
      const crc = transcript.endInput(answer, stack.nextDeadlineUs);
      out.u8(RecordKind.result);
      out.u32(transcript.outputs - this.outputsBefore);
      out.u32(crc);
      this.outputsBefore = transcript.outputs;
      this.inputs += 1;
    });
    if (this.out.length >= BLOCK_BYTES) this.closeBlock();
  }

  /** Every touch of the journal from within the stack's calls: whatever goes wrong here ends the journal, nothing else. */
  private write(step: () => void): void {
    if (!this.isRecording) return;
    try {
      step();
    } catch (error) {
      this.stop(messageOf(error));
    }
  }

  private flush(): void {
    if (this.out.length > BLOCK_HEADER_BYTES) this.closeBlock();
    this.file.checkSpace();
  }

  private closeBlock(): void {
    this.write(() => {
      this.seal();
      if (!this.file.append(this.out.written)) throw new Error("the disk is slower than the network");
      this.out.restart(BLOCK_HEADER_BYTES, this.file.buffer(BUFFER_BYTES));
    });
  }

  /** The last record of a block is a checkpoint, unless the process dies within an input. */
  private seal(): void {
    const { out, transcript } = this;
    if (!this.isInside) {
      out.u8(RecordKind.checkpoint);
      out.u53(this.inputs);
      out.u53(transcript.outputs);
      out.bytes(transcript.sha256());
    }
    sealBlock(out.written, this.blocks);
    this.blocks += 1;
  }

  private stop(reason: string): void {
    if (!this.isRecording) return;
    this.isRecording = false;
    this.release();
    this.log.error("journal.stopped", { file: this.file.path, reason, inputs: this.inputs });
    // What was handed over before is still written.
    void this.file.close();
  }

  /** The process ends without a word to us. */
  private closeNow(): void {
    this.closeBlock();
    this.isRecording = false;
    this.file.closeNow();
  }

  private release(): void {
    this.transcript.isListening = false;
    clearInterval(this.timer);
    process.off("exit", this.handleExit);
  }
}
