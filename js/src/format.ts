/** Values -> text. Pure; everything that decides how a number or a time reads. */
import { trans } from "./i18n";

/** One colour a run, the same as `nbtrack.plots.PALETTE`; a shape each, so that colour is never all there is. */
export const PALETTE = [
  "#0072B2",
  "#E69F00",
  "#009E73",
  "#CC79A7",
  "#56B4E9",
  "#D55E00",
  "#8F6AC8",
  "#7A7A7A",
] as const;

/** Paths in a box of 12 × 12, one for each colour of the palette. */
export const SHAPES = [
  "M6 1.2a4.8 4.8 0 1 1 0 9.6a4.8 4.8 0 1 1 0-9.6z",
  "M1.8 1.8h8.4v8.4h-8.4z",
  "M6 1l5.2 9.4h-10.4z",
  "M6 .6l5.4 5.4l-5.4 5.4l-5.4-5.4z",
  "M6 11l-5.2-9.4h10.4z",
  "M4.1 1h3.8v3.1h3.1v3.8h-3.1v3.1h-3.8v-3.1h-3.1v-3.8h3.1z",
  "M6 .8l5.2 3.8l-2 6.2h-6.4l-2-6.2z",
  "M3.4 1h5.2l2.4 5l-2.4 5h-5.2l-2.4-5z",
] as const;

/** The palette's blue is too dim on a dark page. */
const BLUE_ON_DARK = "#3C9BE0";

export function colorOf(index: number, dark = typeof document !== "undefined" && isDark()): string {
  const color = PALETTE[index % PALETTE.length] ?? PALETTE[0];
  return dark && color === PALETTE[0] ? BLUE_ON_DARK : color;
}

/** Whether the page is dark, as JupyterLab says it, else as the system does. */
function isDark(): boolean {
  const light = document.body?.dataset.jpThemeLight;
  return light === undefined ? matchMedia("(prefers-color-scheme: dark)").matches : light === "false";
}

/** Of runs that share a colour each has another shape; the same as `nbtrack.plots.palette.symbol_of`. */
export const shapeOf = (index: number): string =>
  SHAPES[(index + Math.floor(index / PALETTE.length)) % SHAPES.length] ?? SHAPES[0];

export type Value = number | string | null | undefined;

const SPECIAL: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
};

/** A value of the wire as a number; null if it is none. */
export function toNumber(value: Value): number | null {
  if (typeof value === "number") {
    return value;
  }
  if (typeof value !== "string" || value.trim() === "") {
    return null;
  }
  const special = SPECIAL[value];
  if (special !== undefined) {
    return special;
  }
  const parsed = Number(value);
  return Number.isNaN(parsed) ? null : parsed;
}

const tiny = (size: number): boolean => size !== 0 && (size < 1e-4 || size >= 1e12);

/** Thousands apart from ten thousand on: 12,345 but 1234. */
const grouped = (text: string): string => {
  const [whole = "", ...rest] = text.split(".");
  return whole.replace("-", "").length < 5 ? text : [whole.replace(/\B(?=(\d{3})+$)/g, ","), ...rest].join(".");
};

/** A number to four or so significant digits, whole digits in full, as a person would write it down. */
export function formatNumber(value: number, decimals?: number): string {
  if (Number.isNaN(value)) {
    return "NaN";
  }
  if (!Number.isFinite(value)) {
    return value > 0 ? "∞" : "−∞";
  }
  const size = Math.abs(value);
  if (tiny(size)) {
    return minus(value.toExponential(2).replace(/e\+?(-?)(\d+)$/, "e$1$2"));
  }
  if (decimals === undefined) {
    const text = Number.isInteger(value) ? value : size >= 1e4 ? Math.round(value) : Number(value.toPrecision(4));
    return minus(grouped(String(text)));
  }
  return minus(grouped(value.toFixed(decimals)));
}

const minus = (text: string): string => text.replace("-", "−");

const MOST_DECIMALS = 4;

/** How many digits a number has before its point; less than none if zeros follow the point. */
const wholeDigits = (size: number): number => Math.floor(Math.log10(size)) + 1;

/** How many decimals a column needs so that its numbers line up and the largest keeps four significant digits. */
export function columnDecimals(values: readonly Value[]): number {
  let needed = 0;
  let largest = 0;
  for (const value of values) {
    const number = toNumber(value);
    if (number === null || !Number.isFinite(number) || tiny(Math.abs(number)) || Number.isInteger(number)) {
      continue;
    }
    largest = Math.max(largest, Math.abs(number));
    const allowed = Math.max(0, MOST_DECIMALS - wholeDigits(Math.abs(number)));
    const written = String(Number(number.toPrecision(6))).split(".")[1]?.length ?? 0;
    needed = Math.max(needed, Math.min(allowed, written));
    if (needed >= MOST_DECIMALS && largest >= 0.1) {
      break; // it needs no more: of thousands of rows mostly the first few say it
    }
  }
  return largest === 0 ? needed : Math.min(needed, MOST_DECIMALS - Math.min(0, wholeDigits(largest)));
}

/** One number as a column of its own would have it. */
export const formatAlone = (value: number): string => formatNumber(value, columnDecimals([value]));

/** How to write the numbers of one column, all alike; a text stays as it is. */
export function columnFormat(values: readonly Value[], exact: boolean): (value: Value) => string {
  const decimals = columnDecimals(values);
  return (value) => {
    if (value === null || value === undefined) {
      return "";
    }
    const number = toNumber(value);
    if (number === null) {
      return String(value);
    }
    if (exact) {
      const text = String(value);
      const long = text.length > 10 && Number.isFinite(number) && !Number.isInteger(number);
      return long ? formatNumber(Number(number.toPrecision(6))) : text;
    }
    return formatNumber(number, decimals);
  };
}

export function formatDuration(ms: number): string {
  if (ms < 1000) {
    return trans.__("%1 ms", Math.max(0, Math.round(ms)));
  }
  const seconds = ms / 1000;
  if (seconds < 60) {
    return trans.__("%1 s", seconds.toFixed(1));
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    return trans.__("%1 min %2 s", minutes, Math.floor(seconds % 60));
  }
  return trans.__("%1 h %2 min", Math.floor(minutes / 60), minutes % 60);
}

/** Made once, when first wanted: making one takes longer than a hundred uses of it. */
function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

const asDay = once(() => new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" }));
const asTime = once(() => new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" }));
const asAge = once(() => new Intl.RelativeTimeFormat(undefined, { numeric: "always", style: "narrow" }));

const UNITS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
];

/** "3 minutes ago"; a date beyond a week. */
export function formatAgo(at: number, now: number = Date.now()): string {
  const past = now - at;
  if (past > 7 * 86_400_000) {
    return asDay().format(at);
  }
  for (const [unit, size] of UNITS) {
    if (past >= size) {
      return asAge().format(-Math.floor(past / size), unit);
    }
  }
  return trans.__("just now");
}

export function formatTime(at: number): string {
  return asTime().format(at);
}

/** A count in the little room of a badge: 999, 1.2k, 50k. */
export function formatCount(count: number): string {
  return count < 1000 ? String(count) : `${Number((count / 1000).toPrecision(2))}k`;
}

export function formatBytes(size: number): string {
  if (size < 1000) {
    return `${size} B`;
  }
  const power = Math.min(4, Math.floor(Math.log10(size) / 3));
  return `${Number((size / 1000 ** power).toPrecision(3))} ${["B", "kB", "MB", "GB", "TB"][power]}`;
}

export interface Delta {
  text: string;
  /** Whether the change is for the better; unknown if the metric has no direction. */
  tone: "better" | "worse" | "same" | "unknown";
}

/** The change of a metric against the run before, with an arrow that says up or down. */
export function formatDelta(
  last: Value,
  previous: Value,
  direction: "higher" | "lower" | null,
  decimals?: number,
): Delta | null {
  const now = toNumber(last);
  const then = toNumber(previous);
  if (now === null || then === null || !Number.isFinite(now) || !Number.isFinite(then)) {
    return null;
  }
  const change = now - then;
  if (Math.abs(change) <= 1e-12 * Math.max(Math.abs(now), Math.abs(then))) {
    return { text: "=", tone: "same" };
  }
  // As many decimals as the value beside it, unless that would hide the change.
  const plain = decimals !== undefined && Number(Math.abs(change).toFixed(decimals)) !== 0;
  const short = Math.abs(change) >= 10 ? Math.round(Math.abs(change)) : Number(Math.abs(change).toPrecision(2));
  const size = plain ? formatNumber(Math.abs(change), decimals) : formatNumber(short);
  const tone = direction === null ? "unknown" : change > 0 === (direction === "higher") ? "better" : "worse";
  return { text: `${change > 0 ? "▲" : "▼"} ${size}`, tone };
}

/** What a person calls a status. */
export function statusText(status: string): string {
  switch (status) {
    case "RUNNING":
      return trans.__("Running");
    case "SCHEDULED":
      return trans.__("Scheduled");
    case "FINISHED":
      return trans.__("Finished");
    case "FAILED":
      return trans.__("Failed");
    case "KILLED":
      return trans.__("Interrupted");
    case "CRASHED":
      return trans.__("Crashed");
    default:
      return status;
  }
}

/** How keys are sorted, numbers in them by their size: the same as `nbtrack.names.natural_key`. */
export function byName(a: string, b: string): number {
  const [left, right] = [a.split(/([0-9]+)/), b.split(/([0-9]+)/)];
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    let [one = "", other = ""] = [left[at], right[at]];
    if (at % 2 === 1) {
      [one, other] = [one.replace(/^0+/, ""), other.replace(/^0+/, "")];
      if (one.length !== other.length) {
        return one.length - other.length;
      }
    }
    if (one !== other) {
      return one < other ? -1 : 1;
    }
  }
  return left.length - right.length || (a < b ? -1 : a > b ? 1 : 0);
}
