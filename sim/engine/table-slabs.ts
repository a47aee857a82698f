import { heapAllocator, type NumberColumn, type TableAllocator } from "../../core/collections/table-allocator.js";

const PAGE_BYTES = 4_096;
/** Address space, mostly: pages that no table had yet are not in memory. */
const SLAB_PAGES = 16_384;
/** Free ranges of less than so many pages are found by their exact length, all others stand in one list. */
const LISTS = 256;
const NONE = -1;

/**
 * The memory of all tables of one shard, in whole pages of large slabs. What a growing table leaves behind serves the next
 * one at once; the garbage collector would let several times the need stand around first.
 *
 * Pages are numbered through all slabs. Free ranges are joined with their neighbours, and the shortest that is long enough
 * is given out, before pages that were never used.
 */
export class TableSlabs {
  private readonly slabs: ArrayBuffer[] = [];
  private readonly firstPage = new Map<ArrayBufferLike, number>();
  /** At the first page of a range: its pages. At the last page of a free one, too. */
  private pages = new Int32Array(SLAB_PAGES);
  /** 1 at the first and the last page of a free range. */
  private isFree = new Uint8Array(SLAB_PAGES);
  /** At the first page of a free range: those before and behind it in its list. */
  private before = new Int32Array(SLAB_PAGES);
  private behind = new Int32Array(SLAB_PAGES);
  private readonly heads = new Int32Array(LISTS + 1).fill(NONE);
  /** From here to the end of the last slab no page was ever used: all zeros. */
  private fresh = 0;
  private end = 0;

  /** A column of zeros that begins with a page. */
  u16(length: number): Uint16Array {
    const page = this.take(pagesOf(length * 2));
    return new Uint16Array(this.slabs[Math.floor(page / SLAB_PAGES)]!, (page % SLAB_PAGES) * PAGE_BYTES, length);
  }

  u32(length: number): Uint32Array {
    const page = this.take(pagesOf(length * 4));
    return new Uint32Array(this.slabs[Math.floor(page / SLAB_PAGES)]!, (page % SLAB_PAGES) * PAGE_BYTES, length);
  }

  release(column: NumberColumn): void {
    let first = this.firstPage.get(column.buffer)! + column.byteOffset / PAGE_BYTES;
    let pages = this.pages[first]!;
    const next = first + pages;
    if (next % SLAB_PAGES !== 0 && this.isFree[next] === 1) {
      pages += this.pages[next]!;
      this.unlist(next);
    }
    if (first % SLAB_PAGES !== 0 && this.isFree[first - 1] === 1) {
      const before = first - this.pages[first - 1]!;
      pages += this.pages[before]!;
      this.unlist(before);
      first = before;
    }
    this.list(first, pages);
  }

  private take(pages: number): number {
    if (pages > SLAB_PAGES) throw new RangeError(`TableSlabs: ${pages} pages are more than a slab has`);
    const first = this.find(pages);
    if (first === NONE) return this.takeFresh(pages);
    const all = this.pages[first]!;
    this.unlist(first);
    if (all > pages) this.list(first + pages, all - pages);
    this.pages[first] = pages;
    const at = (first % SLAB_PAGES) * PAGE_BYTES;
    new Uint8Array(this.slabs[Math.floor(first / SLAB_PAGES)]!, at, pages * PAGE_BYTES).fill(0);
    return first;
  }

  /** The first page of the shortest free range of at least so many; NONE when there is none. */
  private find(pages: number): number {
    for (let length = pages; length < LISTS; length += 1) if (this.heads[length] !== NONE) return this.heads[length]!;
    let best = NONE;
    for (let at = this.heads[LISTS]!; at !== NONE; at = this.behind[at]!) {
      if (this.pages[at]! >= pages && (best === NONE || this.pages[at]! < this.pages[best]!)) best = at;
    }
    return best;
  }

  private takeFresh(pages: number): number {
    if (this.fresh + pages > this.end) {
      if (this.fresh < this.end) this.list(this.fresh, this.end - this.fresh);
      this.fresh = this.end;
      this.addSlab();
    }
    const first = this.fresh;
    this.fresh += pages;
    this.pages[first] = pages;
    return first;
  }

  private addSlab(): void {
    const slab = new ArrayBuffer(SLAB_PAGES * PAGE_BYTES);
    this.firstPage.set(slab, this.end);
    this.slabs.push(slab);
    this.end += SLAB_PAGES;
    if (this.end <= this.pages.length) return;
    const length = this.pages.length * 2;
    this.pages = longer(this.pages, new Int32Array(length));
    this.isFree = longer(this.isFree, new Uint8Array(length));
    this.before = longer(this.before, new Int32Array(length));
    this.behind = longer(this.behind, new Int32Array(length));
  }

  private list(first: number, pages: number): void {
    const list = Math.min(pages, LISTS);
    const head = this.heads[list]!;
    this.pages[first] = pages;
    this.pages[first + pages - 1] = pages;
    this.isFree[first] = 1;
    this.isFree[first + pages - 1] = 1;
    this.before[first] = NONE;
    this.behind[first] = head;
    if (head !== NONE) this.before[head] = first;
    this.heads[list] = first;
  }

  private unlist(first: number): void {
    const pages = this.pages[first]!;
    const before = this.before[first]!;
    const behind = this.behind[first]!;
    this.isFree[first] = 0;
    this.isFree[first + pages - 1] = 0;
    if (behind !== NONE) this.before[behind] = before;
    if (before === NONE) this.heads[Math.min(pages, LISTS)] = behind;
    else this.behind[before] = behind;
  }
}

/** The tables of one node's life. Columns of less than a page are left to the heap. */
export class NodeTables implements TableAllocator {
  private readonly slabs: TableSlabs;
  private readonly columns = new Set<NumberColumn>();

  constructor(slabs: TableSlabs) {
    this.slabs = slabs;
  }

  u16(length: number): Uint16Array {
    if (length * 2 < PAGE_BYTES) return heapAllocator.u16(length);
    const column = this.slabs.u16(length);
    this.columns.add(column);
    return column;
  }

  u32(length: number): Uint32Array {
    if (length * 4 < PAGE_BYTES) return heapAllocator.u32(length);
    const column = this.slabs.u32(length);
    this.columns.add(column);
    return column;
  }

  release(column: NumberColumn): void {
    if (this.columns.delete(column)) this.slabs.release(column);
  }

  /** The node is gone, and nobody asks its stack anything any more. */
  releaseAll(): void {
    for (const column of this.columns) this.slabs.release(column);
    this.columns.clear();
  }
}

function pagesOf(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}

function longer<Column extends Int32Array | Uint8Array>(old: Column, column: Column): Column {
  column.set(old);
  return column;
}
