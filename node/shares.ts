/** How much of a table each session holds. */
export class Shares {
  private readonly counts = new Map<number, number>();

  of(session: number): number {
    return this.counts.get(session) ?? 0;
  }

  add(session: number): void {
    this.counts.set(session, this.of(session) + 1);
  }

  subtract(session: number): void {
    const left = this.of(session) - 1;
    if (left > 0) this.counts.set(session, left);
    else this.counts.delete(session);
  }

  /** The session that holds most; undefined when nobody holds anything. */
  get largest(): number | undefined {
    let largest: number | undefined;
    let most = 0;
    for (const [session, count] of this.counts) {
      if (count <= most) continue;
      largest = session;
      most = count;
    }
    return largest;
  }
}
