/** Names that JupyterLab knows us by, and our icons. */
import { LabIcon } from "@jupyterlab/ui-components";

export const PLUGIN_ID = "nbtrack:plugin";
export const PANEL_ID = "nbtrack-panel";
export const COMPARE_ID = "nbtrack-compare";
export const INSPECTOR_ID = "nbtrack-inspector";
export const PAGE_ID = "nbtrack-run";
/** The output that a saved notebook keeps and that this extension brings to life; `nbtrack.entities.VIEW_MIME`. */
export const VIEW_MIME = "application/vnd.nbtrack.view+json";
export const WIDGET_MIME = "application/vnd.jupyter.widget-view+json";

export const CommandIds = {
  toggleTrack: "nbtrack:toggle-track",
  openPanel: "nbtrack:open-panel",
  openInspector: "nbtrack:open-inspector",
  showModels: "nbtrack:show-models",
  showServers: "nbtrack:show-servers",
  compare: "nbtrack:compare",
  refresh: "nbtrack:refresh",
  register: "nbtrack:register",
  promote: "nbtrack:promote",
  serve: "nbtrack:serve",
  openRun: "nbtrack:open-run",
  pinBaseline: "nbtrack:pin-baseline",
  copyRunId: "nbtrack:copy-run-id",
  trashRun: "nbtrack:trash-run",
  restoreRun: "nbtrack:restore-run",
  toggleColumns: "nbtrack:toggle-all-columns",
  toggleTrash: "nbtrack:toggle-trash",
} as const;

// JupyterLab colours every [fill] and [stroke] of these classes, so a shape that is only drawn must have no fill of its own.
export const runsIcon = new LabIcon({
  name: "nbtrack:runs",
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">
  <g fill="none" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round">
    <path class="jp-icon3" stroke="#616161" d="M2 1.8v12.4h12.2"/>
    <path class="jp-icon3" stroke="#616161" d="M4.8 10.8l2.9-3.9 2.5 2 3-4.9"/></g>
  <circle class="jp-icon3" fill="#616161" cx="13.6" cy="3" r="1.7"/></svg>`,
});

export const trackIcon = new LabIcon({
  name: "nbtrack:track",
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">
  <g fill="none"><circle class="jp-icon3" stroke="#616161" stroke-width="1.5" cx="8" cy="8" r="5.6"/></g>
  <circle class="jp-icon3" fill="#616161" cx="8" cy="8" r="1.9"/></svg>`,
});

export const trackedIcon = new LabIcon({
  name: "nbtrack:tracked",
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">
  <circle style="fill: none; stroke: var(--jp-brand-color1, #1976d2)" stroke-width="1.5" cx="8" cy="8" r="5.6"/>
  <circle style="fill: var(--jp-brand-color1, #1976d2)" cx="8" cy="8" r="3.4"/></svg>`,
});
