/**
 * One second of a run as a file, a line for each datagram that a node sends and each fact of its state that changes:
 *
 *   complete 13000000                        nothing is missing before this time
 *   12345678 2 sent 65536000 1 128 7         time (us), node, endpoint, type, bytes, clear word
 *   12345678 2 changed 1 5 1026              time (us), node, 1 comes or -1 goes, about whom, value
 */
import { CHANGED, type Recorded, ROW, SENT } from "../../sim/engine/recording.js";

const WORDS = ["sent", "changed"] as const;
const LINES_AT_ONCE = 10_000;

export function encodeRecorded({ rows, completeUs }: Recorded): string {
  const chunks = [`complete ${completeUs}\n`];
  for (let from = 0; from < rows.length; from += LINES_AT_ONCE * ROW) {
    let chunk = "";
    for (let at = from; at < Math.min(rows.length, from + LINES_AT_ONCE * ROW); at += ROW) {
      const columns = rows.subarray(at + 3, at + (rows[at + 2] === CHANGED ? ROW - 1 : ROW));
      chunk += `${rows[at]} ${rows[at + 1]} ${WORDS[rows[at + 2]!]} ${columns.join(" ")}\n`;
    }
    chunks.push(chunk);
  }
  return chunks.join("");
}

/** Throws an Error that names the line when the text is no such file. */
export function decodeRecorded(text: string): Recorded {
  const lines = text.split("\n");
  lines.pop(); // behind the last line end
  const completeUs = Number(/^complete (\d+)$/.exec(lines[0] ?? "")?.[1] ?? Number.NaN);
  if (Number.isNaN(completeUs)) throw new Error("line 1: expected  complete TIME");
  const rows = new Float64Array((lines.length - 1) * ROW);
  for (let line = 1; line < lines.length; line += 1) {
    const [atUs, node, word, ...columns] = lines[line]!.split(" ");
    const at = (line - 1) * ROW;
    const kind = word === WORDS[SENT] ? SENT : word === WORDS[CHANGED] ? CHANGED : Number.NaN;
    rows.set([Number(atUs), Number(node), kind, ...columns.slice(0, 4).map(Number)], at);
    if (columns.length !== (kind === SENT ? 4 : 3) || rows.subarray(at, at + ROW).includes(Number.NaN)) {
      throw new Error(`line ${line + 1}: expected a datagram or a change`);
    }
  }
  return { rows, completeUs };
}
