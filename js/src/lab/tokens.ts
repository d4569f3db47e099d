/** Names that JupyterLab knows us by, and our icons. */
import { LabIcon } from "@jupyterlab/ui-components";

export const PLUGIN_ID = "nbtrack:plugin";
export const PANEL_ID = "nbtrack-panel";
export const COMPARE_ID = "nbtrack-compare";
/** The output that a saved notebook keeps and that this extension brings to life; `nbtrack.entities.VIEW_MIME`. */
export const VIEW_MIME = "application/vnd.nbtrack.view+json";
export const WIDGET_MIME = "application/vnd.jupyter.widget-view+json";

export const CommandIds = {
  toggleTrack: "nbtrack:toggle-track",
  openPanel: "nbtrack:open-panel",
  showModels: "nbtrack:show-models",
  showServers: "nbtrack:show-servers",
  compare: "nbtrack:compare",
  refresh: "nbtrack:refresh",
  register: "nbtrack:register",
  promote: "nbtrack:promote",
  serve: "nbtrack:serve",
} as const;

export const runsIcon = new LabIcon({
  name: "nbtrack:runs",
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">
  <g class="jp-icon3" fill="none" stroke="#616161" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">
    <path class="jp-icon3" stroke="#616161" fill="none" d="M2 2v12h12"/><path class="jp-icon3" stroke="#616161" fill="none" d="M4.5 11l3-4 2.5 2 4-6"/></g>
  <circle class="jp-icon3" fill="#616161" cx="14" cy="3" r="1.6"/></svg>`,
});

export const trackIcon = new LabIcon({
  name: "nbtrack:track",
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">
  <circle class="jp-icon3" cx="8" cy="8" r="5.5" fill="none" stroke="#616161" stroke-width="1.5"/>
  <circle class="jp-icon3" cx="8" cy="8" r="1.8" fill="#616161"/></svg>`,
});

export const trackedIcon = new LabIcon({
  name: "nbtrack:tracked",
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">
  <circle class="jp-icon-accent0" cx="8" cy="8" r="5.5" fill="none" stroke="#d32f2f" stroke-width="1.5"/>
  <circle class="jp-icon-accent0" cx="8" cy="8" r="3.2" fill="#d32f2f"/></svg>`,
});
