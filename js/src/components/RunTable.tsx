/** Runs as a table: differences first, sorted, filtered, grouped and compared in place. */
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import type { State } from "../state";
import { ColumnManager } from "./ColumnManager";
import { ErrorBanner } from "./ErrorBanner";
import { Grid, type GridLook } from "./Grid";
import { Button, Empty, Loading } from "./kit";
import { PopupButton } from "./Popup";
import { type RunActs, useRunActs } from "./runActs";
import { TableFilter } from "./TableFilter";
import { MoreButton, ViewsButton } from "./TableMenus";

/** Filter, columns, views and counts above the grid. */
function TableTools({ client, state, compact }: ViewProps & { compact: boolean }) {
  const total = state.total.value;
  const shown = state.fitting.value;
  const count = shown === total ? trans._n("%1 run", "%1 runs", total) : trans.__("%1 of %2 runs", shown, total);
  return (
    <div class={`nbt-tools${compact ? "" : " nbt-roomy"}`}>
      <TableFilter state={state} compact={compact} />
      {!compact && (
        <Button
          name="all-columns"
          kind="quiet"
          pressed={state.showAll.value}
          label={trans.__("All columns")}
          title={trans.__("Off: only metrics and what differs between the runs. On: everything. (a)")}
          onClick={() => {
            state.showAll.value = !state.showAll.value;
          }}
        />
      )}
      <PopupButton
        name="choose-columns"
        label={trans.__("Columns")}
        title={trans.__("Show, hide, move and group by columns")}
        icon="columns"
        iconOnly={compact}
      >
        {(anchor, close) => <ColumnManager state={state} anchor={anchor} close={close} />}
      </PopupButton>
      {client.saved !== true && (
        <>
          <ViewsButton client={client} state={state} compact={compact} />
          <MoreButton client={client} state={state} />
        </>
      )}
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

/** A comparison of runs that are not there. */
function NoneGiven({ given }: { given: readonly string[] | null }) {
  const title =
    given === null
      ? trans.__("No run fits this comparison's filter")
      : given.length === 0
        ? trans.__("No runs were given")
        : trans.__("None of the given runs is there");
  return (
    <Empty title={title}>
      <p>{trans.__("Choose others where the comparison is made; this one shows all runs:")}</p>
      <pre class="nbt-code">nbtrack.compare()</pre>
    </Empty>
  );
}

function NothingFits({ state }: { state: State }) {
  if (state.trash.value && state.filter.value === "" && state.brush.value === "") {
    return <Empty title={trans.__("The trash is empty")} />;
  }
  return (
    <Empty title={trans.__("No run fits this filter")}>
      <Button
        name="clear-filter"
        label={trans.__("Clear the filter")}
        onClick={() => {
          state.filter.value = "";
          state.brush.value = "";
        }}
      />
    </Empty>
  );
}

/** What holds for the whole table and is easily forgotten, each with its way out. */
function Notices({ state, acts }: { state: State; acts: RunActs }) {
  const { layout, brush, trash } = state;
  const { baseline, group } = layout.value;
  const away = (name: string, text: string, label: string, act: () => void) => (
    <span class="nbt-notice" data-nbt={`notice-${name}`}>
      {text}
      <Button name={`clear-${name}`} kind="quiet" iconOnly icon="close" label={label} onClick={act} />
    </span>
  );
  return (
    <div class="nbt-notices">
      {trash.value && away("trash", trans.__("The trash"), trans.__("Leave the trash"), () => (trash.value = false))}
      {baseline !== null &&
        state.runs.value?.whole !== true &&
        away(
          "baseline",
          trans.__("Baseline: %1", state.known(baseline)?.name ?? baseline),
          trans.__("No baseline"),
          () => {
            layout.value = { ...layout.value, baseline: null };
          },
        )}
      {group !== null &&
        away("group", trans.__("Grouped by %1", group.slice(group.indexOf(":") + 1)), trans.__("No groups"), () => {
          layout.value = { ...layout.value, group: null };
        })}
      {brush.value !== "" &&
        away(
          "brush",
          trans.__("Only what is brushed in the plot"),
          trans.__("Show all again"),
          () => (brush.value = ""),
        )}
      {acts.trashed.length > 0 && (
        <span class="nbt-notice" data-nbt="trashed" role="status">
          {trans._n("%1 run moved to the trash", "%1 runs moved to the trash", acts.trashed.length)}
          <Button
            name="undo-trash"
            kind="quiet"
            icon="undo"
            label={trans.__("Undo")}
            onClick={() => void acts.trash(acts.trashed, false)}
          />
          <Button
            name="forget-trash"
            kind="quiet"
            iconOnly
            icon="close"
            label={trans.__("Close")}
            onClick={acts.forget}
          />
        </span>
      )}
    </div>
  );
}

export function RunTable({ client, state, compact, choose }: ViewProps & GridLook) {
  const acts = useRunActs(client, state);
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
  const asked = state.filter.value !== "" || state.brush.value !== "" || state.trash.value;
  if (runs.total === 0 && !asked && acts.trashed.length === 0) {
    const { run_ids = null, query = "" } = state.options;
    return run_ids === null && query === "" ? <NoRuns /> : <NoneGiven given={run_ids} />;
  }
  return (
    <div class="nbt-table">
      <TableTools client={client} state={state} compact={compact} />
      <Notices state={state} acts={acts} />
      {failure && <ErrorBanner failure={failure} retry={state.refresh} />}
      {acts.failure && <ErrorBanner failure={acts.failure} dismiss={acts.clear} />}
      {state.count.value === 0 ? (
        <NothingFits state={state} />
      ) : (
        <Grid client={client} state={state} runs={runs} compact={compact} choose={choose} acts={acts} />
      )}
    </div>
  );
}

export const mount = mounter<GridLook>(RunTable, { compact: false, choose: true });
