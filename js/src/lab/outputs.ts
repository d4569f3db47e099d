/** Which widgets in a notebook's outputs live: those of this session do, those that were saved must be asked about. */
import type { ICodeCellModel } from "@jupyterlab/cells";
import type { NotebookPanel } from "@jupyterlab/notebook";
import type { IOutputModel } from "@jupyterlab/rendermime";
import { Signal } from "@lumino/signaling";
import { VIEW_MIME, WIDGET_MIME } from "./tokens";
import { parseView } from "./view";

/** The live widget that belongs to an output of ours, or "" if it has none. */
export function widgetOf(data: Readonly<Record<string, unknown>>): string {
  const widget = data[WIDGET_MIME]; // older notebooks hold it in the same output
  const id = typeof widget === "object" && widget !== null ? (widget as { model_id?: unknown }).model_id : undefined;
  return typeof id === "string" ? id : (parseView(data[VIEW_MIME])?.widget ?? "");
}

/** All outputs of a notebook, from top to bottom. */
function savedOutputs(panel: NotebookPanel): IOutputModel[] {
  return [...(panel.content.model?.cells ?? [])].flatMap((cell) => {
    const { outputs } = cell as Partial<ICodeCellModel>;
    return Array.from({ length: outputs?.length ?? 0 }, (_, i) => outputs?.get(i)).filter((one) => one !== undefined);
  });
}

/** The store that the notebook's newest output of ours names; null if none does, and its folder decides. */
export function namedStore(panel: NotebookPanel): string | null {
  for (const { data } of savedOutputs(panel).reverse()) {
    const view = data[VIEW_MIME];
    const store = typeof view === "object" && view !== null ? (view as { store?: unknown }).store : undefined;
    if (typeof store === "string" && store !== "") {
      return store;
    }
  }
  return null;
}

const PATIENCE_MS = 2000;

export class WidgetLife {
  /** Emitted when a kernel went away, and all its widgets with it. */
  readonly ended = new Signal<this, void>(this);
  private readonly saved = new Set<string>();
  private readonly loaded: Promise<void>;
  private asked: Promise<ReadonlySet<string>> | null = null;

  constructor(private readonly panel: NotebookPanel) {
    this.loaded = panel.context.ready.then(() => this.remember());
    panel.sessionContext.kernelChanged.connect((_, { oldValue }) => {
      if (oldValue !== null) {
        this.end();
      }
    });
    panel.sessionContext.statusChanged.connect((_, status) => {
      if (status === "restarting" || status === "autorestarting" || status === "dead") {
        this.end();
      }
    });
  }

  /** Whether a widget can be shown. One made in this session can; a busy kernel is not asked about those. */
  async alive(model_id: string): Promise<boolean> {
    await this.loaded;
    if (!this.saved.has(model_id)) {
      return true;
    }
    // A notebook may stay without a kernel for ever, and a busy kernel answers late: the server can show the view meanwhile.
    const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), PATIENCE_MS));
    return Promise.race([this.ask(model_id), late]);
  }

  private async ask(model_id: string): Promise<boolean> {
    await this.panel.sessionContext.ready;
    const kernel = this.panel.sessionContext.session?.kernel;
    if (!kernel) {
      return false;
    }
    this.asked ??= kernel
      .requestCommInfo({ target_name: "jupyter.widget" })
      .then(({ content }) => new Set(content.status === "ok" ? Object.keys(content.comms) : []));
    return (await this.asked).has(model_id);
  }

  private end(): void {
    this.asked = null;
    this.remember();
    this.ended.emit();
  }

  /** From now on, widgets in today's outputs count as saved ones. Read from the model: cells may not be drawn yet. */
  private remember(): void {
    for (const { data } of savedOutputs(this.panel)) {
      const id = widgetOf(data);
      if (id !== "") {
        this.saved.add(id);
      }
    }
  }
}
