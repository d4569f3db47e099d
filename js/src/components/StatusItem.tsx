/** One line for a status bar: what runs now, or how the newest run ended. */
import { formatAlone, statusText, toNumber } from "../format";
import { mainMetric } from "../history";
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import { findColumn } from "../rows";
import { Icon, useCall } from "./kit";

export interface StatusProps {
  open: () => void;
}

export function StatusItem({ client, state, open }: ViewProps & StatusProps) {
  const revision = state.revision.value;
  const running = useCall(client, { op: "runs", filter: "status = 'RUNNING'", columns: [], limit: 1 }, revision).answer;
  const newest = useCall(client, { op: "runs", limit: 1 }, revision).answer;
  if (newest === null || newest.run_ids.length === 0) {
    return null;
  }
  const count = running?.total ?? 0;
  const name = String(findColumn(newest, "attribute", "run_name")?.values[0] ?? "");
  const status = String(findColumn(newest, "attribute", "status")?.values[0] ?? "");
  const metric = mainMetric(newest);
  const value = toNumber(metric?.values[0]);
  const said =
    count > 0
      ? trans._n("%1 run is running", "%1 runs are running", count)
      : [
          `${name.length > 24 ? `${name.slice(0, 23)}…` : name}:`,
          status === "FINISHED" && metric !== null && value !== null
            ? `${metric.key} ${formatAlone(value)}`
            : statusText(status).toLowerCase(),
        ].join(" ");
  return (
    <button
      type="button"
      class="nbt-status-item"
      data-nbt="status-item"
      title={trans.__("Newest run: %1. Click for all runs.", `${name} (${statusText(status)})`)}
      onClick={open}
    >
      {count > 0 ? (
        <span class="nbt-spinner" aria-hidden="true" />
      ) : (
        <Icon name={status === "FINISHED" ? "check" : status === "RUNNING" ? "play" : "warn"} />
      )}
      <span>{said}</span>
    </button>
  );
}

export const mount = mounter<StatusProps>(StatusItem, { open: () => undefined });
