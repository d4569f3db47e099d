/** After a reload or a restart, widgets in saved outputs are gone: show what the same output kept beside them instead. */
import type { CodeCell } from "@jupyterlab/cells";
import type { NotebookPanel } from "@jupyterlab/notebook";
import { VIEW_MIME, WIDGET_MIME } from "./tokens";

async function liveWidgets(panel: NotebookPanel): Promise<ReadonlySet<string>> {
  const kernel = panel.sessionContext.session?.kernel;
  if (!kernel) {
    return new Set();
  }
  const reply = await kernel.requestCommInfo({ target_name: "jupyter.widget" });
  return new Set(reply.content.status === "ok" ? Object.keys(reply.content.comms) : []);
}

function modelId(data: unknown): string {
  const id = typeof data === "object" && data !== null ? (data as { model_id?: unknown }).model_id : undefined;
  return typeof id === "string" ? id : "";
}

/** Take the widget out of our outputs whose widget no longer lives. The notebook does not count as changed by that. */
export async function dropDeadWidgets(panel: NotebookPanel): Promise<void> {
  await panel.context.ready;
  await panel.sessionContext.ready;
  const live = await liveWidgets(panel);
  if (panel.isDisposed) {
    return;
  }
  const { model } = panel.context;
  const { dirty } = model;
  for (const cell of panel.content.widgets) {
    if (cell.model.type !== "code") {
      continue;
    }
    const { outputs } = (cell as CodeCell).model;
    for (let i = 0; i < outputs.length; i++) {
      const output = outputs.get(i);
      const { [WIDGET_MIME]: widget, ...rest } = output.data;
      if (widget !== undefined && VIEW_MIME in rest && !live.has(modelId(widget))) {
        output.setData({ data: rest });
      }
    }
  }
  model.dirty = dirty;
}
