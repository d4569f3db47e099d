/** One line for a status bar: what runs now, or how the newest run ended; a click lists the newest runs. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ALERTS_TAG, type Alert, alertsOf, gravest } from "../alerts";
import { formatAlone, formatDuration, statusText, toNumber, type Value } from "../format";
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import { findColumn } from "../rows";
import type { Runs } from "../wire";
import { AlertMark } from "./Alerts";
import { Ago, Button, Icon, StatusBadge, useCall } from "./kit";
import { type Anchor, anchorOf, Popup } from "./Popup";

const LISTED = 6;
const LONGEST_NAME = 24;

export interface StatusProps {
  /** Show all runs. */
  open: () => void;
  /** Show everything about one. */
  page: (run_id: string) => void;
  /** Tell of an alert that came while this was looking. */
  alerted: (run_id: string, name: string, alert: Alert) => void;
}

const textAt = (runs: Runs, key: string, row: number): string =>
  String(findColumn(runs, "attribute", key)?.values[row] ?? "");

/** The metric by which a run is judged, of those it has: "accuracy 0.95"; "" without one. */
function resultOf(runs: Runs, row: number): string {
  const had = runs.columns.filter((column) => column.kind === "metric" && toNumber(column.values[row]) !== null);
  const metric = had.find((column) => column.better !== null) ?? had[0];
  const value = toNumber(metric?.values[row]);
  return metric === undefined || value === null ? "" : `${metric.key} ${formatAlone(value)}`;
}

const shortened = (text: string): string => (text.length > LONGEST_NAME ? `${text.slice(0, LONGEST_NAME - 1)}…` : text);

const alertTag = (runs: Runs, row: number): Value | undefined => findColumn(runs, "tag", ALERTS_TAG)?.values[row];
const alertsAt = (runs: Runs, row: number): Alert[] => alertsOf(alertTag(runs, row));

/** Tell of alerts that were not there when this was first looked at. */
function useNews(newest: Runs | null, tell: StatusProps["alerted"]): void {
  const known = useRef<Set<string> | null>(null);
  useEffect(() => {
    if (newest === null) {
      return;
    }
    const before = known.current;
    known.current = new Set(before);
    newest.run_ids.forEach((run_id, row) => {
      for (const alert of alertsAt(newest, row)) {
        const name = `${run_id} ${alert.title}`;
        known.current?.add(name);
        if (before !== null && !before.has(name)) {
          tell(run_id, textAt(newest, "run_name", row), alert);
        }
      }
    });
  }, [newest]);
}

/** What to say of the runs: the running ones, else how the newest ended. */
function said(newest: Runs, running: number): string {
  const urgent = newest.run_ids.findIndex(
    (_, row) => textAt(newest, "status", row) === "RUNNING" && alertsAt(newest, row)[0],
  );
  if (urgent >= 0) {
    const name = shortened(textAt(newest, "run_name", urgent));
    return `${name}: ${shortened(gravest(alertsAt(newest, urgent))?.title ?? "")}`;
  }
  if (running > 0) {
    return trans._n("%1 run is running", "%1 runs are running", running);
  }
  const [name, status] = [textAt(newest, "run_name", 0), textAt(newest, "status", 0)];
  const result = status === "FINISHED" ? resultOf(newest, 0) : "";
  return `${shortened(name)}: ${result === "" ? statusText(status).toLowerCase() : result}`;
}

function Line({ runs, row, show }: { runs: Runs; row: number; show: () => void }) {
  const status = textAt(runs, "status", row);
  const started = Number(textAt(runs, "start_time", row));
  const ended = toNumber(findColumn(runs, "attribute", "end_time")?.values[row]);
  const name = textAt(runs, "run_name", row);
  return (
    <li>
      <button type="button" data-nbt="recent-run" data-first={row === 0 ? "" : undefined} title={name} onClick={show}>
        <StatusBadge status={status} />
        <b>{name === "" ? trans.__("(no name)") : name}</b>
        <span class="nbt-value">
          <AlertMark tag={alertTag(runs, row)} /> {resultOf(runs, row)}
        </span>
        <span class="nbt-meta">
          {status === "RUNNING" ? (
            trans.__("%1 so far", formatDuration(Date.now() - started))
          ) : (
            <Ago at={ended ?? started} />
          )}
        </span>
      </button>
    </li>
  );
}

interface RecentProps extends Pick<StatusProps, "open" | "page"> {
  anchor: Anchor;
  newest: Runs;
  close: () => void;
}

function Recent({ anchor, newest, close, open, page }: RecentProps) {
  const leave = (then: () => void) => () => {
    close();
    then();
  };
  return (
    <Popup anchor={anchor} label={trans.__("Newest runs")} name="recent-runs" close={close}>
      <ul class="nbt-recent">
        {newest.run_ids.map((run_id, row) => (
          <Line key={run_id} runs={newest} row={row} show={leave(() => page(run_id))} />
        ))}
      </ul>
      <div class="nbt-actions nbt-recent-all">
        <Button name="all-runs" label={trans.__("Show all runs")} onClick={leave(open)} />
      </div>
    </Popup>
  );
}

export function StatusItem({ client, state, open, page, alerted }: ViewProps & StatusProps) {
  const revision = state.revision.value;
  const running = useCall(client, { op: "runs", filter: "status = 'RUNNING'", columns: [], limit: 1 }, revision).answer;
  const newest = useCall(client, { op: "runs", limit: LISTED }, revision).answer;
  useNews(newest, alerted);
  const button = useRef<HTMLButtonElement>(null);
  const [anchor, setAnchor] = useState<Anchor | null>(null);
  if (newest === null || newest.run_ids.length === 0) {
    return null;
  }
  const count = running?.total ?? 0;
  const [name, status] = [textAt(newest, "run_name", 0), textAt(newest, "status", 0)];
  return (
    <>
      <button
        ref={button}
        type="button"
        class="nbt-status-item"
        data-nbt="status-item"
        aria-haspopup="dialog"
        aria-expanded={anchor !== null}
        title={trans.__("Newest run: %1. Click for the newest runs.", `${name} (${statusText(status)})`)}
        onClick={() => setAnchor(anchor === null ? anchorOf(button.current) : null)}
      >
        {alertsAt(newest, 0).length > 0 && status !== "FAILED" ? (
          <Icon name="warn" />
        ) : count > 0 ? (
          <span class="nbt-spinner" aria-hidden="true" />
        ) : (
          <Icon name={status === "FINISHED" ? "check" : status === "RUNNING" ? "play" : "warn"} />
        )}
        <span>{said(newest, count)}</span>
      </button>
      {anchor !== null && (
        <Recent anchor={anchor} newest={newest} close={() => setAnchor(null)} open={open} page={page} />
      )}
    </>
  );
}

export const mount = mounter<StatusProps>(StatusItem, {
  open: () => undefined,
  page: () => undefined,
  alerted: () => undefined,
});
