/** Brings the outputs that a notebook keeps to life through the server: no kernel is needed, and nothing is lost without us. */
import type { IRenderMime, IRenderMimeRegistry } from "@jupyterlab/rendermime";
import { Widget } from "@lumino/widgets";
import { isVisible } from "../client";
import type { ServerClient } from "../clients/server";
import { mount as mountCompare } from "../components/Compare";
import { mount as mountCard } from "../components/RunCard";
import { createState } from "../state";
import type { Surroundings } from "./panel";
import { connect } from "./server";
import { VIEW_MIME } from "./tokens";

/** What an output of ours says of itself. */
interface ViewData {
  view: "card" | "compare";
  store: string | null;
  run_ids: string[] | null;
  filter: string;
  experiment: string | null;
}

/** The data of an output, checked: a notebook may come from anywhere. */
export function parseView(data: unknown): ViewData | null {
  if (typeof data !== "object" || data === null) {
    return null;
  }
  const { version, view, store, run_ids, filter, experiment } = data as Record<string, unknown>;
  if (version !== 1 || (view !== "card" && view !== "compare")) {
    return null;
  }
  const ids = Array.isArray(run_ids) && run_ids.every((id) => typeof id === "string") ? (run_ids as string[]) : null;
  if (view === "card" && ids?.length !== 1) {
    return null;
  }
  return {
    view,
    store: typeof store === "string" && store !== "" ? store : null,
    run_ids: ids,
    filter: typeof filter === "string" ? filter : "",
    experiment: typeof experiment === "string" ? experiment : null,
  };
}

class ViewRenderer extends Widget implements IRenderMime.IRenderer {
  private fallback: IRenderMime.IRenderer | null = null;
  private end: () => void = () => undefined;
  private shown = "";

  constructor(
    private readonly surroundings: Surroundings,
    private readonly rendermime: IRenderMimeRegistry,
    private readonly path: () => string,
    private readonly options: IRenderMime.IRendererOptions,
  ) {
    super();
    this.addClass("nbt-output");
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const said = JSON.stringify(model.data[VIEW_MIME]);
    if (said === this.shown) {
      return;
    }
    this.shown = said;
    this.end();
    await this.showFallback(model);
    const view = parseView(model.data[VIEW_MIME]);
    if (view !== null) {
      this.end = this.whenSeen(() => void this.goLive(view));
    }
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this.end();
      this.fallback?.dispose();
    }
    super.dispose();
  }

  /** What was saved, as it would look without us. */
  private async showFallback(model: IRenderMime.IMimeModel): Promise<void> {
    const type = ["text/html", "text/plain"].find((one) => one in model.data);
    const factory = type === undefined ? undefined : this.rendermime.getFactory(type);
    if (type === undefined || factory === undefined) {
      return;
    }
    this.fallback?.dispose();
    const { sanitizer, linkHandler, latexTypesetter, markdownParser } = this.rendermime;
    const { resolver } = this.options;
    const made = factory.createRenderer({
      mimeType: type,
      resolver,
      sanitizer,
      linkHandler,
      latexTypesetter,
      markdownParser,
    });
    this.fallback = made;
    await made.renderModel(model);
    this.node.replaceChildren(made.node);
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

  private async goLive(view: ViewData): Promise<void> {
    const place = { path: this.path(), store: view.store };
    const client: ServerClient = connect({
      ...this.surroundings,
      place: () => place,
      visible: () => isVisible(this.node),
    });
    const asked = this.shown;
    try {
      // Only what the server can answer goes live; else what was saved stays, without an error.
      if (view.view === "card") {
        await client.call({ op: "run", run_id: view.run_ids?.[0] ?? "" });
      } else {
        const { run_ids, filter, experiment } = view;
        const runs = await client.call({ op: "runs", run_ids, filter, experiment, limit: 1 });
        if (runs.run_ids.length === 0) {
          return;
        }
      }
    } catch {
      return;
    }
    if (this.isDisposed || asked !== this.shown) {
      return;
    }
    const live = document.createElement("div");
    const dispose =
      view.view === "card"
        ? mountCard(live, client, createState(client, { run_ids: view.run_ids }), { run_id: view.run_ids?.[0] ?? "" })
        : mountCompare(
            live,
            client,
            createState(client, { run_ids: view.run_ids, query: view.filter, experiment: view.experiment }),
          );
    this.node.replaceChildren(live);
    this.end = dispose;
  }
}

/** The renderer of our outputs. Widgets (rank −10) come first where they live, plain HTML (rank 50) after us. */
export function viewFactory(
  surroundings: Surroundings,
  rendermime: IRenderMimeRegistry,
  current: () => string,
): IRenderMime.IRendererFactory {
  return {
    safe: true,
    mimeTypes: [VIEW_MIME],
    defaultRank: 10,
    createRenderer: (options) => {
      // The resolver of a notebook's outputs knows the notebook; its type does not say so.
      const resolver = options.resolver as { path?: unknown } | null;
      const path = (): string => (typeof resolver?.path === "string" ? resolver.path : current());
      return new ViewRenderer(surroundings, rendermime, path, options);
    },
  };
}
