/** Shows the cards of cells that still run once more: their outputs went to a page that was closed meanwhile. */
import type { ICodeCellModel } from "@jupyterlab/cells";
import type { NotebookPanel } from "@jupyterlab/notebook";
import { findColumn } from "../rows";
import type { Surroundings } from "./panel";
import { connect } from "./server";
import { VIEW_MIME } from "./tokens";
import { isTracked, parseView } from "./view";

const MOST_RUNNING = 20;
const CELL_TAG = "nbtrack.cell";

/** The code cells that are tracked, by id. */
function trackedCells(panel: NotebookPanel): Map<string, ICodeCellModel> {
  const found = new Map<string, ICodeCellModel>();
  for (const { model } of panel.content.widgets) {
    if (model.type === "code" && isTracked(model.sharedModel.getSource())) {
      found.set(model.sharedModel.id, model as ICodeCellModel);
    }
  }
  return found;
}

function shows(model: ICodeCellModel, run_id: string): boolean {
  for (let i = 0; i < model.outputs.length; i++) {
    if (parseView(model.outputs.get(i).data[VIEW_MIME])?.run_ids?.[0] === run_id) {
      return true;
    }
  }
  return false;
}

export async function reattach(panel: NotebookPanel, surroundings: Surroundings, path: string): Promise<void> {
  await panel.context.ready;
  await panel.sessionContext.ready;
  const cells = trackedCells(panel);
  if (cells.size === 0 || !panel.sessionContext.session?.kernel) {
    return;
  }
  const client = connect({ ...surroundings, place: () => ({ path, store: null }), visible: () => true });
  const runs = await client.call({ op: "runs", filter: "attributes.status = 'RUNNING'", limit: MOST_RUNNING });
  const ids = findColumn(runs, "tag", CELL_TAG)?.values ?? [];
  const names = findColumn(runs, "attribute", "run_name")?.values ?? [];
  runs.run_ids.forEach((run_id, row) => {
    const model = cells.get(String(ids[row] ?? ""));
    if (model === undefined || shows(model, run_id) || panel.isDisposed) {
      return;
    }
    model.outputs.add({
      output_type: "display_data",
      data: {
        [VIEW_MIME]: { version: 1, view: "card", store: null, run_ids: [run_id] },
        "text/plain": `run ${String(names[row] ?? "")} (${run_id})`,
      },
      metadata: {},
    });
  });
}
