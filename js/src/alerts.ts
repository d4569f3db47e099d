/** What asked for attention while a run went on, as its tag holds it. Pure. */
import { trans } from "./i18n";

export const ALERTS_TAG = "nbtrack.alerts";
export const ALERTS_ID = `tag:${ALERTS_TAG}`;

export type Level = "info" | "warn" | "error";

export interface Alert {
  title: string;
  text: string;
  level: Level;
  /** When it came first and last, in ms since 1970 UTC. */
  at: number;
  last: number;
  count: number;
}

const LEVELS: readonly Level[] = ["info", "warn", "error"];
const MOST = 13;
const whole = (value: unknown, otherwise: number): number => (Number.isInteger(value) ? (value as number) : otherwise);

/** The alerts of a tag in their order; none of what is no such list, as anybody may write tags. */
export function alertsOf(tag: unknown): Alert[] {
  if (typeof tag !== "string" || tag === "") {
    return [];
  }
  let rows: unknown;
  try {
    rows = JSON.parse(tag);
  } catch {
    return [];
  }
  return (Array.isArray(rows) ? rows.slice(0, MOST) : []).flatMap((row: Record<string, unknown> | null) => {
    if (typeof row?.title !== "string") {
      return [];
    }
    const at = whole(row.at, 0);
    return [
      {
        title: row.title,
        text: typeof row.text === "string" ? row.text : "",
        level: LEVELS.find((one) => one === row.level) ?? "warn",
        at,
        last: whole(row.last, at),
        count: Math.max(1, whole(row.count, 1)),
      },
    ];
  });
}

/** The gravest of some alerts, the first of those that are. */
export const gravest = (alerts: readonly Alert[]): Alert | undefined =>
  [...alerts].sort((a, b) => LEVELS.indexOf(b.level) - LEVELS.indexOf(a.level))[0];

/** Alerts in one line each, for a title or a screen reader. */
export const alertLines = (alerts: readonly Alert[]): string[] =>
  alerts.map((one) => (one.count > 1 ? trans.__("%1 (%2 times)", one.title, one.count) : one.title));
