/** The tabs of the main area: comparisons and pages of runs; opened again with the layout. */
import type { ILayoutRestorer, JupyterFrontEnd } from "@jupyterlab/application";
import { MainAreaWidget, WidgetTracker } from "@jupyterlab/apputils";
import { SplitPanel, TabPanel, type Widget } from "@lumino/widgets";
import type { Place } from "../clients/server";
import { trans } from "../i18n";
import { ComparePanel, PagePanel, type Surroundings } from "./panel";
import { COMPARE_ID, CommandIds, PAGE_ID, runsIcon } from "./tokens";

/** The same place and runs have the same name, also after a reload: that is how JupyterLab puts a tab back where it was. */
function nameOf({ path, store, stores }: Place, run_ids: readonly string[] | null): string {
  let hash = 5381;
  for (const character of JSON.stringify([path, store, run_ids, stores])) {
    hash = (hash * 33 + (character.codePointAt(0) ?? 0)) % 2 ** 48;
  }
  return hash.toString(36);
}

/** The lowest that a lower area may be, in px, before it is given half of the window. */
const LOWER_AREA_PX = 200;

/** Bring a tab to the front: also in the lower area, which Notebook 7 leaves flat, with the tab behind the others. */
function bringToFront({ shell }: JupyterFrontEnd, widget: Widget): void {
  const tabs = widget.parent?.parent;
  const below = tabs instanceof TabPanel ? tabs : null;
  const isFlat = below !== null && (below.isHidden || below.node.offsetHeight < LOWER_AREA_PX);
  shell.activateById(widget.id);
  if (below !== null) {
    below.currentWidget = widget;
    if (isFlat && below.parent instanceof SplitPanel) {
      below.parent.setRelativeSizes([1, 1]);
    }
  }
}

export class Tabs {
  private readonly comparisons = new WidgetTracker<MainAreaWidget<ComparePanel>>({ namespace: COMPARE_ID });
  private readonly pages = new WidgetTracker<MainAreaWidget<PagePanel>>({ namespace: PAGE_ID });

  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly surroundings: Surroundings,
  ) {}

  /** Open what was open before the page was reloaded. */
  restore(restorer: ILayoutRestorer): void {
    void restorer.restore(this.comparisons, {
      command: CommandIds.compare,
      args: ({ content: { place, run_ids } }) => ({ ...place, run_ids, restored: true }),
      name: ({ content: { place, run_ids } }) => nameOf(place, run_ids),
    });
    void restorer.restore(this.pages, {
      command: CommandIds.openRun,
      args: ({ content: { place, run_id }, title }) => ({ ...place, run_id, name: title.label, restored: true }),
      name: ({ content: { place, run_id } }) => nameOf(place, [run_id]),
    });
  }

  /** The comparison of some runs, or of all; one that is open already comes to the front. */
  compare(place: Place, run_ids: string[] | null): void {
    const name = nameOf(place, run_ids);
    const open = this.comparisons.find(({ content }) => nameOf(content.place, content.run_ids) === name);
    if (open !== undefined) {
      bringToFront(this.app, open);
      return;
    }
    const widget = new MainAreaWidget({ content: new ComparePanel(this.surroundings, place, run_ids) });
    widget.title.label = run_ids === null ? trans.__("All runs") : trans._n("%1 run", "%1 runs", run_ids.length);
    widget.title.caption = trans.__("Comparison of runs");
    widget.id = `${COMPARE_ID}-${name}`;
    void this.comparisons.add(widget);
    this.show(widget);
  }

  /** Everything about one run; a page that is open already comes to the front. */
  page(place: Place, run_id: string, name = ""): void {
    const open = this.pages.find(({ content }) => content.run_id === run_id);
    if (open !== undefined) {
      bringToFront(this.app, open);
      return;
    }
    const widget = new MainAreaWidget({ content: new PagePanel(this.surroundings, place, run_id) });
    widget.title.label = name || trans.__("Run %1", run_id.slice(-6));
    widget.title.caption = trans.__("Everything about a run");
    widget.id = `${PAGE_ID}-${nameOf(place, [run_id])}`;
    void this.pages.add(widget);
    this.show(widget);
  }

  private show(widget: Widget): void {
    const { shell } = this.app;
    widget.title.icon = runsIcon;
    widget.title.closable = true;
    shell.add(widget, "main");
    if (!widget.isAttached) {
      shell.add(widget, "down"); // Notebook 7 has room for one document only
    }
    bringToFront(this.app, widget);
  }
}
