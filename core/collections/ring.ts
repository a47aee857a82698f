const CAPACITY_MIN = 8;

/** A first-in first-out queue that reuses its storage; it grows by doubling, and its owner bounds what goes in. */
export class Ring<T> {
  length = 0;
  private items: (T | undefined)[] = new Array(CAPACITY_MIN).fill(undefined);
  private head = 0;

  push(item: T): void {
    if (this.length === this.items.length) this.grow();
    this.items[(this.head + this.length) & (this.items.length - 1)] = item;
    this.length += 1;
  }

  /** The oldest item, which stays; undefined when empty. */
  peek(): T | undefined {
    return this.items[this.head];
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.items[this.head];
    this.items[this.head] = undefined;
    this.head = (this.head + 1) & (this.items.length - 1);
    this.length -= 1;
    return item;
  }

  clear(): void {
    this.items = new Array(CAPACITY_MIN).fill(undefined);
    this.head = 0;
    this.length = 0;
  }

  private grow(): void {
    const ordered = [...this.items.slice(this.head), ...this.items.slice(0, this.head)];
    this.items = [...ordered, ...new Array(ordered.length).fill(undefined)];
    this.head = 0;
  }
}
