/** What a person reads: results on stdout, everything else on stderr, colour only on a terminal that wants it. */
import { styleText } from "node:util";

type Colour = "green" | "yellow" | "red" | "bold" | "dim";

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value));
}

export function complain(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** https://no-color.org: any value that is not empty switches colour off. */
export function paint(colour: Colour, text: string, stream: { readonly isTTY?: boolean } = process.stdout): string {
  if (stream.isTTY !== true || process.env.NO_COLOR) return text;
  return styleText(colour, text, { validateStream: false });
}

/** `name  value` lines, the names padded to one width. */
export function formatFields(fields: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join("\n");
}

/** Columns as wide as their widest cell, two spaces between them. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

export function formatMs(ms: number): string {
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(1)} ms`;
}

/** The largest unit that gives a whole number of at least one: 59 s, 12 min, 3 h. */
export function formatDuration(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} days`;
}

/** Three digits at most before the unit: 512 B, 1.5 kB, 20 MB. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit += 1) value /= 1000;
  return `${unit === 0 || value >= 10 ? Math.floor(value) : value.toFixed(1)} ${units[unit]}`;
}

/** A command's answer. */
export function show<T>(json: boolean, value: T, format: (value: T) => string): void {
  if (json) printJson(value);
  else print(format(value));
}
