/** What asked for attention while a run went on: a list on its card and page, a mark in tables. */
import { ALERTS_TAG, type Alert, alertLines, alertsOf, gravest, type Level } from "../alerts";
import { formatNumber } from "../format";
import { trans } from "../i18n";
import type { RunDetail } from "../wire";
import { Ago, Icon, type IconName } from "./kit";

const ICON: Readonly<Record<Level, IconName>> = { info: "info", warn: "warn", error: "cross" };

const levelText = (level: Level): string =>
  level === "info" ? trans.__("Note") : level === "warn" ? trans.__("Warning") : trans.__("Error");

function Line({ alert }: { alert: Alert }) {
  return (
    <li class={`nbt-alert nbt-alert-${alert.level}`} data-nbt="alert" data-level={alert.level}>
      <Icon name={ICON[alert.level]} />
      <span class="nbt-alert-said">
        <span class="nbt-hidden">{levelText(alert.level)}: </span>
        <b>{alert.title}</b>
        {alert.text !== "" && <span class="nbt-alert-text">{alert.text}</span>}
      </span>
      <span class="nbt-meta">
        {alert.count > 1 && `${trans.__("%1 times", formatNumber(alert.count))} · `}
        {alert.last > 0 && <Ago at={alert.last} />}
      </span>
    </li>
  );
}

/** The alerts of a run. While it goes on, an empty list waits for the first, so that a screen reader hears of it. */
export function Alerts({ run }: { run: RunDetail }) {
  const alerts = alertsOf(run.tags[ALERTS_TAG]);
  if (alerts.length === 0 && run.status !== "RUNNING") {
    return null;
  }
  return (
    <div role="log" aria-live="polite" aria-label={trans.__("Alerts")}>
      {alerts.length > 0 && (
        <ul class="nbt-alerts" data-nbt="alerts">
          {alerts.map((alert) => (
            <Line key={alert.title} alert={alert} />
          ))}
        </ul>
      )}
    </div>
  );
}

/** A mark beside a run's name: the gravest level, and the titles for who points at it or hears it. */
export function AlertMark({ tag }: { tag: unknown }) {
  const alerts = alertsOf(tag);
  const worst = gravest(alerts);
  if (worst === undefined) {
    return null;
  }
  const lines = alertLines(alerts);
  return (
    <span class={`nbt-flag nbt-alert-mark nbt-alert-${worst.level}`} data-nbt="alert-mark" title={lines.join("\n")}>
      <Icon name={ICON[worst.level]} />
      {alerts.length > 1 && <span aria-hidden="true">{alerts.length}</span>}
      <span class="nbt-hidden">{trans._n("%1 alert: %2", "%1 alerts: %2", alerts.length, lines.join(", "))}</span>
    </span>
  );
}
