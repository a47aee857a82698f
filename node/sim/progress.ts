/** How far a run is: one line that is drawn again and again on a terminal, or a line every 5 s elsewhere. */

export interface Progress {
  readonly name: string;
  readonly nowUs: number;
  readonly untilUs: number;
  readonly liveNodes: number;
  /** Wall seconds since it began. */
  readonly wallSeconds: number;
}

const BAR_CELLS = 24;
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
const REDRAW_MS = 100;
const LINE_MS = 5_000;
/** Before that much wall time the rest cannot be told. */
const GUESS_AFTER_SECONDS = 0.5;

/** `churn-1000  ███████▌░░░  31 %  186 of 600 s  12.4x  998 nodes  33 s left`, cut to the columns there are. */
export function progressBar(progress: Progress, columns: number): string {
  const share = shareOf(progress);
  const words = [`${String(Math.floor(share * 100)).padStart(3)} %`, ...wordsOf(progress)].join("  ");
  const line = `${progress.name}  ${barOf(share)}  ${words}`;
  if (line.length < columns) return line;
  const short = `${progress.name}  ${words}`;
  return short.length < columns ? short : short.slice(0, Math.max(0, columns - 1));
}

/** The same for a log. */
export function progressLine(progress: Progress): string {
  return `${progress.name}: ${[...wordsOf(progress)].join(", ")}`;
}

function barOf(share: number): string {
  const eighths = Math.floor(share * BAR_CELLS * 8);
  const full = "█".repeat(eighths >> 3);
  return (full + EIGHTHS[eighths & 7]!).padEnd(BAR_CELLS, "░");
}

function shareOf({ nowUs, untilUs }: Progress): number {
  return untilUs === 0 ? 1 : Math.min(1, nowUs / untilUs);
}

function wordsOf(progress: Progress): string[] {
  const { nowUs, untilUs, liveNodes, wallSeconds } = progress;
  const words = [`${Math.floor(nowUs / 1e6)} of ${Math.ceil(untilUs / 1e6)} s`];
  if (wallSeconds >= GUESS_AFTER_SECONDS) words.push(formatSpeed(nowUs / 1e6 / wallSeconds));
  words.push(`${formatCount(liveNodes)} nodes`);
  if (wallSeconds >= GUESS_AFTER_SECONDS && nowUs > 0) {
    words.push(`${formatSpan((wallSeconds * (untilUs - nowUs)) / nowUs)} left`);
  }
  return words;
}

/** Simulated over wall time. */
export function formatSpeed(ratio: number): string {
  return `${ratio >= 100 ? formatCount(Math.round(ratio)) : ratio.toFixed(1)}x`;
}

/** 12,345. */
export function formatCount(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** 48 s, 3 min 20 s, 2 h 5 min. */
export function formatSpan(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Draws on stderr. Whoever writes other lines there clears it first. */
export class ProgressMeter {
  private readonly screen: Screen;
  private readonly now: () => number;
  private drawnAtMs: number;
  private isDrawn = false;

  constructor(screen: Screen = process.stderr, now: () => number = () => performance.now()) {
    this.screen = screen;
    this.now = now;
    this.drawnAtMs = now();
  }

  update(progress: Progress): void {
    const nowMs = this.now();
    const pauseMs = this.screen.isTTY === true ? REDRAW_MS : LINE_MS;
    if (nowMs - this.drawnAtMs < pauseMs) return;
    this.drawnAtMs = nowMs;
    if (this.screen.isTTY !== true) {
      this.screen.write(`${progressLine(progress)}\n`);
      return;
    }
    this.isDrawn = true;
    this.screen.write(`\r\x1b[2K${progressBar(progress, this.screen.columns ?? 80)}`);
  }

  clear(): void {
    if (this.isDrawn) this.screen.write("\r\x1b[2K");
    this.isDrawn = false;
  }
}
