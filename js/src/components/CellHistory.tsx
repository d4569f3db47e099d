/** The runs of the cell at hand: what changed from one to the next, how it went, and the one that is looked at. */
import { type Signal, signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { columnDecimals, formatDelta, formatNumber, toNumber } from "../format";
import { course, mainMetric, type Step, steps } from "../history";
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import { quoted } from "../query";
import { findColumn } from "../rows";
import type { Column, Runs } from "../wire";
import { RowCurve } from "./Curves";
import { ErrorBanner } from "./ErrorBanner";
import { Ago, Button, Empty, Loading, Mark, StatusBadge, useCall } from "./kit";
import { RunCard } from "./RunCard";
import { Visited } from "./Visited";

/** The cell that is followed; null where none can be tracked. */
export interface FollowedCell {
  id: string;
  tracked: boolean;
  /** How the notebook's page names it, such as "[3]". */
  name: string;
}

export interface HistoryProps {
  cell: Signal<FollowedCell | null>;
  /** Track the cell. */
  track: () => void;
  /** Open a page of its own with everything about a run. */
  page: (run_id: string) => void;
  /** Open the comparison of these runs. */
  compare: (run_ids: string[]) => void;
}

const MOST_RUNS = 200;
const MOST_PARAMS = 3;

function Changes({ step }: { step: Step }) {
  if (step.first) {
    return <span class="nbt-meta">{trans.__("first run")}</span>;
  }
  const rest = step.params.length - MOST_PARAMS;
  return (
    <span class="nbt-changes">
      {step.code && <span class="nbt-chip">{trans.__("code changed")}</span>}
      {step.params.slice(0, MOST_PARAMS).map(({ key, before, now }) => (
        <span key={key} class="nbt-change" title={`${key}: ${before ?? "–"} → ${now ?? "–"}`}>
          <span class="nbt-key">{key}</span> {before ?? "–"} → <b>{now ?? "–"}</b>
        </span>
      ))}
      {rest > 0 && <span class="nbt-meta">{trans.__("%1 more", rest)}</span>}
      {!step.code && step.params.length === 0 && <span class="nbt-meta">{trans.__("nothing known changed")}</span>}
    </span>
  );
}

function Line(props: {
  runs: Runs;
  step: Step;
  metric: Column | null;
  shown: string | null;
  show: (id: string) => void;
}) {
  const { runs, step, metric, shown } = props;
  const status = String(findColumn(runs, "attribute", "status")?.values[step.row] ?? "");
  const started = findColumn(runs, "attribute", "start_time")?.values[step.row];
  const before = (step.again[step.again.length - 1]?.row ?? step.row) + 1;
  const decimals = columnDecimals(metric?.values ?? []);
  const value = toNumber(metric?.values[step.row]);
  const delta = formatDelta(value, metric?.values[before] ?? null, metric?.better ?? null, decimals);
  const all = [step.run_id, ...step.again.map((one) => one.run_id)];
  return (
    <li class={`nbt-step${all.includes(shown ?? "") ? " nbt-current" : ""}`}>
      <button
        type="button"
        data-nbt="history-step"
        data-run={step.run_id}
        aria-current={all.includes(shown ?? "")}
        onClick={() => props.show(step.run_id)}
      >
        <span class="nbt-step-head">
          <Mark color={runs.colors[step.row] ?? 0} />
          {typeof started === "number" && <Ago at={started} />}
          {step.again.length > 0 && (
            <span class="nbt-badge" title={trans.__("Run again without a change")}>
              ×{step.again.length + 1}
            </span>
          )}
          {status !== "FINISHED" && <StatusBadge status={status} />}
          {value !== null && (
            <span class="nbt-step-value" title={metric?.key}>
              {formatNumber(value, decimals)}
              {delta && delta.tone !== "same" && <span class={`nbt-delta nbt-${delta.tone}`}> {delta.text}</span>}
            </span>
          )}
        </span>
        <Changes step={step} />
      </button>
    </li>
  );
}

function Strip({ client, state, cell, page, compare }: ViewProps & HistoryProps & { cell: Signal<FollowedCell> }) {
  const { id } = cell.value;
  const [shown, show] = useState<string | null>(null);
  const choose = (run_id: string | null): void => {
    show(run_id);
    state.current.value = null;
  };
  useEffect(() => choose(null), [id]); // another cell starts at its newest run
  const filter = `tags.\`nbtrack.cell\` = ${quoted(id)}`;
  const { answer, failure } = useCall(client, { op: "runs", filter, limit: MOST_RUNS }, state.revision.value);
  if (answer === null) {
    if (failure === null) {
      return <Loading label={trans.__("Reading runs…")} />;
    }
    return failure.code === "no_store" ? <NoRunYet /> : <ErrorBanner failure={failure} retry={state.refresh} />;
  }
  if (answer.run_ids.length === 0) {
    return <NoRunYet />;
  }
  const metric = mainMetric(answer);
  const found = steps(answer);
  const current = shown !== null && answer.run_ids.includes(shown) ? shown : (answer.run_ids[0] ?? null);
  return (
    <>
      <div class="nbt-strip-head">
        <h4>{trans._n("%1 run of this cell", "%1 runs of this cell", answer.total)}</h4>
        {metric !== null && answer.run_ids.length > 1 && (
          <span class="nbt-strip-curve" title={trans.__("%1, oldest run first", metric.key)}>
            <span class="nbt-meta">{metric.key}</span> <RowCurve points={course(metric)} label={metric.key} />
          </span>
        )}
      </div>
      <ol class="nbt-strip" data-nbt="history" aria-label={trans.__("Runs of this cell, newest first")}>
        {found.map((step) => (
          <Line key={step.run_id} runs={answer} step={step} metric={metric} shown={current} show={choose} />
        ))}
      </ol>
      <div class="nbt-actions">
        <Button
          name="compare-cell"
          label={trans.__("Compare them")}
          disabled={answer.run_ids.length < 2}
          onClick={() => compare([...answer.run_ids])}
        />
        {current !== null && (
          <Button name="run-page" label={trans.__("Open as a page")} onClick={() => page(current)} />
        )}
      </div>
      {current !== null && (
        <Visited state={state} run_id={current}>
          {(run_id) => <RunCard key={run_id} client={client} state={state} run_id={run_id} detailed={true} />}
        </Visited>
      )}
    </>
  );
}

function NoRunYet() {
  return (
    <Empty title={trans.__("No run of this cell yet")}>
      <p>{trans.__("Run the cell: its runs are listed here, with what changed from one to the next.")}</p>
    </Empty>
  );
}

export function CellHistory({ client, state, cell, track, page, compare }: ViewProps & HistoryProps) {
  const followed = cell.value;
  if (followed === null) {
    return (
      <Empty title={trans.__("No code cell")}>
        <p>{trans.__("Choose a code cell in a notebook to see its runs.")}</p>
      </Empty>
    );
  }
  return (
    <div class="nbt-inspector" data-nbt="inspector" data-cell={followed.id}>
      <div class="nbt-panel-head">
        <span class="nbt-store">{trans.__("Cell %1", followed.name)}</span>
        {followed.tracked ? (
          <span class="nbt-chip">{trans.__("tracked")}</span>
        ) : (
          <Button name="track-cell" label={trans.__("Track")} onClick={track} />
        )}
      </div>
      <div class="nbt-panel-body nbt-runs-tab">
        <Strip
          client={client}
          state={state}
          cell={cell as Signal<FollowedCell>}
          track={track}
          page={page}
          compare={compare}
        />
      </div>
    </div>
  );
}

const nothing = (): void => undefined;

export const mount = mounter<HistoryProps>(CellHistory, {
  cell: signal<FollowedCell | null>(null),
  track: nothing,
  page: nothing,
  compare: nothing,
});
