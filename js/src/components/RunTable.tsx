/** Runs as a table: differences first, sorted and filtered in place. */
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import type { State } from "../state";
import { ErrorBanner } from "./ErrorBanner";
import { Grid, type GridLook } from "./Grid";
import { Button, Empty, Icon, Loading } from "./kit";

/** Filter, columns and counts above the grid. */
export function TableTools({ state, compact }: { state: State; compact: boolean }) {
  const runs = state.runs.value;
  const total = runs?.run_ids.length ?? 0;
  const shown = state.rows.value.length;
  const count = shown === total ? trans._n("%1 run", "%1 runs", total) : trans.__("%1 of %2 runs", shown, total);
  return (
    <div class="nbt-tools">
      <label class="nbt-search">
        <Icon name="search" />
        <input
          type="search"
          data-nbt="filter"
          placeholder={compact ? trans.__("Filter runs") : trans.__("Filter: words, or accuracy>0.9")}
          aria-label={trans.__("Filter runs by words, or by a comparison such as accuracy>0.9")}
          value={state.filter.value}
          onInput={(event) => {
            state.filter.value = event.currentTarget.value;
          }}
          onKeyDown={(event) => {
            if (event.key === "Escape" && state.filter.value !== "") {
              event.stopPropagation();
              state.filter.value = "";
            }
          }}
        />
      </label>
      <Button
        name="all-columns"
        kind="quiet"
        pressed={state.showAll.value}
        label={trans.__("All columns")}
        title={trans.__("Off: only metrics and what differs between the runs. On: everything.")}
        onClick={() => {
          state.showAll.value = !state.showAll.value;
        }}
      />
      {(!compact || shown !== total) && (
        <span class="nbt-count" data-nbt="count">
          {count}
        </span>
      )}
    </div>
  );
}

/** What to do to get a first run. */
export function NoRuns() {
  return (
    <Empty title={trans.__("No runs yet")}>
      <p>{trans.__("Put this line at the top of a cell and run the cell:")}</p>
      <pre class="nbt-code">%%track</pre>
      <p>{trans.__("Its params, metrics and model appear here.")}</p>
    </Empty>
  );
}

export function RunTable({ state, compact, choose }: ViewProps & GridLook) {
  const runs = state.runs.value;
  const failure = state.failure.value;
  if (runs === null) {
    if (failure?.code === "no_store") {
      return <NoRuns />;
    }
    return failure === null ? (
      <Loading label={trans.__("Reading runs…")} />
    ) : (
      <ErrorBanner failure={failure} retry={state.refresh} />
    );
  }
  if (runs.run_ids.length === 0) {
    return <NoRuns />;
  }
  return (
    <div class="nbt-table">
      <TableTools state={state} compact={compact} />
      {failure && <ErrorBanner failure={failure} retry={state.refresh} />}
      {state.rows.value.length === 0 ? (
        <Empty title={trans.__("No run fits this filter")}>
          <Button
            name="clear-filter"
            label={trans.__("Clear the filter")}
            onClick={() => {
              state.filter.value = "";
            }}
          />
        </Empty>
      ) : (
        <Grid state={state} runs={runs} compact={compact} choose={choose} />
      )}
      {runs.total > runs.run_ids.length && (
        <p class="nbt-note">{trans.__("The newest %1 of %2 runs.", runs.run_ids.length, runs.total)}</p>
      )}
    </div>
  );
}

export const mount = mounter<GridLook>(RunTable, { compact: false, choose: true });
