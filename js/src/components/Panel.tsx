/** Everything of a store in a narrow place: runs, models, servers. */
import { type Signal, signal } from "@preact/signals";
import { formatCount } from "../format";
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import type { State } from "../state";
import { Button, Icon, useCall } from "./kit";
import { ModelVersions } from "./ModelVersions";
import { RunCard } from "./RunCard";
import { RunTable } from "./RunTable";
import { ServerList } from "./ServeCard";
import { type StoreChoice, StorePicker } from "./StorePicker";
import { TabList } from "./TabList";

export type Tab = "runs" | "models" | "servers";
const TABS: readonly Tab[] = ["runs", "models", "servers"];

function tabName(tab: Tab): string {
  switch (tab) {
    case "runs":
      return trans.__("Runs");
    case "models":
      return trans.__("Models");
    case "servers":
      return trans.__("Servers");
  }
}

export interface PanelProps {
  tab: Signal<Tab>;
  /** What is amiss between two environments; "" for nothing. */
  mismatch: Signal<string>;
  /** Which stores are shown together; null where there is one for good. */
  stores: StoreChoice | null;
  /** Open the comparison of these runs, or of all, in a place with room. */
  compare: (run_ids: string[] | null) => void;
  /** Open a page of its own with everything about a run. */
  page: (run_id: string) => void;
}

/** More than these are compared by opening all runs, not by their ids. */
const MOST_COMPARED = 500;

/** What a click compares: the marked runs, else those that the filter left, else all (null). */
function compared(state: State): { ids: string[] | null; label: string; title: string } {
  const { runs, chosen, rows, fitting, total } = state;
  if (chosen.value !== null) {
    const ids = [...chosen.value];
    return {
      ids,
      label: trans._n("Compare the marked run", "Compare the %1 marked runs", ids.length),
      title: trans.__("Open the marked runs in a tab of their own, with charts"),
    };
  }
  const shown = runs.value?.whole === true ? rows.value.map((row) => runs.value?.run_ids[row] ?? "") : [];
  if (fitting.value < total.value && shown.length <= MOST_COMPARED && runs.value?.whole === true) {
    return {
      ids: shown,
      label: trans._n("Compare the run found", "Compare the %1 runs found", shown.length),
      title: trans.__("Open the runs that fit the filter in a tab of their own, with charts"),
    };
  }
  return {
    ids: null,
    label: trans._n("Compare %1 run", "Compare all %1 runs", total.value),
    title: trans.__("Open all runs in a tab of their own, with charts; mark runs to open only those"),
  };
}

function RunsTab({ client, state, compare, page }: ViewProps & Pick<PanelProps, "compare" | "page">) {
  const current = state.current.value;
  const { ids, label, title } = compared(state);
  return (
    <div class="nbt-runs-tab">
      <RunTable client={client} state={state} compact={true} choose={true} />
      {(state.runs.value?.run_ids.length ?? 0) > 0 && (
        <div class="nbt-actions nbt-under">
          <Button
            name="compare-runs"
            label={label}
            title={title}
            disabled={ids?.length === 0}
            onClick={() => compare(ids)}
          />
        </div>
      )}
      {current === null ? (
        (state.runs.value?.run_ids.length ?? 0) > 0 && (
          <p class="nbt-note">{trans.__("Click a run to see it, register its model and serve it.")}</p>
        )
      ) : (
        <>
          <RunCard
            key={current}
            client={client}
            state={state}
            run_id={current}
            detailed={true}
            close={() => {
              state.current.value = null;
            }}
          />
          <div class="nbt-actions nbt-under">
            <Button name="run-page" label={trans.__("Open as a page")} onClick={() => page(current)} />
          </div>
        </>
      )}
    </div>
  );
}

export function Panel({ client, state, tab, mismatch, stores, compare, page }: ViewProps & PanelProps) {
  const info = useCall(client, { op: "info" }, state.revision.value).answer;
  const servers = useCall(client, { op: "servers" }, state.revision.value).answer;
  const counts: Readonly<Record<Tab, number>> = {
    runs: state.runs.value?.total ?? 0,
    models: info?.models ?? 0,
    servers: servers?.servers.filter((server) => server.status === "ready").length ?? 0,
  };
  return (
    <div class="nbt-panel">
      <div class="nbt-panel-head">
        <span class="nbt-store" title={info?.uri ?? ""}>
          {info ? info.name : state.failure.value?.code === "no_store" ? trans.__("No store yet") : "nbtrack"}
        </span>
        {info && !info.writable && <span class="nbt-chip">{trans.__("read-only")}</span>}
        {stores !== null && <StorePicker choice={stores} />}
        <Button
          name="refresh"
          kind="quiet"
          iconOnly
          icon="refresh"
          label={trans.__("Read again")}
          onClick={state.refresh}
        />
      </div>
      {mismatch.value !== "" && (
        <p class="nbt-mismatch" role="status" data-nbt="mismatch">
          <Icon name="warn" /> {mismatch.value}
        </p>
      )}
      <TabList
        label={trans.__("Runs and models")}
        name="tab"
        tabs={TABS}
        chosen={tab.value}
        choose={(one) => (tab.value = one)}
        nameOf={tabName}
        after={(one) => counts[one] > 0 && <span class="nbt-badge">{formatCount(counts[one])}</span>}
      />
      <div class="nbt-panel-body" role="tabpanel" aria-label={tabName(tab.value)}>
        {tab.value === "runs" && <RunsTab client={client} state={state} compare={compare} page={page} />}
        {tab.value === "models" && <ModelVersions client={client} state={state} />}
        {tab.value === "servers" && <ServerList client={client} state={state} />}
      </div>
    </div>
  );
}

export const mount = mounter<PanelProps>(Panel, {
  tab: signal<Tab>("runs"),
  mismatch: signal(""),
  stores: null,
  compare: () => undefined,
  page: () => undefined,
});
