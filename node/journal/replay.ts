import { NacDictionary } from "../../core/address/dictionary.js";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import type { CryptoSuite } from "../../core/crypto/suite.js";
import type { Sink, StackConfig, StackPorts } from "../../core/stack/ports.js";
import { Stack } from "../../core/stack/stack.js";
import { type TraceSink, traceNothing } from "../../core/trace/trace.js";
import { createNativeSuite } from "../crypto/native-suite.js";
import { Failure } from "../failure.js";
import { RecordKind } from "./format.js";
import { inputNamed, unpackArguments } from "./inputs.js";
import { JournalReader } from "./journal-reader.js";
import { Transcript, thrown } from "./transcript.js";
import { decodeValue } from "./value.js";

export type ReplaySuite = "native" | "noble";

export interface Replay {
  /** Calls of the stack that were repeated. */
  readonly inputs: number;
  /** What they caused: datagrams, deliveries, events, epochs. */
  readonly outputs: number;
  /** Over all of that, in hexadecimal digits. */
  readonly sha256: string;
  /** The number of the first input that caused something else than in the journal; null when none did. 1 is the first. */
  readonly firstDifference: number | null;
  /** What was different. */
  readonly difference: string | null;
  /** The journal does not say that it is over: the daemon was killed, or the disk was full. */
  readonly truncated: boolean;
  readonly recordedSuite: string;
  readonly suite: string;
}

/**
 * Hears what the stack traces while it is repeated. `nowUs`: when the input was given, by the daemon's clock; `nacOf`: the 16 bytes
 * behind a destination's number.
 */
type Onlooker = (
  nowUs: number,
  [code, a, b, c]: Parameters<TraceSink>,
  nacOf: (destination: number) => Uint8Array,
) => void;

/** Repeats what the journal at `path` holds, up to the first difference. Throws a Failure when it is none, or damaged. */
export function replayJournal(path: string, suite?: ReplaySuite, onlooker?: Onlooker): Replay {
  const reader = JournalReader.open(path);
  try {
    return new Replayer(reader, suite, onlooker).run();
  } finally {
    reader.close();
  }
}

/** Thrown through the stack: it asks for other things than it did when it was recorded. */
class Difference extends Error {}
/** Thrown through the stack: the journal ends within an input. */
class CutOff extends Error {}

class Replayer {
  private readonly reader: JournalReader;
  private readonly transcript = new Transcript();
  private readonly wanted: ReplaySuite | undefined;
  private readonly dictionary = new NacDictionary();
  private readonly trace: TraceSink;
  private nowUs = 0;
  private recordedSuite = "";
  private suite: CryptoSuite = nobleSuite;
  private input = 0;
  private inputsDone = 0;
  private outputsBefore = 0;
  private name = "the start";

  constructor(reader: JournalReader, wanted: ReplaySuite | undefined, onlooker: Onlooker | undefined) {
    this.reader = reader;
    this.wanted = wanted;
    const nacOf = (destination: number): Uint8Array => this.dictionary.bytesOf(destination);
    this.trace = onlooker === undefined ? traceNothing : (...traced) => onlooker(this.nowUs, traced, nacOf);
  }

  run(): Replay {
    try {
      return this.report(null, !this.repeat());
    } catch (error) {
      if (error instanceof CutOff) {
        this.input = this.inputsDone;
        return this.report(null, true);
      }
      if (error instanceof Difference) return this.report(error.message, false);
      throw error;
    }
  }

  /** True when the journal says itself that it is over. */
  private repeat(): boolean {
    const { reader } = this;
    const stack = this.begin();
    let isOver = false;
    for (let kind = reader.peek(); kind !== undefined; kind = reader.peek()) {
      if (kind === RecordKind.input && !isOver) this.repeatInput(stack);
      else if (kind === RecordKind.checkpoint) this.compareCheckpoint();
      else if (kind === RecordKind.end) {
        reader.u8();
        isOver = true;
      } else throw reader.fault(`a record of the kind ${kind} where none belongs`);
    }
    return isOver;
  }

  private begin(): Stack {
    const { reader } = this;
    const kind = reader.peek();
    if (kind === undefined) throw reader.fault("there is no start to replay");
    if (kind !== RecordKind.begin) throw reader.fault(`a record of the kind ${kind} where it should begin`);
    reader.u8();
    const { suite, nowUs, config } = decodeValue(reader) as { suite: string; nowUs: number; config: StackConfig };
    this.recordedSuite = suite;
    this.suite = this.suiteNamed(this.wanted ?? suite);
    let stack: Stack | undefined;
    this.compareAnswer(
      () => {
        stack = new Stack(nowUs, config, this.ports());
        return undefined;
      },
      () => stack?.nextDeadlineUs,
    );
    if (stack === undefined) throw reader.fault("a configuration that makes no stack");
    return stack;
  }

  private repeatInput(stack: Stack): void {
    const { reader } = this;
    this.input = this.inputsDone + 1;
    reader.u8();
    const number = reader.u8();
    const name = inputNamed(number);
    if (name === undefined) throw reader.fault(`an input with the unknown number ${number}`);
    this.name = name;
    const kept: unknown[] = [];
    for (let count = reader.u8(); count > 0; count -= 1) kept.push(decodeValue(reader));
    if (typeof kept[0] === "number") this.nowUs = kept[0]; // the first argument of every input
    const method = stack[name] as (...given: readonly unknown[]) => unknown;
    this.compareAnswer(
      () => Reflect.apply(method, stack, unpackArguments(name, kept)),
      () => stack.nextDeadlineUs,
    );
    this.inputsDone = this.input;
  }

  /** Does the input, and holds what it caused against what the journal says of it. */
  private compareAnswer(run: () => unknown, nextDeadlineUs: () => number | undefined): void {
    const { reader, transcript } = this;
    let answer: unknown;
    try {
      answer = run();
    } catch (error) {
      if (error instanceof Difference || error instanceof CutOff || error instanceof Failure) throw error;
      answer = thrown(error);
    }
    const crc = transcript.endInput(answer, nextDeadlineUs() ?? 0);
    const outputs = transcript.outputs - this.outputsBefore;
    this.outputsBefore = transcript.outputs;
    const kind = reader.peek();
    if (kind === undefined) throw new CutOff();
    if (kind === RecordKind.entropy || kind === RecordKind.random) throw this.differs("it draws less at random");
    if (kind === RecordKind.refused) throw this.differs("it persists no epoch");
    if (kind !== RecordKind.result) throw reader.fault(`a record of the kind ${kind} where a result belongs`);
    reader.u8();
    const outputsRecorded = reader.u32();
    const crcRecorded = reader.u32();
    if (outputs !== outputsRecorded) throw this.differs(`${outputs} outputs, not ${outputsRecorded}`);
    if (crc === crcRecorded) return;
    const threw = (answer as { threw?: string } | undefined)?.threw;
    throw this.differs(threw === undefined ? "other bytes, answer or deadline" : `it throws: ${threw}`);
  }

  private compareCheckpoint(): void {
    const { reader, transcript } = this;
    reader.u8();
    const inputs = reader.u53();
    const outputs = reader.u53();
    const sha256 = reader.bytes(32);
    if (inputs !== this.inputsDone || outputs !== transcript.outputs)
      throw reader.fault("a checkpoint that counts otherwise");
    if (!transcript.sha256().equals(sha256)) throw this.differs("another SHA-256 at a checkpoint");
  }

  /** All that a stack is given, out of the journal. */
  private ports(): StackPorts {
    const { reader } = this;
    const sink: Sink = {
      transmit: () => undefined,
      event: () => undefined,
      deliver: () => undefined,
      deliverDatagram: () => undefined,
      persist: () => {
        if (reader.peek() !== RecordKind.refused) return;
        reader.u8();
        throw new Error(reader.text());
      },
    };
    return {
      suite: this.suite,
      entropy: (length) => {
        this.takeDraw(RecordKind.entropy);
        const recorded = reader.u32();
        if (recorded !== length) throw this.differs(`it draws ${length} random bytes, not ${recorded}`);
        return reader.bytes(length);
      },
      random32: () => {
        this.takeDraw(RecordKind.random);
        return reader.u32();
      },
      sink: this.transcript.listen(sink),
      trace: this.trace,
      allocate: heapAllocator,
      dictionary: this.dictionary,
    };
  }

  private takeDraw(wanted: number): void {
    const kind = this.reader.peek();
    if (kind === undefined) throw new CutOff();
    if (kind !== wanted) throw this.differs("it draws something else at random");
    this.reader.u8();
  }

  private suiteNamed(name: string): CryptoSuite {
    if (name === "native") return createNativeSuite();
    if (name === "noble") return nobleSuite;
    throw this.reader.fault(`a crypto suite named "${name}"`);
  }

  private differs(what: string): Difference {
    return new Difference(`${this.name}: ${what}`);
  }

  private report(difference: string | null, truncated: boolean): Replay {
    return {
      inputs: this.input,
      outputs: this.transcript.outputs,
      sha256: this.transcript.sha256().toString("hex"),
      firstDifference: difference === null ? null : this.input,
      difference,
      truncated: truncated || this.reader.isTorn,
      recordedSuite: this.recordedSuite,
      suite: this.suite.name,
    };
  }
}
