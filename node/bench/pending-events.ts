/**
 * How fast the simulator's queue turns over while so many timers wait: calendar, agenda and heap as sim/engine/shard.ts uses
 * them, each node an island of its own. And what the same memory costs without a queue, since a million timers do not fit
 * into a processor's cache: a queue that slows down by more than that slows down of itself.
 */
import { performance } from "node:perf_hooks";
import { Agenda } from "../../sim/engine/agenda.js";
import { Calendar } from "../../sim/engine/calendar.js";
import { EventHeap } from "../../sim/engine/event-heap.js";
import { KIND, TIMER } from "../../sim/engine/moment.js";
import { Packets } from "../../sim/engine/packets.js";

/** The shortest way between two nodes of the scenarios that ship. */
const LOOKAHEAD_US = 10_000;
/** Most timers of a stack ring within two seconds; one in eight beyond the calendar's ring, which waits in its heap. */
const NEAR_US = 2_000_000;
const FAR_EACH = 8;
const FAR_US = 60_000_000;
/** The best of so many: whatever else the machine does only makes it slower. */
const ROUNDS = 3;

export interface PendingFigure {
  readonly pending: number;
  /** Timers that rang and were set again, per second. */
  readonly eventsPerSecond: number;
  /** The same with nothing but reads and writes at the places that a timer has and its neighbours have. */
  readonly touchesPerSecond: number;
}

export function measurePending(sizes: readonly number[], events: number): PendingFigure[] {
  turnOver(1_000, events); // what is measured is compiled code
  touch(1_000, events);
  return sizes.map((pending) => {
    let eventsPerSecond = 0;
    let touchesPerSecond = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      eventsPerSecond = Math.max(eventsPerSecond, turnOver(pending, events));
      touchesPerSecond = Math.max(touchesPerSecond, touch(pending, events));
    }
    return { pending, eventsPerSecond, touchesPerSecond };
  });
}

/**
 * Lets `events` timers ring of `pending` that always wait, and answers how many per second. Throws an Error when one rings
 * early, late, or never.
 */
export function turnOver(pending: number, events: number): number {
  const calendar = new Calendar(new Packets(), pending, LOOKAHEAD_US);
  const agenda = new Agenda(pending);
  const heap = new EventHeap(256);
  const random = new Xorshift();
  const delayUs = () => LOOKAHEAD_US * 2 + random.below(random.below(FAR_EACH) === 0 ? FAR_US : NEAR_US);
  for (let node = 0; node < pending; node += 1) calendar.setTimer(node, delayUs());
  const takeTimer = (node: number) => agenda.enter(node, calendar.timerUs[node]!, TIMER * KIND, node);
  let rung = 0;
  const runWindow = (): void => {
    const window = calendar.nextWindow();
    const [startUs, endUs] = [calendar.startOf(window), calendar.startOf(window + 1)];
    calendar.take(window, endUs, noPacket, takeTimer);
    for (let i = 0; i < agenda.touched; i += 1) {
      agenda.pour(agenda.islandAt(i), heap);
      while (heap.size > 0) {
        const { timeUs, id } = heap;
        heap.shift();
        if (timeUs !== calendar.timerUs[id] || timeUs < startUs || timeUs >= endUs) {
          throw new Error(`the timer of node ${id}, due at ${calendar.timerUs[id]} us, rang at ${timeUs} us`);
        }
        calendar.clearTimer(id);
        calendar.setTimer(id, timeUs + delayUs());
        rung += 1;
      }
    }
    agenda.clear();
  };
  const settled = Math.floor(events / 4); // the far ones spread over their minute
  while (rung < settled) runWindow();
  const before = rung;
  const beganMs = performance.now();
  while (rung - before < events) runWindow();
  const rate = (rung - before) / ((performance.now() - beganMs) / 1000);
  for (let node = 0; node < pending; node += 1) {
    if (calendar.timerUs[node] === Number.POSITIVE_INFINITY) throw new Error(`the timer of node ${node} is lost`);
  }
  return rate;
}

function noPacket(): never {
  throw new Error("there are only timers");
}

/**
 * What a timer that rings and is set again has to read and write: its own place in six columns, and that of four
 * neighbours in one each, since it leaves a list and joins another.
 */
function touch(pending: number, events: number): number {
  const times = new Float64Array(pending);
  const columns = Array.from({ length: 5 }, () => new Int32Array(pending));
  const [place, before, behind, heads, touched] = columns as [
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
  ];
  const random = new Xorshift();
  const beganMs = performance.now();
  for (let i = 0; i < events; i += 1) {
    const node = random.below(pending);
    times[node]! += i;
    place[node]! += 1;
    heads[node]! += 1;
    touched[node]! += 1;
    const other = random.below(pending);
    behind[other] = before[node]!;
    before[random.below(pending)] = behind[node]!;
    before[random.below(pending)] = node;
    behind[node] = other;
  }
  return events / ((performance.now() - beganMs) / 1000);
}

/** Marsaglia, Xorshift RNGs, 2003: a few cycles a number, which is what a bench of queues wants. */
class Xorshift {
  private state = 0x9e3779b9;

  below(bound: number): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return (x >>> 0) % bound;
  }
}
