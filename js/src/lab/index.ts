/** The JupyterLab extension: wires the panels, the commands, the cell toggle and the outputs together. */
import "../../style/index.css";
import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette } from "@jupyterlab/apputils";
import { INotebookTracker, NotebookActions, type NotebookPanel } from "@jupyterlab/notebook";
import { ISettingRegistry } from "@jupyterlab/settingregistry";
import { IStatusBar } from "@jupyterlab/statusbar";
import { ITranslator } from "@jupyterlab/translation";
import { computed, effect, type Signal } from "@preact/signals";
import { ServerClient } from "../clients/server";
import { dress } from "../dress";
import { setTranslator } from "../i18n";
import type { Control } from "../live";
import { notify } from "./alerts";
import { cellControl } from "./cellcontrol";
import { hasTrackedCell, type Loaded, loadMagic, trackedCell } from "./celltoolbar";
import { addCommands } from "./commands";
import { VIEW_RANK, viewFactory } from "./mime";
import { namedStore, WidgetLife } from "./outputs";
import { InspectorPanel, RunsPanel, StatusLine, type Surroundings } from "./panel";
import { reattach } from "./reattach";
import { keepStores, type Settings, settingsOf } from "./settings";
import { Tabs } from "./tabs";
import { CommandIds, PLUGIN_ID } from "./tokens";
import { mismatchOf } from "./versions";
import { isTracked } from "./view";

/** The parts that the user sees, which follow the notebook in front. */
interface Parts {
  app: JupyterFrontEnd;
  tracker: INotebookTracker;
  panel: RunsPanel;
  inspector: InspectorPanel;
  status: StatusLine;
  settings: Signal<Settings>;
  surroundings: Surroundings;
}

/** Keep the toggle in the cell toolbar and the inspector true to the active cell and its text. */
function watchCells({ app, tracker, inspector }: Parts): void {
  let unwatch: () => void = () => undefined;
  const tell = (): void => {
    const cell = trackedCell(tracker);
    const count =
      cell?.model.type === "code" ? (cell.model as { executionCount?: number | null }).executionCount : null;
    inspector.cell.value =
      cell === null
        ? null
        : {
            id: cell.model.id,
            tracked: isTracked(cell.model.sharedModel.getSource()),
            name: `[${typeof count === "number" ? count : " "}]`,
          };
    app.commands.notifyCommandChanged(CommandIds.toggleTrack);
  };
  const follow = (): void => {
    unwatch();
    const cell = trackedCell(tracker);
    cell?.model.sharedModel.changed.connect(tell);
    unwatch = () => cell?.model.sharedModel.changed.disconnect(tell);
    tell();
  };
  tracker.activeCellChanged.connect(follow);
  tracker.currentChanged.connect(follow);
  NotebookActions.executed.connect(tell);
}

/** Say in the panel where two environments do not go together; asks the server once which it is. */
function versionTeller({ panel }: Parts): (loaded: Loaded) => void {
  let server: Promise<string> | null = null;
  return (loaded) => {
    if (loaded === "") {
      return;
    }
    server ??= panel.client.health().catch(() => {
      server = null; // without an answer there is nothing to compare with; the panel says itself what is wrong
      return "";
    });
    void server.then((version) => {
      panel.mismatch.value = version === "" ? "" : mismatchOf(version, loaded);
    });
  };
}

/** What every opened notebook gets: our outputs brought to life, and the magic wherever a cell wants it. */
function watchNotebook(parts: Parts, notebook: NotebookPanel, tell: (loaded: Loaded) => void): void {
  const { app, settings, surroundings } = parts;
  const { rendermime } = notebook.content;
  const path = (): string => app.serviceManager.contents.localPath(notebook.context.path);
  const control = (node: HTMLElement): Control => cellControl(app, notebook, node);
  const life = new WidgetLife(notebook);
  rendermime.addFactory(viewFactory({ surroundings, rendermime, path, life, control }), VIEW_RANK);
  const onKernel = (): void => {
    const { loadMagic: wanted, trackFits } = settings.value;
    if (trackFits || (wanted && hasTrackedCell(notebook))) {
      loadMagic(notebook, false, trackFits).then(tell, () => undefined);
    }
  };
  void notebook.context.ready.then(onKernel);
  void reattach(notebook, surroundings, path()).catch(() => undefined); // no store, no server: nothing to show again
  notebook.sessionContext.kernelChanged.connect(onKernel);
  notebook.sessionContext.statusChanged.connect((_, status) => {
    if (status === "restarting" || status === "autorestarting") {
      onKernel();
    }
  });
}

/** The notebook's own store and those beside it, as the server is asked for them: by their paths from the notebook. */
function storesBeside(path: string, store: string | null, more: readonly string[]): string[] | undefined {
  const up = "../".repeat(path.split("/").length - 1);
  return more.length === 0 ? undefined : [store ?? "", ...more.map((one) => up + one)];
}

/** Show the runs of the store that the notebook in front uses, and of those that the user wants to see beside it. */
function followNotebook({ app, tracker, panel, inspector, status, settings }: Parts): void {
  const follow = (): void => {
    const notebook = tracker.currentWidget;
    const path = app.serviceManager.contents.localPath(notebook?.context.path ?? "");
    const named = notebook === null ? null : namedStore(notebook);
    const store = named ?? (settings.value.store || null);
    if (notebook !== null || settings.value.store !== "" || settings.value.stores.length > 0) {
      inspector.follow({ path, store });
      status.follow({ path, store });
      panel.follow({ path, store, stores: storesBeside(path, store, settings.value.stores) });
    }
  };
  tracker.currentChanged.connect(() => {
    follow();
    void tracker.currentWidget?.context.ready.then(follow);
  });
  NotebookActions.executed.connect(() => {
    follow(); // the cell may have chosen another store
    ServerClient.look();
    setTimeout(() => ServerClient.look(), ENDING_MS);
  });
  effect(follow);
}

/** The last words of a run are written while the next cell may already be running. */
const ENDING_MS = 600;

function addToShell(parts: Parts, restorer: ILayoutRestorer | null, bar: IStatusBar | null): void {
  const { app, panel, inspector, status, settings } = parts;
  app.shell.add(panel, "left", { rank: 600, type: "nbtrack" });
  app.shell.add(inspector, "right", { rank: 600, type: "nbtrack" });
  restorer?.add(panel, panel.id);
  restorer?.add(inspector, inspector.id);
  if (bar !== null) {
    let item: { dispose(): void } | null = null;
    effect(() => {
      item?.dispose();
      item = settings.value.showStatus
        ? bar.registerStatusItem(`${PLUGIN_ID}:status`, { item: status, align: "left", rank: 60 })
        : null;
    });
  }
}

const plugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description: "Runs, registered models and model servers of the notebook's store.",
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ICommandPalette, ILayoutRestorer, ISettingRegistry, IStatusBar, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    registry: ISettingRegistry | null,
    bar: IStatusBar | null,
    translator: ITranslator | null,
  ) => {
    dress(document, "");
    if (translator !== null) {
      setTranslator(translator.load("nbtrack"));
    }
    const settings = settingsOf(registry);
    const surroundings: Surroundings = {
      settings: app.serviceManager.serverSettings,
      interval_ms: () => settings.value.refreshSeconds * 1000,
    };
    const tabs = new Tabs(app, surroundings);
    const panel = new RunsPanel(surroundings, {
      compare: (place, run_ids) => tabs.compare(place, run_ids),
      page: (place, run_id, name) => tabs.page(place, run_id, name),
      stores: {
        more: computed(() => settings.value.stores),
        choose: (stores) => keepStores(registry, settings, stores),
      },
    });
    const inspector = new InspectorPanel(surroundings, {
      track: () => void app.commands.execute(CommandIds.toggleTrack),
      page: (place, run_id) => tabs.page(place, run_id, panel.state.known(run_id)?.name),
      compare: (place, run_ids) => tabs.compare(place, run_ids),
    });
    const status = new StatusLine(surroundings, {
      open: () => void app.commands.execute(CommandIds.openPanel),
      page: (place, run_id) => tabs.page(place, run_id, panel.state.known(run_id)?.name),
      alerted: notify,
    });
    const parts: Parts = { app, tracker, panel, inspector, status, settings, surroundings };
    addToShell(parts, restorer, bar);
    followNotebook(parts);
    watchCells(parts);
    const tell = versionTeller(parts);
    tracker.widgetAdded.connect((_, notebook) => watchNotebook(parts, notebook, tell));
    addCommands({ app, tracker, panel, inspector, palette, tabs, tell });
    if (restorer !== null) {
      tabs.restore(restorer);
    }
  },
};

export default plugin;
