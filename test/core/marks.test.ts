import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Digest } from "../../core/collections/digest.js";
import { Marks } from "../../core/routing/marks.js";

/** Slots after which an unrefuted suspicion is believed, and those that may be named at a time. */
const REFUTE_SLOTS = 4;
const SLOTS_MAX = 4;

/** What marks are, written down plainly: one line per suspicion, one per question. */
class Model {
  suspicions: { destination: number; slot: number }[] = [];
  questions: { destination: number; link: number }[] = [];

  slots(destination: number): number[] {
    return this.suspicions.filter((it) => it.destination === destination).map(({ slot }) => slot);
  }

  askers(destination: number): number[] {
    return this.questions.filter((it) => it.destination === destination).map(({ link }) => link);
  }

  end(destination: number, isOver: (slot: number) => boolean): void {
    this.suspicions = this.suspicions.filter((it) => it.destination !== destination || !isOver(it.slot));
    if (this.slots(destination).length > 0) return;
    this.questions = this.questions.filter((it) => it.destination !== destination);
  }
}

interface Real {
  readonly marks: Marks;
}

const DESTINATIONS = [0, 1, 2];
const sorted = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b);

function compare(model: Model, { marks }: Real): void {
  expect(marks.isEmpty).toBe(model.suspicions.length === 0);
  for (const destination of DESTINATIONS) expect(marks.has(destination)).toBe(model.slots(destination).length > 0);
}

class Command implements fc.Command<Model, Real> {
  private readonly text: string;
  private readonly act: (model: Model, real: Real) => void;

  constructor(text: string, act: (model: Model, real: Real) => void) {
    this.text = text;
    this.act = act;
  }

  check(): boolean {
    return true;
  }

  run(model: Model, real: Real): void {
    this.act(model, real);
    compare(model, real);
  }

  toString(): string {
    return this.text;
  }
}

function add(destination: number, slot: number): Command {
  return new Command(`suspect ${destination} in ${slot}`, (model, { marks }) => {
    const open = model.slots(destination);
    const isNew = !open.includes(slot) && open.length < SLOTS_MAX;
    expect(marks.add(destination, slot)).toBe(isNew);
    if (isNew) model.suspicions.push({ destination, slot });
  });
}

function ask(destination: number, link: number): Command {
  return new Command(`link ${link} asks for ${destination}`, (model, { marks }) => {
    marks.addAsker(destination, link);
    if (model.slots(destination).length === 0 || model.askers(destination).includes(link)) return;
    model.questions.push({ destination, link });
  });
}

function refute(destination: number, slot: number): Command {
  return new Command(`${destination} proves ${slot}`, (model, { marks }) => {
    const answered: number[] = [];
    marks.refute(destination, slot, (link) => answered.push(link));
    const isAnswer = model.slots(destination).some((wanted) => wanted <= slot);
    expect(sorted(answered)).toEqual(isAnswer ? sorted(model.askers(destination)) : []);
    model.end(destination, (wanted) => wanted <= slot);
  });
}

function begin(slot: number): Command {
  return new Command(`slot ${slot} begins`, (model, { marks }) => {
    const dropped: [number, number][] = [];
    marks.handleSlot(slot, (destination, unproven) => dropped.push([destination, unproven]));
    const expected: [number, number][] = [];
    for (const destination of DESTINATIONS) {
      const due = model.slots(destination).filter((wanted) => wanted + REFUTE_SLOTS <= slot);
      if (due.length === 0) continue;
      expected.push([destination, Math.max(...model.slots(destination))]);
      model.end(destination, () => true); // whoever is dropped is suspected no longer
    }
    expect(dropped.sort(([a], [b]) => a - b)).toEqual(expected);
  });
}

function lose(link: number): Command {
  return new Command(`link ${link} is gone`, (model, { marks }) => {
    marks.forgetLink(link);
    model.questions = model.questions.filter((it) => it.link !== link);
  });
}

function forget(destination: number): Command {
  return new Command(`${destination} is forgotten`, (model, { marks }) => {
    marks.forget(destination);
    model.end(destination, () => true);
  });
}

const destination = fc.constantFrom(...DESTINATIONS);
const slot = fc.integer({ min: 10, max: 22 });
/** Late enough for some suspicions to be due. */
const now = fc.integer({ min: 12, max: 30 });
const link = fc.integer({ min: 0, max: 3 });
const commands = fc.commands(
  [
    fc.tuple(destination, slot).map(([who, when]) => add(who, when)),
    fc.tuple(destination, slot).map(([who, when]) => add(who, when)),
    fc.tuple(destination, link).map(([who, from]) => ask(who, from)),
    fc.tuple(destination, slot).map(([who, when]) => refute(who, when)),
    now.map((when) => begin(when)),
    link.map((from) => lose(from)),
    destination.map((who) => forget(who)),
  ],
  { maxCommands: 60 },
);

test("marks are what a plain list of suspicions and questions is, whatever happens in whatever order", () => {
  const run = (steps: Iterable<fc.Command<Model, Real>>) =>
    fc.modelRun(() => ({ model: new Model(), real: { marks: new Marks() } }), steps);
  fc.assert(fc.property(commands, run), { numRuns: 400 });
});

/** The destinations dropped when each of these slots begins, with what they did not prove. */
function drops(marks: Marks, slots: readonly number[]): string[] {
  const seen: string[] = [];
  for (const slot of slots) marks.handleSlot(slot, (who, unproven) => seen.push(`${who} at ${slot} for ${unproven}`));
  return seen;
}

describe("a suspicion", () => {
  test("is believed four slots after the one that it names, by everybody whenever they heard of it", () => {
    for (const heardIn of [99, 100, 101]) {
      const marks = new Marks();
      marks.add(7, 101);
      expect(drops(marks, [heardIn, 102, 103, 104, 105, 106])).toEqual(["7 at 105 for 101"]);
    }
  });

  test("is neither put off nor replaced by a later one", () => {
    const marks = new Marks();
    expect([marks.add(7, 101), marks.add(7, 103), marks.add(7, 101)]).toEqual([true, true, false]);
    expect(drops(marks, [104, 105])).toEqual(["7 at 105 for 103"]); // at the earlier time, and for the later proof
  });

  test("goes on when only an earlier one was refuted", () => {
    const marks = new Marks();
    for (const slot of [101, 103]) marks.add(7, slot);
    marks.refute(7, 102, () => undefined);
    expect(drops(marks, [105, 106, 107])).toEqual(["7 at 107 for 103"]);
  });

  test("of which several are due at once, after a pause, is answered for by the latest", () => {
    const marks = new Marks();
    for (const slot of [101, 103, 102]) marks.add(7, slot);
    expect(drops(marks, [150])).toEqual(["7 at 150 for 103"]);
  });

  test("is the fifth of one destination at most in vain: it moves nothing, and its asker is answered with the others", () => {
    const marks = new Marks();
    for (let slot = 101; slot <= 104; slot += 1) expect(marks.add(7, slot)).toBe(true);
    expect(marks.add(7, 100)).toBe(false);
    marks.addAsker(7, 3);
    expect(drops(marks, [104])).toEqual([]);
    const answered: number[] = [];
    marks.refute(7, 104, (asker) => answered.push(asker));
    expect(answered).toEqual([3]);
    expect(marks.isEmpty).toBe(true);
  });
});

test("of links that are gone nothing is left, however many came and went", () => {
  const marks = new Marks();
  marks.add(7, 101);
  const before = new Digest();
  marks.digest(before);
  for (let link = 0; link < 1_000; link += 1) {
    marks.addAsker(7, link);
    marks.forgetLink(link);
  }
  const after = new Digest();
  marks.digest(after);
  expect(after.hex()).toBe(before.hex());
  marks.refute(7, 101, () => expect.unreachable("nobody is left who asked"));
});
