/** The Track toggle of a cell: a `%%track` line, and a kernel that understands it. */
import { Notification } from "@jupyterlab/apputils";
import type { Cell } from "@jupyterlab/cells";
import type { INotebookTracker, NotebookPanel } from "@jupyterlab/notebook";
import { trans } from "../i18n";
import { isTracked, toggledSource, trackLine } from "./view";

export function trackedCell(tracker: INotebookTracker): Cell | null {
  const cell = tracker.activeCell;
  return cell !== null && cell.model.type === "code" ? cell : null;
}

export function hasTrackedCell(panel: NotebookPanel): boolean {
  return panel.content.widgets.some(
    (cell) => cell.model.type === "code" && isTracked(cell.model.sharedModel.getSource()),
  );
}

// Not %load_ext: a later %load_ext in a cell would then say "already loaded". To load twice changes nothing.
const LOAD = '__import__("nbtrack").load_ipython_extension(get_ipython())';

/** Make `%%track` known to the notebook's kernel, without a trace in its history. */
export async function loadMagic(panel: NotebookPanel, tell: boolean): Promise<void> {
  await panel.sessionContext.ready;
  const kernel = panel.sessionContext.session?.kernel;
  if (!kernel) {
    return;
  }
  const info = await kernel.info;
  if (info.language_info.name !== "python") {
    return;
  }
  const reply = await kernel.requestExecute({ code: LOAD, silent: true, store_history: false, stop_on_error: false })
    .done;
  if (reply.content.status === "error" && tell) {
    const missing = reply.content.ename === "ModuleNotFoundError";
    Notification.warning(
      missing
        ? trans.__("The kernel has no nbtrack, so %%track will not work. Run %pip install nbtrack in a cell.")
        : trans.__(
            "nbtrack could not be loaded in the kernel: %1",
            `${reply.content.ename}: ${reply.content.evalue}`.slice(0, 100),
          ),
      { autoClose: 8000 },
    );
  }
}

/** The line that was taken out of a cell, so that its name and tags come back when tracking does. */
const removed = new WeakMap<object, string>();

export async function toggleTrack(tracker: INotebookTracker): Promise<void> {
  const cell = trackedCell(tracker);
  const panel = tracker.currentWidget;
  if (cell === null || panel === null || panel.content.model?.readOnly === true) {
    return;
  }
  const shared = cell.model.sharedModel;
  const before = shared.getSource();
  if (isTracked(before)) {
    removed.set(shared, trackLine(before));
  }
  const source = toggledSource(before, removed.get(shared));
  shared.setSource(source);
  if (isTracked(source)) {
    await loadMagic(panel, true);
  }
}
