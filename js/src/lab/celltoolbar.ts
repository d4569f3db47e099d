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
const AUTO = 'get_ipython().run_line_magic("track", "auto")';
const VERSION = '__import__("nbtrack").__version__';

/** What came of making `%%track` known: the kernel's version of nbtrack, null if it has none, "" if nobody can tell. */
export type Loaded = string | null;

/** Make `%%track` known to the notebook's kernel, without a trace in its history; `auto` tracks every cell that fits. */
export async function loadMagic(panel: NotebookPanel, tell: boolean, auto = false): Promise<Loaded> {
  await panel.sessionContext.ready;
  const kernel = panel.sessionContext.session?.kernel;
  if (!kernel) {
    return "";
  }
  const info = await kernel.info;
  if (info.language_info.name !== "python") {
    return "";
  }
  const reply = await kernel.requestExecute({
    code: auto ? `${LOAD}\n${AUTO}` : LOAD,
    silent: true,
    store_history: false,
    stop_on_error: false,
    user_expressions: { version: VERSION },
  }).done;
  const { content } = reply;
  if (content.status === "ok") {
    const said = (content.user_expressions?.version as { data?: Record<string, string> } | undefined)?.data;
    return said?.["text/plain"]?.replace(/^'|'$/g, "") ?? "";
  }
  const missing = content.status === "error" && content.ename === "ModuleNotFoundError";
  if (content.status === "error" && tell) {
    Notification.warning(
      missing
        ? trans.__("The kernel has no nbtrack, so %%track will not work. Run %pip install nbtrack in a cell.")
        : trans.__(
            "nbtrack could not be loaded in the kernel: %1",
            `${content.ename}: ${content.evalue}`.slice(0, 100),
          ),
      { autoClose: 8000 },
    );
  }
  return missing ? null : "";
}

/** The line that was taken out of a cell, so that its name and tags come back when tracking does. */
const removed = new WeakMap<object, string>();

export async function toggleTrack(tracker: INotebookTracker): Promise<Loaded> {
  const cell = trackedCell(tracker);
  const panel = tracker.currentWidget;
  if (cell === null || panel === null || panel.content.model?.readOnly === true) {
    return "";
  }
  const shared = cell.model.sharedModel;
  const before = shared.getSource();
  if (isTracked(before)) {
    removed.set(shared, trackLine(before));
  }
  const source = toggledSource(before, removed.get(shared));
  shared.setSource(source);
  return isTracked(source) ? loadMagic(panel, true) : "";
}
