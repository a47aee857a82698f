/**
 * The bound of something that strangers can fill, and how near it came: what `status` shows as a cap. The bound itself is
 * kept by whoever holds the Cap.
 */
export class Cap {
  readonly name: string;
  readonly limit: number;
  /** The largest count ever noted. */
  peak = 0;

  constructor(name: string, limit: number) {
    this.name = name;
    this.limit = limit;
  }

  /** To be called with the new count whenever it grew. */
  note(count: number): void {
    if (count > this.peak) this.peak = count;
  }
}
