/** A run that is under way, or was stopped on the way: how far it is, its curves, and what can be done about it. */
import { useEffect, useState } from "preact/hooks";
import type { Client } from "../client";
import { formatDuration, formatNumber } from "../format";
import { trans } from "../i18n";
import { type Control, type Live, type LiveCurve, parseProgress } from "../live";
import type { State } from "../state";
import type { RunDetail } from "../wire";
import { ErrorBanner } from "./ErrorBanner";
import { Button, useAction, useCall } from "./kit";
import { SmallCurve } from "./SmallCurve";

const MOST_CURVES = 6;
const CURVE_POINTS = 240;
/** What ended before its time, so that it may be worth going on with. */
const BROKEN_OFF: ReadonlySet<string> = new Set(["CRASHED", "KILLED", "FAILED"]);

/** The time, anew every second while something counts it. */
function useNow(counting: boolean): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!counting) {
      return;
    }
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [counting]);
  return now;
}

/** Seconds without a fraction: a count that changes every second should not flicker in its tenths. */
const counted = (ms: number): string =>
  formatDuration(Math.max(1000, 1000 * Math.round(ms / 1000))).replace(/\.0(?= )/, "");

function unitText(total: number, unit: string): string {
  return unit === "" || unit === "it"
    ? formatNumber(total)
    : `${formatNumber(total)} ${unit}${unit.endsWith("s") ? "" : "s"}`;
}

function Running({
  run,
  live,
  stop,
  state,
}: {
  run: RunDetail;
  live: Live | null;
  stop: Control["stop"];
  state: State;
}) {
  const now = Math.max(useNow(true), live?.received ?? 0);
  const { busy, failure, run: act, clear } = useAction(state);
  const since = live === null ? 0 : now - live.received;
  const elapsed = live === null ? now - run.start_time : 1000 * live.elapsed_s + since;
  const progress = live?.progress ?? parseProgress(run.capture.progress);
  const at = (run.capture.progress as { at_ms?: unknown } | undefined)?.at_ms;
  const old = live !== null ? since : typeof at === "number" ? now - at : 0;
  const left = progress?.remaining_s == null ? null : Math.max(0, 1000 * progress.remaining_s - old);
  const share = progress === null ? null : progress.done / progress.total;
  const words = [
    progress === null
      ? ""
      : trans.__("%1 of %2", formatNumber(Math.floor(progress.done)), unitText(progress.total, progress.unit)),
    trans.__("%1 so far", counted(elapsed)),
    left === null ? "" : trans.__("about %1 left", counted(left)),
  ].filter((part) => part !== "");
  return (
    <div class="nbt-running" data-nbt="running">
      <div
        class={`nbt-bar${share === null ? " nbt-bar-open" : ""}`}
        role="progressbar"
        aria-label={trans.__("Progress of the cell")}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={share === null ? undefined : Math.round(100 * share)}
        aria-valuetext={words.join(", ")}
      >
        <span style={share === null ? {} : { width: `${(100 * share).toFixed(1)}%` }} />
      </div>
      <span class="nbt-meta" data-nbt="progress-text">
        {words.join(" · ")}
      </span>
      {stop !== undefined && (
        <Button
          name="stop-cell"
          icon="stop"
          label={trans.__("Stop")}
          title={trans.__("Interrupt the cell")}
          busy={busy === "stop"}
          onClick={() => void act("stop", stop, () => trans.__("The cell was interrupted"))}
        />
      )}
      {failure && <ErrorBanner failure={failure} dismiss={clear} />}
    </div>
  );
}

function BrokenOff({ run, resume, state }: { run: RunDetail; resume: NonNullable<Control["resume"]>; state: State }) {
  const { busy, failure, run: act, clear } = useAction(state);
  const last = Math.max(-1, ...run.metrics.filter((metric) => metric.count > 1).map((metric) => metric.step));
  const words = [
    run.status === "CRASHED" ? trans.__("The kernel died while the cell ran.") : "",
    last >= 0 ? trans.__("All values up to step %1 are kept.", last) : "",
  ].filter((one) => one !== "");
  return (
    <div class="nbt-running" data-nbt="broken-off">
      {words.length > 0 && <span class="nbt-meta">{words.join(" ")}</span>}
      <Button
        name="resume"
        icon="play"
        label={trans.__("Resume")}
        title={trans.__("Run the cell again, as a new run whose curves go on from this one")}
        busy={busy === "resume"}
        onClick={() =>
          void act(
            "resume",
            () => resume(run.run_id),
            () => trans.__("The cell runs again"),
          )
        }
      />
      {failure && <ErrorBanner failure={failure} dismiss={clear} />}
    </div>
  );
}

interface Props {
  client: Client;
  state: State;
  run: RunDetail;
  live: Live | null;
  control: Control;
  /** Whether to draw the curves: not where a chart beside does. */
  curves: boolean;
}

export function RunLive({ client, state, run, live, control, curves }: Props) {
  const running = run.status === "RUNNING";
  // Its process may die without a word, and the store's revision with it: then nobody tells.
  useEffect(() => {
    if (!running) {
      return;
    }
    const timer = setInterval(() => state.refresh(), 3000);
    return () => clearInterval(timer);
  }, [running, run.run_id]);
  const keys = run.metrics
    .filter((metric) => metric.count > 1)
    .slice(0, MOST_CURVES)
    .map((metric) => metric.key);
  const pushed = running && live !== null && live.series.length > 0;
  const asked = useCall(
    client,
    curves && keys.length > 0 && !pushed
      ? { op: "series", run_ids: [run.run_id], keys, max_points: CURVE_POINTS }
      : null,
    state.revision.value,
  );
  const drawn: readonly LiveCurve[] = !curves ? [] : pushed ? live.series : (asked.answer?.series ?? []);
  const shown = drawn.filter((curve) => curve.step.length > 1);
  return (
    <>
      {running && <Running run={run} live={live} stop={control.stop} state={state} />}
      {BROKEN_OFF.has(run.status) && control.resume !== undefined && (
        <BrokenOff run={run} resume={control.resume} state={state} />
      )}
      {shown.length > 0 && (
        <div class="nbt-small-curves">
          {shown.map((curve) => (
            <SmallCurve key={curve.key} curve={curve} />
          ))}
        </div>
      )}
    </>
  );
}
