/** The beginning of a text that somebody wrote, on one line: to be quoted in a complaint. */
export function clipped(text: string): string {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length > 40 ? `${line.slice(0, 40)}...` : line;
}
