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

/** One step of a pipeline, as its parent run tells of it. */
export interface PipelineStep {
  name: string;
  status: "ran" | "reused" | "failed" | "not run";
  run_id: string;
  seconds: number;
  /** What it takes: the name, and the step that returned it, "" for a param. */
  inputs: [string, string][];
  outputs: string[];
  /** Why a later pipeline runs it again whatever happens; "" if it can be reused. */
  not_kept: string;
}

/** What came of running a run again. */
export interface Reproduced {
  reproduced: boolean;
  at: number | null;
  verdict: string;
  compared: number;
  /** Kind, key, before and after of every value that is not the same. */
  differences: [string, string, string, string][];
  changed: string[];
  not_compared: string[];
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
  steps: PipelineStep[];
  reproduced: Reproduced | null;
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

const STEP_STATUS: readonly PipelineStep["status"][] = ["ran", "reused", "failed", "not run"];

function stepOf(value: unknown): PipelineStep {
  const step = record(value);
  return {
    name: text(step.name),
    status: STEP_STATUS.find((one) => one === step.status) ?? "not run",
    run_id: text(step.run_id),
    seconds: number(step.seconds) ?? 0,
    inputs: pairs(step.inputs),
    outputs: texts(step.outputs),
    not_kept: text(step.not_kept),
  };
}

function reproducedOf(value: unknown): Reproduced | null {
  const one = record(value);
  if (typeof one.reproduced !== "boolean") {
    return null;
  }
  const at = Date.parse(text(one.at));
  return {
    reproduced: one.reproduced,
    at: Number.isFinite(at) ? at : null,
    verdict: text(one.verdict),
    compared: number(one.compared) ?? 0,
    differences: list(one.differences).map((row) => {
      const [kind, key, before, after] = list(row).map(said);
      return [kind ?? "", key ?? "", before ?? "", after ?? ""];
    }),
    changed: texts(one.changed),
    not_compared: texts(one.not_compared),
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
    steps: list(record(capture.pipeline).steps).map(stepOf),
    reproduced: reproducedOf(capture.reproduced),
    captured: texts(capture.captured),
    not_captured: texts(capture.not_captured),
    output: ["stdout", "stderr"].flatMap((name) => {
      const kept = text(capture[name]);
      return kept === "" ? [] : [{ name, text: kept }];
    }),
    error: errorOf(capture.error ?? capture.exception),
  };
}
