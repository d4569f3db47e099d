/** Every action as a command, so that it is in the palette, can have a shortcut, and can be called by others. */
import type { JupyterFrontEnd } from "@jupyterlab/application";
import { type ICommandPalette, Notification } from "@jupyterlab/apputils";
import type { INotebookTracker } from "@jupyterlab/notebook";
import { failureOf } from "../client";
import type { Place } from "../clients/server";
import type { Tab } from "../components/Panel";
import { trans } from "../i18n";
import type { Intent } from "../state";
import { type Loaded, toggleTrack, trackedCell } from "./celltoolbar";
import { hostOf, type InspectorPanel, type RunsHost, type RunsPanel } from "./panel";
import type { Tabs } from "./tabs";
import { CommandIds, runsIcon, trackedIcon, trackIcon } from "./tokens";
import { isTracked } from "./view";

interface Parts {
  app: JupyterFrontEnd;
  tracker: INotebookTracker;
  panel: RunsPanel;
  inspector: InspectorPanel;
  palette: ICommandPalette | null;
  tabs: Tabs;
  tell: (loaded: Loaded) => void;
}

const NO_ARGS = { type: "object", properties: {} } as const;
const PLACE = {
  path: { type: "string" },
  store: { type: ["string", "null"] },
  stores: { type: "array", items: { type: "string" } },
} as const;

/** Commands that only make sense where a run was clicked on, or with one as argument. */
const OF_A_RUN: ReadonlySet<string> = new Set([CommandIds.restoreRun]);

export function addCommands(parts: Parts): void {
  addTracking(parts);
  addPlaces(parts);
  addComparison(parts);
  addModelActs(parts);
  addRunActs(parts);
  for (const command of Object.values(CommandIds)) {
    if (!OF_A_RUN.has(command)) {
      parts.palette?.addItem({ command, category: "nbtrack" });
    }
  }
}

function addTracking({ app: { commands }, tracker, tell }: Parts): void {
  const tracked = (): boolean => isTracked(trackedCell(tracker)?.model.sharedModel.getSource() ?? "");
  commands.addCommand(CommandIds.toggleTrack, {
    label: () => (tracked() ? trans.__("Stop Tracking this Cell") : trans.__("Track this Cell")),
    caption: () =>
      tracked()
        ? trans.__("Tracked: every run of this cell is kept. Click to stop.")
        : trans.__("Track: keep every run of this cell"),
    icon: () => (tracked() ? trackedIcon : trackIcon),
    isToggled: tracked,
    isToggleable: true,
    isEnabled: () => trackedCell(tracker) !== null,
    isVisible: () => trackedCell(tracker) !== null,
    describedBy: { args: NO_ARGS },
    execute: async () => {
      const loading = toggleTrack(tracker);
      commands.notifyCommandChanged(CommandIds.toggleTrack);
      tell(await loading);
    },
  });
}

function addPlaces({ app, panel, inspector }: Parts): void {
  const places: readonly [string, string, string, Tab | null][] = [
    [CommandIds.openPanel, trans.__("Show Runs & Models"), panel.id, null],
    [CommandIds.showModels, trans.__("Show Registered Models"), panel.id, "models"],
    [CommandIds.showServers, trans.__("Show Model Servers"), panel.id, "servers"],
    [CommandIds.openInspector, trans.__("Show the Runs of this Cell"), inspector.id, null],
  ];
  for (const [command, label, id, tab] of places) {
    app.commands.addCommand(command, {
      label,
      icon: runsIcon,
      describedBy: { args: NO_ARGS },
      execute: () => {
        if (tab !== null) {
          panel.tab.value = tab;
        }
        app.shell.activateById(id);
      },
    });
  }
}

const textOr = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

/** The place that a command was told of, else the panel's. */
function placeOf({ path, store, stores }: Partial<Record<keyof Place, unknown>>, panel: RunsPanel): Place {
  const several = Array.isArray(stores) ? { stores: stores.map(String) } : {};
  return typeof path === "string" ? { path, store: textOr(store), ...several } : panel.place;
}

function addComparison({ app: { commands }, panel, tabs }: Parts): void {
  commands.addCommand(CommandIds.compare, {
    label: trans.__("Compare Runs"),
    caption: trans.__("Open the comparison of the marked runs, or of all, in a tab of its own"),
    icon: runsIcon,
    describedBy: {
      args: {
        type: "object",
        properties: { ...PLACE, run_ids: { type: ["array", "null"], items: { type: "string" } } },
      },
    },
    execute: ({ run_ids, restored, ...place }) => {
      const asked = Array.isArray(run_ids) ? run_ids.map(String) : null;
      const chosen = restored === true ? null : panel.state.chosen.value;
      tabs.compare(placeOf(place, panel), asked ?? (chosen === null ? null : [...chosen]));
    },
  });
  commands.addCommand(CommandIds.refresh, {
    label: trans.__("Read Runs and Models Again"),
    describedBy: { args: NO_ARGS },
    execute: () => panel.state.refresh(),
  });
  const toggles = [
    [CommandIds.toggleColumns, trans.__("All Columns of the Runs"), "showAll"],
    [CommandIds.toggleTrash, trans.__("Show Runs in the Trash"), "trash"],
  ] as const;
  for (const [id, label, name] of toggles) {
    commands.addCommand(id, {
      label,
      isToggleable: true,
      isToggled: () => panel.state[name].value,
      describedBy: { args: NO_ARGS },
      execute: () => {
        panel.state[name].value = !panel.state[name].value;
      },
    });
  }
}

function addModelActs({ app, panel }: Parts): void {
  const acts: readonly [string, string, Intent][] = [
    [CommandIds.register, trans.__("Register the Model of the Selected Run…"), "register"],
    [CommandIds.promote, trans.__("Promote the Model of the Selected Run…"), "promote"],
    [CommandIds.serve, trans.__("Serve the Model of the Selected Run"), "serve"],
  ];
  for (const [id, label, intent] of acts) {
    app.commands.addCommand(id, {
      label,
      isEnabled: () => panel.state.current.value !== null,
      describedBy: { args: NO_ARGS },
      execute: () => {
        panel.tab.value = "runs";
        app.shell.activateById(panel.id);
        panel.state.intent.value = intent;
      },
    });
  }
}

interface Meant {
  run_id: string;
  host: RunsHost;
  place: Place | null;
}

/** The run that was clicked on, the one given, or the one that is selected in the panel. */
function meant({ app, panel }: Parts, { run_id }: { run_id?: unknown }): Meant | null {
  if (typeof run_id === "string" && run_id !== "") {
    return { run_id, host: panel, place: panel.place };
  }
  const row = app.contextMenuHitTest((node) => node.dataset.run !== undefined);
  const host = row === undefined ? null : hostOf(row);
  if (row?.dataset.run !== undefined && host !== null) {
    return { run_id: row.dataset.run, host, place: (host as { place?: Place }).place ?? null };
  }
  const current = panel.state.current.value;
  return current === null ? null : { run_id: current, host: panel, place: panel.place };
}

function addRunActs(parts: Parts): void {
  const { app, panel, tabs } = parts;
  const add = (
    id: string,
    label: string,
    act: (run: Meant, args: Record<string, unknown>) => void | Promise<void>,
  ): void => {
    app.commands.addCommand(id, {
      label,
      isEnabled: (args) => meant(parts, args) !== null,
      describedBy: {
        args: { type: "object", properties: { ...PLACE, run_id: { type: "string" }, name: { type: "string" } } },
      },
      execute: (args) => {
        const run = meant(parts, args);
        return run === null ? undefined : act(run, args);
      },
    });
  };
  add(CommandIds.openRun, trans.__("Open the Run as a Page"), ({ run_id, host, place }, args) => {
    const where = typeof args.path === "string" ? placeOf(args, panel) : (place ?? panel.place);
    tabs.page(where, run_id, host.state.known(run_id)?.name ?? textOr(args.name) ?? undefined);
  });
  add(CommandIds.pinBaseline, trans.__("Show Other Runs against this Run"), ({ run_id, host: { state } }) => {
    const { layout } = state;
    layout.value = { ...layout.value, baseline: layout.value.baseline === run_id ? null : run_id };
  });
  add(CommandIds.copyRunId, trans.__("Copy the Run's Id"), async ({ run_id }) => {
    await navigator.clipboard.writeText(run_id);
  });
  const move =
    (deleted: boolean) =>
    async ({ run_id, host }: Meant) => {
      try {
        await host.client.call({ op: "edit_run", run_id, deleted });
        host.state.refresh();
        const name = host.state.known(run_id)?.name ?? run_id;
        if (deleted) {
          Notification.info(trans.__("%1 moved to the trash", name.slice(0, 80)), {
            autoClose: 6000,
            actions: [{ label: trans.__("Undo"), callback: () => void move(false)({ run_id, host, place: null }) }],
          });
        }
      } catch (error) {
        Notification.error(failureOf(error).message.slice(0, 140));
      }
    };
  add(CommandIds.trashRun, trans.__("Move the Run to the Trash"), move(true));
  add(CommandIds.restoreRun, trans.__("Restore the Run"), move(false));
}
