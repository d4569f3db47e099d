/** Tells of a run's alert where nobody would see it: its card is out of sight, or the page is. */
import { Notification } from "@jupyterlab/apputils";
import type { Alert } from "../alerts";
import { trans } from "../i18n";

const TYPE = { info: "info", warn: "warning", error: "error" } as const;

/** Whether the card or page of a run is on the screen, with its alerts. */
function isSeen(run_id: string): boolean {
  if (document.visibilityState === "hidden") {
    return false;
  }
  return [...document.querySelectorAll(`[data-run="${CSS.escape(run_id)}"] [data-nbt="alerts"]`)].some((list) => {
    const { top, bottom, width } = list.getBoundingClientRect();
    return width > 0 && bottom > 0 && top < window.innerHeight;
  });
}

/** Give the card the time to show it itself. */
const LOOK_MS = 1500;

export function notify(run_id: string, name: string, alert: Alert, show: () => void): void {
  setTimeout(() => {
    if (!isSeen(run_id)) {
      const text = alert.text === "" ? alert.title : `${alert.title}: ${alert.text}`;
      Notification.emit(`${name}: ${text}`, TYPE[alert.level], {
        autoClose: alert.level === "info" ? 8000 : false,
        actions: [{ label: trans.__("Show run"), callback: show }],
      });
    }
  }, LOOK_MS);
}
