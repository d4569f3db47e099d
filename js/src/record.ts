/** What the notebook gave unasked, read out of a run's capture record: plain JSON that any version may have written. */

export interface SliceCell {
  execution_count: number | null;
  source: string;
  reads: string[];
  writes: string[];
  /** Whether it is the tracked cell itself. */
  own: boolean;
}

export interface DataRead {
  name: string;
  kind: string;
  shape: string;
  digest: string;
  size_bytes: number | null;
  sampled: boolean;
  /** The file it is, for a file. */
  path: string;
}

export interface Shown {
  path: string;
  title: string;
}

export interface RunRecord {
  source: string;
  notebook: string;
  execution_count: number | null;
  cells: SliceCell[];
  complete: boolean;
  missing: string[];
  data: DataRead[];
  seeds: [string, string][];
  usage: [string, unknown][];
  figures: Shown[];
  frames: Shown[];
  python: string;
  platform: string;
  packages: [string, string][];
  git: [string, string][];
  captured: string[];
  not_captured: string[];
  output: { name: string; text: string }[];
  error: string;
}

type Json = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const record = (value: unknown): Json => (isRecord(value) ? value : {});
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const number = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const texts = (value: unknown): string[] => list(value).filter((one): one is string => typeof one === "string");
const said = (value: unknown): string =>
  typeof value === "string" ? value : value === null || value === undefined ? "" : JSON.stringify(value);
const pairs = (value: unknown): [string, string][] =>
  Object.entries(record(value)).map(([key, one]) => [key, said(one)]);

function cellOf(value: unknown): SliceCell {
  const cell = record(value);
  return {
    execution_count: number(cell.execution_count),
    source: text(cell.source),
    reads: texts(cell.reads),
    writes: texts(cell.writes),
    own: cell.this === true,
  };
}

function dataOf(value: unknown): DataRead {
  const one = record(value);
  return {
    name: text(one.name),
    kind: text(one.kind),
    shape: list(one.shape).map(said).join(" × "),
    digest: text(one.digest),
    size_bytes: number(one.size_bytes),
    sampled: one.sampled === true,
    path: text(one.path),
  };
}

const shownOf = (value: unknown): Shown => ({ path: text(record(value).path), title: text(record(value).title) });

function errorOf(value: unknown): string {
  if (typeof value === "string") {
    return value;
  }
  const { type, name, message, value: said_, traceback } = record(value);
  const line = [type ?? name, message ?? said_].filter((part) => typeof part === "string" && part !== "").join(": ");
  const trace = Array.isArray(traceback) ? texts(traceback).join("\n") : text(traceback);
  return trace.includes(line) ? trace : [trace, line].filter((part) => part !== "").join("\n");
}

export function readRecord(capture: Json): RunRecord {
  const slice = record(capture.slice);
  const cell = record(capture.cell);
  const cells = list(slice.cells).map(cellOf);
  const source = text(capture.source) || text(cell.source);
  return {
    source,
    notebook: text(capture.notebook),
    execution_count: number(capture.execution_count),
    cells,
    complete: slice.complete !== false,
    missing: texts(slice.missing),
    data: list(capture.data).map(dataOf),
    seeds: pairs(capture.seeds),
    usage: Object.entries(record(capture.usage)),
    figures: list(capture.figures).map(shownOf),
    frames: list(capture.frames).map(shownOf),
    python: text(capture.python),
    platform: text(capture.platform),
    packages: pairs(capture.packages),
    git: pairs(capture.git),
    captured: texts(capture.captured),
    not_captured: texts(capture.not_captured),
    output: ["stdout", "stderr"].flatMap((name) => {
      const kept = text(capture[name]);
      return kept === "" ? [] : [{ name, text: kept }];
    }),
    error: errorOf(capture.error ?? capture.exception),
  };
}
