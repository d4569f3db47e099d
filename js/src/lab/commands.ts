/** Every action as a command, so that it is in the palette, can have a shortcut, and can be called by others. */
import type { JupyterFrontEnd } from "@jupyterlab/application";
import type { ICommandPalette } from "@jupyterlab/apputils";
import type { INotebookTracker } from "@jupyterlab/notebook";
import type { Place } from "../clients/server";
import type { Tab } from "../components/Panel";
import { trans } from "../i18n";
import type { Intent } from "../state";
import { toggleTrack, trackedCell } from "./celltoolbar";
import type { RunsPanel } from "./panel";
import { CommandIds, runsIcon, trackedIcon, trackIcon } from "./tokens";
import { isTracked } from "./view";

interface Parts {
  app: JupyterFrontEnd;
  tracker: INotebookTracker;
  panel: RunsPanel;
  palette: ICommandPalette | null;
  compare: (place: Place, run_ids: string[] | null) => void;
}

const NO_ARGS = { type: "object", properties: {} } as const;

export function addCommands({ app, tracker, panel, palette, compare }: Parts): void {
  const { commands } = app;
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
      await toggleTrack(tracker);
      commands.notifyCommandChanged(CommandIds.toggleTrack);
    },
  });

  const open = (tab: Tab | null): void => {
    if (tab !== null) {
      panel.tab.value = tab;
    }
    app.shell.activateById(panel.id);
  };
  const places: readonly [string, string, Tab | null][] = [
    [CommandIds.openPanel, trans.__("Show Runs & Models"), null],
    [CommandIds.showModels, trans.__("Show Registered Models"), "models"],
    [CommandIds.showServers, trans.__("Show Model Servers"), "servers"],
  ];
  for (const [id, label, tab] of places) {
    commands.addCommand(id, { label, icon: runsIcon, describedBy: { args: NO_ARGS }, execute: () => open(tab) });
  }

  commands.addCommand(CommandIds.compare, {
    label: trans.__("Compare Runs"),
    caption: trans.__("Open the comparison of the marked runs, or of all, in a tab of its own"),
    icon: runsIcon,
    describedBy: {
      args: { type: "object", properties: { run_ids: { type: "array", items: { type: "string" } } } },
    },
    execute: ({ run_ids }) => {
      const asked = Array.isArray(run_ids) ? run_ids.map(String) : null;
      const chosen = panel.state.chosen.value;
      compare(panel.place, asked ?? (chosen === null ? null : [...chosen]));
    },
  });
  commands.addCommand(CommandIds.refresh, {
    label: trans.__("Read Runs and Models Again"),
    describedBy: { args: NO_ARGS },
    execute: () => panel.state.refresh(),
  });

  const acts: readonly [string, string, Intent][] = [
    [CommandIds.register, trans.__("Register the Model of the Selected Run…"), "register"],
    [CommandIds.promote, trans.__("Promote the Model of the Selected Run…"), "promote"],
    [CommandIds.serve, trans.__("Serve the Model of the Selected Run"), "serve"],
  ];
  for (const [id, label, intent] of acts) {
    commands.addCommand(id, {
      label,
      isEnabled: () => panel.state.current.value !== null,
      describedBy: { args: NO_ARGS },
      execute: () => {
        open("runs");
        panel.state.intent.value = intent;
      },
    });
  }

  for (const command of Object.values(CommandIds)) {
    palette?.addItem({ command, category: "nbtrack" });
  }
}
