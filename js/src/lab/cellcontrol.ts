/** What a card in a notebook can do with the cell that it stands under: interrupt it, and run it again. */
import type { JupyterFrontEnd } from "@jupyterlab/application";
import type { NotebookPanel } from "@jupyterlab/notebook";
import { CallError } from "../client";
import { trans } from "../i18n";
import type { Control } from "../live";
import { loadMagic } from "./celltoolbar";
import { resumedSource } from "./view";

export function cellControl(app: JupyterFrontEnd, panel: NotebookPanel, node: HTMLElement): Control {
  return {
    // Not over a comm: the kernel is busy with the very cell that is to stop.
    stop: async () => {
      const kernel = panel.sessionContext.session?.kernel;
      if (!kernel) {
        throw new CallError({ code: "failed", message: trans.__("The notebook has no kernel to interrupt.") });
      }
      await kernel.interrupt();
    },
    resume: async (run_id) => {
      const index = panel.content.widgets.findIndex((cell) => cell.node.contains(node));
      const cell = panel.content.widgets[index];
      if (cell === undefined || cell.model.type !== "code" || panel.content.model?.readOnly === true) {
        throw new CallError({ code: "failed", message: trans.__("The cell of this card cannot be run again.") });
      }
      cell.model.sharedModel.setSource(resumedSource(cell.model.sharedModel.getSource(), run_id));
      panel.content.activeCellIndex = index;
      await loadMagic(panel, true);
      app.shell.activateById(panel.id);
      // Not awaited: it ends when the cell does.
      void app.commands.execute("notebook:run-cell");
    },
  };
}
