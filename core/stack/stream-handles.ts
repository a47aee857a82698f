/** Where a stream lives: its session and its number there. Undefined while it waits for a session. */
export interface StreamPlace<End> {
  readonly end: End;
  readonly id: number;
}

/** Streams as the shell knows them: one number each, never used again, whatever session carries them. */
export class StreamHandles<End> {
  private readonly places = new Map<number, StreamPlace<End> | undefined>();
  private last = 0;

  get count(): number {
    return this.places.size;
  }

  reserve(): number {
    this.last += 1;
    this.places.set(this.last, undefined);
    return this.last;
  }

  bind(stream: number, place: StreamPlace<End>): void {
    this.places.set(stream, place);
  }

  has(stream: number): boolean {
    return this.places.has(stream);
  }

  find(stream: number): StreamPlace<End> | undefined {
    return this.places.get(stream);
  }

  release(stream: number): void {
    this.places.delete(stream);
  }
}
