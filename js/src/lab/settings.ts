/** What the user set in the settings editor, kept current. */
import type { ISettingRegistry } from "@jupyterlab/settingregistry";
import { type Signal, signal } from "@preact/signals";
import { PLUGIN_ID } from "./tokens";

export interface Settings {
  refreshSeconds: number;
  loadMagic: boolean;
  trackFits: boolean;
  showStatus: boolean;
  /** The store to show where no notebook names one; "" to look around the notebook. */
  store: string;
  /** Stores shown beside that of the notebook, by their paths in the folder that the server shows. */
  stores: readonly string[];
}

const USUAL: Settings = {
  refreshSeconds: 2,
  loadMagic: true,
  trackFits: false,
  showStatus: true,
  store: "",
  stores: [],
};

function parse(composite: Readonly<Record<string, unknown>>): Settings {
  const { refreshSeconds, loadMagic, trackFits, showStatus, store, stores } = composite;
  return {
    refreshSeconds: typeof refreshSeconds === "number" ? Math.max(0.5, refreshSeconds) : USUAL.refreshSeconds,
    loadMagic: loadMagic !== false,
    trackFits: trackFits === true,
    showStatus: showStatus !== false,
    store: typeof store === "string" ? store : "",
    stores: Array.isArray(stores) ? stores.filter((one) => typeof one === "string") : [],
  };
}

/** The settings now and later; the usual ones where there is no settings registry, or it cannot be read. */
export function settingsOf(registry: ISettingRegistry | null): Signal<Settings> {
  const now = signal(USUAL);
  registry?.load(PLUGIN_ID).then(
    (settings) => {
      const read = (): void => {
        now.value = parse(settings.composite);
      };
      read();
      settings.changed.connect(read);
    },
    () => undefined,
  );
  return now;
}

/** Keep which stores are shown together; for this page only where there is no settings registry. */
export function keepStores(registry: ISettingRegistry | null, now: Signal<Settings>, stores: string[]): void {
  now.value = { ...now.value, stores };
  void registry?.set(PLUGIN_ID, "stores", stores).catch(() => undefined); // shown all the same, until a reload
}
