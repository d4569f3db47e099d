/** Brings the outputs that a notebook keeps to life through the server: no kernel is needed, and nothing is lost without us. */
import type { IRenderMime, IRenderMimeRegistry } from "@jupyterlab/rendermime";
import { Panel, Widget } from "@lumino/widgets";
import { type Signal, signal } from "@preact/signals";
import { failureOf, isVisible } from "../client";
import { mount as mountCompare } from "../components/Compare";
import { mount as mountCard } from "../components/RunCard";
import { mountOne as mountServer } from "../components/ServeCard";
import type { Control, Live } from "../live";
import { createState } from "../state";
import { type WidgetLife, widgetOf } from "./outputs";
import type { Surroundings } from "./panel";
import { connect } from "./server";
import { VIEW_MIME, WIDGET_MIME } from "./tokens";
import { parseView, type ViewData } from "./view";

/** What a renderer needs of the notebook it stands in. */
export interface Stand {
  surroundings: Surroundings;
  rendermime: IRenderMimeRegistry;
  /** The notebook's path in the server. */
  path: () => string;
  life: WidgetLife;
  /** What the notebook can do for a run's card, given the node that it stands in. */
  control: (node: HTMLElement) => Control;
}

/** How long to wait before a server is asked once more that did not answer. */
const WAITS_MS = [400, 1500, 5000, 15_000];

/** Ask; if nobody answers, as while a page loads or a server restarts, ask again. A refusal is an answer. */
async function patiently(ask: () => Promise<boolean>, wanted: () => boolean): Promise<boolean> {
  for (const wait of [...WAITS_MS, null]) {
    try {
      return await ask();
    } catch (error) {
      if (wait === null || failureOf(error).code !== "unreachable") {
        return false;
      }
      await new Promise((done) => setTimeout(done, wait));
      if (!wanted()) {
        return false;
      }
    }
  }
  return false;
}

/** Shows, of what an output holds, the most that can be had: the widget, else a view through the server, else what was saved. */
class ViewRenderer extends Panel implements IRenderMime.IRenderer {
  private model: IRenderMime.IMimeModel | null = null;
  private end: () => void = () => undefined;
  private turn = 0;
  /** What the cell of a card says of itself while it runs; null once it has ended. */
  private readonly live: Signal<Live | null> = signal(null);
  /** Whether a live view is on the screen, and how it asks the store again. */
  private mounted = false;
  private refresh: () => void = () => undefined;

  constructor(
    private readonly stand: Stand,
    private readonly options: IRenderMime.IRendererOptions,
  ) {
    super();
    this.addClass("nbt-output");
    stand.life.ended.connect(this.again, this);
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const before = this.model?.data;
    const was = parseView(before?.[VIEW_MIME]);
    const view = parseView(model.data[VIEW_MIME]);
    this.model = model;
    this.live.value = view?.live ?? null;
    if (view?.view === "card" && was?.view === "card" && view.run_ids?.[0] === was.run_ids?.[0]) {
      // An update of the same card: one that is live takes it in by itself, and one on its way there is not held up.
      if (!this.mounted) {
        await this.showSaved(model, () => this.model === model && !this.mounted && !this.isDisposed);
      } else if (was.live !== null && view.live === null) {
        this.refresh();
      }
      return;
    }
    if (before === undefined || JSON.stringify(before) !== JSON.stringify(model.data)) {
      await this.present(model);
    }
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this.stand.life.ended.disconnect(this.again, this);
      this.turn += 1;
      this.end();
    }
    super.dispose();
  }

  private again(): void {
    if (this.model !== null && widgetOf(this.model.data) !== "") {
      void this.present(this.model);
    }
  }

  private async present(model: IRenderMime.IMimeModel): Promise<void> {
    this.turn += 1;
    const { turn } = this;
    const current = (): boolean => turn === this.turn && !this.isDisposed;
    this.end();
    this.end = () => undefined;
    this.mounted = false;
    await this.showSaved(model, current);
    const widget = widgetOf(model.data);
    void (widget === "" ? Promise.resolve(false) : this.stand.life.alive(widget).catch(() => false)).then(
      async (alive) => {
        if (!current() || (alive && (await this.showAs(WIDGET_MIME, withWidget(model, widget), current)))) {
          return;
        }
        const view = parseView(model.data[VIEW_MIME]);
        if (view !== null) {
          this.end = this.whenSeen(() => void this.goLive(view, current));
        }
      },
    );
  }

  private async showSaved(model: IRenderMime.IMimeModel, current: () => boolean): Promise<void> {
    const saved = ["text/html", "text/plain"].find((type) => type in model.data);
    if (saved !== undefined) {
      await this.showAs(saved, model, current);
    }
  }

  /** Show one of the other forms that the output holds, as its own renderer does; false if nothing here can. */
  private async showAs(type: string, model: IRenderMime.IMimeModel, current: () => boolean): Promise<boolean> {
    const factory = this.stand.rendermime.getFactory(type);
    if (factory === undefined) {
      return false;
    }
    const made = factory.createRenderer({ ...this.options, mimeType: type });
    await made.renderModel(model);
    if (!current()) {
      made.dispose();
      return false;
    }
    this.replace(made);
    return true;
  }

  private replace(widget: Widget): void {
    const before = [...this.widgets];
    this.addWidget(widget);
    for (const old of before) {
      old.dispose();
    }
  }

  /** Wait until the output scrolls into sight: a notebook may hold hundreds. */
  private whenSeen(act: () => void): () => void {
    const observer = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) {
        observer.disconnect();
        act();
      }
    });
    observer.observe(this.node);
    return () => observer.disconnect();
  }

  private async goLive(view: ViewData, current: () => boolean): Promise<void> {
    const place = { path: this.stand.path(), store: view.store, stores: view.stores };
    const visible = (): boolean => isVisible(this.node);
    const client = connect({ ...this.stand.surroundings, place: () => place, visible });
    const { run_ids, filter, experiment } = view;
    const run_id = run_ids?.[0] ?? "";
    // Only what the server can answer goes live; else what was saved stays, without an error.
    const answers = async (): Promise<boolean> => {
      if (view.view === "card") {
        await client.call({ op: "run", run_id });
      } else if (view.view === "server") {
        await client.call({ op: "servers" });
      } else {
        return (await client.call({ op: "runs", run_ids, filter, experiment, limit: 1 })).run_ids.length > 0;
      }
      return true;
    };
    if (!(await patiently(answers, current))) {
      return;
    }
    if (current()) {
      const live = new Widget();
      this.replace(live);
      const state = createState(client, { run_ids, query: filter, experiment, table: view.view === "compare" });
      this.mounted = true;
      this.refresh = () => state.refresh();
      this.end =
        view.view === "card"
          ? mountCard(live.node, client, state, {
              run_id,
              live: this.live,
              control: this.stand.control(this.node),
            })
          : view.view === "server"
            ? mountServer(live.node, client, state, { server_id: view.server_id ?? "" })
            : mountCompare(live.node, client, state);
    }
  }
}

/** An output as the widget's own renderer wants it: the widget is no part of what the notebook keeps. */
function withWidget(model: IRenderMime.IMimeModel, model_id: string): IRenderMime.IMimeModel {
  return {
    trusted: model.trusted,
    metadata: model.metadata,
    data: { ...model.data, [WIDGET_MIME]: { version_major: 2, version_minor: 0, model_id } },
    setData: (options) => model.setData(options),
  };
}

/** The renderer of our outputs. Its rank puts it before that of widgets (−10), for it decides itself whether one lives. */
export const VIEW_RANK = -20;

export function viewFactory(stand: Stand): IRenderMime.IRendererFactory {
  return {
    safe: true,
    mimeTypes: [VIEW_MIME],
    createRenderer: (options) => new ViewRenderer(stand, options),
  };
}
