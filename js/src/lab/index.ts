/** The JupyterLab extension: wires the panel, the commands, the cell toggle and the outputs together. */
import "../../style/index.css";
import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette, MainAreaWidget, WidgetTracker } from "@jupyterlab/apputils";
import { INotebookTracker, NotebookActions, type NotebookPanel } from "@jupyterlab/notebook";
import { ISettingRegistry } from "@jupyterlab/settingregistry";
import { ITranslator } from "@jupyterlab/translation";
import type { Place } from "../clients/server";
import { setTranslator, trans } from "../i18n";
import type { Control } from "../live";
import { cellControl } from "./cellcontrol";
import { hasTrackedCell, loadMagic, trackedCell } from "./celltoolbar";
import { addCommands } from "./commands";
import { VIEW_RANK, viewFactory } from "./mime";
import { namedStore, WidgetLife } from "./outputs";
import { ComparePanel, RunsPanel, type Surroundings } from "./panel";
import { COMPARE_ID, CommandIds, PLUGIN_ID, runsIcon } from "./tokens";
import { isTracked } from "./view";

interface Options {
  refreshSeconds: number;
  loadMagic: boolean;
}

/** The user's settings, kept current; the defaults where there is no settings registry. */
async function readSettings(registry: ISettingRegistry | null, options: Options): Promise<void> {
  const settings = await registry?.load(PLUGIN_ID);
  const read = (): void => {
    const { refreshSeconds, loadMagic } = settings?.composite ?? {};
    options.refreshSeconds = typeof refreshSeconds === "number" ? Math.max(0.5, refreshSeconds) : 2;
    options.loadMagic = loadMagic !== false;
  };
  read();
  settings?.changed.connect(read);
}

/** Keep the toggle in the cell toolbar true to the active cell and its text. */
function watchCells(app: JupyterFrontEnd, tracker: INotebookTracker): void {
  let unwatch: () => void = () => undefined;
  tracker.activeCellChanged.connect(() => {
    unwatch();
    const cell = trackedCell(tracker);
    let before = isTracked(cell?.model.sharedModel.getSource() ?? "");
    const changed = (): void => {
      const now = isTracked(cell?.model.sharedModel.getSource() ?? "");
      if (now !== before) {
        before = now;
        app.commands.notifyCommandChanged(CommandIds.toggleTrack);
      }
    };
    cell?.model.sharedModel.changed.connect(changed);
    unwatch = () => cell?.model.sharedModel.changed.disconnect(changed);
    app.commands.notifyCommandChanged(CommandIds.toggleTrack);
  });
}

/** What every opened notebook gets: our outputs brought to life, and the magic wherever a cell wants it. */
function watchNotebook(app: JupyterFrontEnd, panel: NotebookPanel, surroundings: Surroundings, options: Options): void {
  const { rendermime } = panel.content;
  const path = (): string => app.serviceManager.contents.localPath(panel.context.path);
  const control = (node: HTMLElement): Control => cellControl(app, panel, node);
  const life = new WidgetLife(panel);
  rendermime.addFactory(viewFactory({ surroundings, rendermime, path, life, control }), VIEW_RANK);
  const onKernel = (): void => {
    if (options.loadMagic && hasTrackedCell(panel)) {
      void loadMagic(panel, false).catch(() => undefined);
    }
  };
  void panel.context.ready.then(onKernel);
  panel.sessionContext.kernelChanged.connect(onKernel);
  panel.sessionContext.statusChanged.connect((_, status) => {
    if (status === "restarting" || status === "autorestarting") {
      onKernel();
    }
  });
}

const plugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description: "Runs, registered models and model servers of the notebook's store.",
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ICommandPalette, ILayoutRestorer, ISettingRegistry, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    registry: ISettingRegistry | null,
    translator: ITranslator | null,
  ) => {
    if (translator !== null) {
      setTranslator(translator.load("nbtrack"));
    }
    const options: Options = { refreshSeconds: 2, loadMagic: true };
    void readSettings(registry, options).catch(() => undefined); // an unreadable setting leaves the default
    const surroundings: Surroundings = {
      settings: app.serviceManager.serverSettings,
      interval_ms: () => options.refreshSeconds * 1000,
    };
    const localPath = (): string => app.serviceManager.contents.localPath(tracker.currentWidget?.context.path ?? "");

    const tabs = new WidgetTracker<MainAreaWidget<ComparePanel>>({ namespace: COMPARE_ID });
    let count = 0;
    const compare = (place: Place, run_ids: string[] | null): void => {
      const content = new ComparePanel(surroundings, place, run_ids);
      const widget = new MainAreaWidget({ content });
      count += 1;
      widget.id = `${COMPARE_ID}-${count}`;
      widget.title.label = run_ids === null ? trans.__("All runs") : trans._n("%1 run", "%1 runs", run_ids.length);
      widget.title.icon = runsIcon;
      widget.title.caption = trans.__("Comparison of runs");
      widget.title.closable = true;
      void tabs.add(widget);
      app.shell.add(widget, "main");
      if (!widget.isAttached) {
        // Notebook 7 has room for one document only, and opens its lower area no higher than it must.
        widget.node.style.minHeight = "360px";
        app.shell.add(widget, "down");
      }
      app.shell.activateById(widget.id);
    };

    const panel = new RunsPanel(surroundings, compare);
    app.shell.add(panel, "left", { rank: 600, type: "nbtrack" });
    restorer?.add(panel, panel.id);
    const follow = (): void => {
      const notebook = tracker.currentWidget;
      if (notebook !== null) {
        panel.follow({ path: localPath(), store: namedStore(notebook) });
      }
    };
    tracker.currentChanged.connect(() => {
      follow();
      void tracker.currentWidget?.context.ready.then(follow);
    });
    NotebookActions.executed.connect(follow); // a cell may have chosen another store
    tracker.widgetAdded.connect((_, notebook) => watchNotebook(app, notebook, surroundings, options));
    watchCells(app, tracker);
    addCommands({ app, tracker, panel, palette, compare });
  },
};

export default plugin;
