/** What a running cell says of itself: each update of its output carries it, so that no kernel has to be asked. */
import { ALERTS_TAG, alertsOf } from "./alerts";
import { byName } from "./format";
import type { MetricEntry, RunDetail } from "./wire";

export interface Progress {
  done: number;
  total: number;
  unit: string;
  remaining_s: number | null;
}

export interface LiveCurve {
  key: string;
  step: number[];
  value: (number | string)[];
}

export interface Live {
  elapsed_s: number;
  /** When this arrived here, by this page's clock. */
  received: number;
  progress: Progress | null;
  /** key -> last, min, max, count, step */
  metrics: Record<string, [number | string, number | string, number | string, number, number]>;
  series: LiveCurve[];
  /** The text of the tag that holds the alerts; "" for none yet. */
  alerts: string;
}

/** What a host can do for a card beyond asking the store. */
export interface Control {
  /** Interrupt the cell that the run comes from. */
  stop?: () => Promise<void>;
  /** Run the cell again so that it goes on from this run. */
  resume?: (run_id: string) => Promise<void>;
}

type Dict = Record<string, unknown>;
const isDict = (value: unknown): value is Dict => typeof value === "object" && value !== null && !Array.isArray(value);
const isValue = (value: unknown): value is number | string => typeof value === "number" || typeof value === "string";

/** How far a run is, from its record or an update; null if that says nothing. */
export function parseProgress(data: unknown): Progress | null {
  if (!isDict(data) || typeof data.done !== "number" || typeof data.total !== "number" || !(data.total > 0)) {
    return null;
  }
  return {
    done: Math.max(0, Math.min(data.done, data.total)),
    total: data.total,
    unit: typeof data.unit === "string" ? data.unit.slice(0, 20) : "",
    remaining_s: typeof data.remaining_s === "number" ? data.remaining_s : null,
  };
}

/** An update, checked: a notebook may come from anywhere. */
export function parseLive(data: unknown, received: number): Live | null {
  if (!isDict(data) || typeof data.elapsed_s !== "number") {
    return null;
  }
  const metrics: Live["metrics"] = {};
  for (const [key, value] of Object.entries(isDict(data.metrics) ? data.metrics : {})) {
    if (Array.isArray(value) && value.length === 5 && value.every(isValue)) {
      metrics[key] = value as Live["metrics"][string];
    }
  }
  const series = (Array.isArray(data.series) ? data.series : []).flatMap((one: unknown) => {
    if (!isDict(one) || typeof one.key !== "string" || !Array.isArray(one.step) || !Array.isArray(one.value)) {
      return [];
    }
    const step = one.step.filter((value): value is number => typeof value === "number");
    const value = one.value.filter(isValue);
    return step.length === value.length ? [{ key: one.key, step, value }] : [];
  });
  const alerts = alertsOf(data.alerts).length > 0 ? String(data.alerts) : "";
  return { elapsed_s: data.elapsed_s, received, progress: parseProgress(data.progress), metrics, series, alerts };
}

/** A notebook may be opened while its cell runs: then its update is as old as the file, and nothing follows it. */
const SETTLE_MS = 1500;
const SILENCE_MS = 6000;

/** An update, unless the store knows more or nothing has followed it for long. */
export function freshLive(run: RunDetail, live: Live | null, now: number): Live | null {
  if (live === null || run.status !== "RUNNING" || now - live.received > SILENCE_MS) {
    return null;
  }
  const behind = run.metrics.some((metric) => metric.count > (live.metrics[metric.key]?.[3] ?? 0));
  return behind && now - live.received > SETTLE_MS ? null : live;
}

/** What the store said of a run, brought up to date by what its cell said since. */
export function withLive(run: RunDetail, live: Live | null): RunDetail {
  if (live === null) {
    return run;
  }
  const known = new Map(run.metrics.map((metric) => [metric.key, metric]));
  for (const [key, [last, min, max, count, step]] of Object.entries(live.metrics)) {
    const before = known.get(key);
    if (before === undefined || before.count < count) {
      const fresh: MetricEntry = { key, better: null, previous: null, ...before, last, min, max, count, step };
      known.set(key, fresh);
    }
  }
  const metrics = [...known.values()].sort((a, b) => byName(a.key, b.key));
  const tags = live.alerts === "" ? run.tags : { ...run.tags, [ALERTS_TAG]: live.alerts };
  return { ...run, metrics, tags };
}
