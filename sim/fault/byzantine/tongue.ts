import type { Neighbour } from "../../../core/routing/neighbour.js";
import type { StackInside } from "../stack-inside.js";

type Around = (write: () => boolean, neighbour: Neighbour, destination: number) => boolean;

/**
 * Puts `around` in place of the one way in which routes and retractions are written. What `write` writes is read from the table, and
 * goes into the digest of what the neighbour was told: a table that is another for the length of one call makes a lie that
 * no digest gives away. Proofs go the same way: they prove what was told, and are held back when the table says otherwise.
 */
export function writeAs(inside: StackInside, around: Around): void {
  const { entries } = inside;
  const writeEntry = entries.writeEntry.bind(entries);
  entries.writeEntry = (neighbour, destination, ...rest) =>
    around(() => writeEntry(neighbour, destination, ...rest), neighbour, destination);
  proveAs(inside, around);
}

/** The same for proofs of generations alone. */
export function proveAs({ lifeWriter }: StackInside, around: Around): void {
  const writeProof = lifeWriter.writeProof.bind(lifeWriter);
  lifeWriter.writeProof = (neighbour, destination, ...rest) =>
    around(() => writeProof(neighbour, destination, ...rest), neighbour, destination);
}

/** With another metric than the table's for the length of the call. */
export function writeWithMetric(
  { table }: StackInside,
  destination: number,
  metric: number,
  write: () => boolean,
): boolean {
  const { records } = table;
  const own = records.metric(destination);
  records.setMetric(destination, metric);
  const isWritten = write();
  records.setMetric(destination, own);
  return isWritten;
}
