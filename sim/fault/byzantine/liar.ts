import type { Neighbour } from "../../../core/routing/neighbour.js";
import { LOCAL } from "../../../core/routing/route-table.js";
import type { Host } from "../../engine/host.js";
import { weather } from "../../random/weather.js";
import { insideOf, type StackInside } from "../stack-inside.js";
import { HeldElements } from "./held-elements.js";

/** Something that a liar does again and again. */
interface Habit {
  readonly everyUs: number;
  dueUs: number;
  readonly act: (nowUs: number) => void;
}

/** One life of a node that lies: its stack from within, and what it does by the clock. */
export class Liar {
  readonly inside: StackInside;
  /** The elements of hash chains that it may use. */
  readonly elements: HeldElements;
  private readonly host: Host;
  private readonly habits: Habit[] = [];
  /** Where the walk over all destinations has come to. */
  private place = 0;
  private draws = 0;

  constructor(host: Host) {
    this.host = host;
    this.inside = insideOf(host.stack);
    this.elements = new HeldElements(this.inside);
  }

  get node(): number {
    return this.host.node;
  }

  /** First at `nowUs + everyUs`. */
  every(nowUs: number, everyUs: number, act: (nowUs: number) => void): void {
    this.habits.push({ everyUs, dueUs: nowUs + everyUs, act });
    this.host.wakeAt(nowUs + everyUs);
  }

  /** Does what is due: a habit for whose moments the node slept is due once. */
  handleWake(nowUs: number): void {
    let isDone = false;
    for (const habit of this.habits) {
      if (habit.dueUs <= nowUs) {
        habit.act(nowUs);
        habit.dueUs = nowUs + habit.everyUs;
        isDone = true;
      }
      this.host.wakeAt(habit.dueUs);
    }
    if (isDone) this.flush(nowUs);
  }

  /** What was changed inside leaves now, not with the next thing that happens. */
  flush(nowUs: number): void {
    this.inside.refresh();
    this.host.stack.handleTimer(nowUs);
  }

  /** Neighbours whose links are up. */
  get neighbours(): readonly Neighbour[] {
    return this.inside.table.neighbours;
  }

  /** Is the destination another's, and does this node offer a route to it? */
  carries(destination: number): boolean {
    const { table } = this.inside;
    return table.knows(destination) && table.records.next(destination) >= 0 && !this.isOwn(destination);
  }

  isOwn(destination: number): boolean {
    return (this.inside.table.records.state(destination) & LOCAL) !== 0;
  }

  /** The next destinations of others in turn, `count` at most, all of them by and by. */
  take(count: number): number[] {
    const { table } = this.inside;
    const taken: number[] = [];
    for (let looks = 0; looks < table.listed && taken.length < count; looks += 1) {
      this.place = (this.place + 1) % table.listed;
      const destination = table.order[this.place]!;
      if (this.carries(destination)) taken.push(destination);
    }
    return taken;
  }

  /** Every neighbour is told of the destination at once, however it stands. */
  tellAtOnce(nowUs: number, destination: number): void {
    for (const neighbour of this.neighbours) this.inside.announcements.answer(nowUs, neighbour, destination);
  }

  /** 32 bits of chance, the liar's own. */
  draw(): number {
    this.draws += 1;
    return weather(LIAR_SALT ^ this.node, this.draws, 0);
  }
}

const LIAR_SALT = 0x4c49_4152;
