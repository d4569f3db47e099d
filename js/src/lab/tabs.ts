/** The tabs of the main area: comparisons and pages of runs; opened again with the layout. */
import type { ILayoutRestorer, JupyterFrontEnd } from "@jupyterlab/application";
import { MainAreaWidget, WidgetTracker } from "@jupyterlab/apputils";
import type { Widget } from "@lumino/widgets";
import type { Place } from "../clients/server";
import { trans } from "../i18n";
import { ComparePanel, PagePanel, type Surroundings } from "./panel";
import { COMPARE_ID, CommandIds, PAGE_ID, runsIcon } from "./tokens";

export class Tabs {
  private readonly comparisons = new WidgetTracker<MainAreaWidget<ComparePanel>>({ namespace: COMPARE_ID });
  private readonly pages = new WidgetTracker<MainAreaWidget<PagePanel>>({ namespace: PAGE_ID });
  private count = 0;

  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly surroundings: Surroundings,
  ) {}

  /** Open what was open before the page was reloaded. */
  restore(restorer: ILayoutRestorer): void {
    void restorer.restore(this.comparisons, {
      command: CommandIds.compare,
      args: ({ content: { place, run_ids } }) => ({ ...place, run_ids, restored: true }),
      name: (widget) => widget.id,
    });
    void restorer.restore(this.pages, {
      command: CommandIds.openRun,
      args: ({ content: { place, run_id } }) => ({ ...place, run_id, restored: true }),
      name: (widget) => widget.id,
    });
  }

  compare(place: Place, run_ids: string[] | null): void {
    const widget = new MainAreaWidget({ content: new ComparePanel(this.surroundings, place, run_ids) });
    widget.title.label = run_ids === null ? trans.__("All runs") : trans._n("%1 run", "%1 runs", run_ids.length);
    widget.title.caption = trans.__("Comparison of runs");
    void this.comparisons.add(this.named(widget, COMPARE_ID));
    this.show(widget);
  }

  /** Everything about one run; a page that is open already comes to the front. */
  page(place: Place, run_id: string, name = ""): void {
    const open = this.pages.find(({ content }) => content.run_id === run_id);
    if (open !== undefined) {
      this.app.shell.activateById(open.id);
      return;
    }
    const widget = new MainAreaWidget({ content: new PagePanel(this.surroundings, place, run_id) });
    widget.title.label = name || trans.__("Run %1", run_id.slice(-6));
    widget.title.caption = trans.__("Everything about a run");
    void this.pages.add(this.named(widget, PAGE_ID));
    this.show(widget);
  }

  private named<W extends Widget>(widget: W, id: string): W {
    this.count += 1;
    widget.id = `${id}-${Date.now().toString(36)}-${this.count}`;
    widget.title.icon = runsIcon;
    widget.title.closable = true;
    return widget;
  }

  private show(widget: Widget): void {
    const { shell } = this.app;
    shell.add(widget, "main");
    if (!widget.isAttached) {
      // Notebook 7 has room for one document only, and opens its lower area no higher than it must.
      widget.node.style.minHeight = "360px";
      shell.add(widget, "down");
    }
    shell.activateById(widget.id);
  }
}
