/** The anywidget entry: the comparison in a cell, answered by the kernel. */
import type { RenderProps } from "@anywidget/types";
import { isVisible } from "./client";
import { KernelClient, type Seed } from "./clients/kernel";
import { mount as mountCompare } from "./components/Compare";
import { mount as mountCard } from "./components/RunCard";
import { createState } from "./state";

/** The traits of `nbtrack.widget.View`. */
interface Traits {
  view: "compare" | "card";
  run_ids: string[] | null;
  filter: string;
  experiment: string | null;
  /** JSON of what this view asks first, with the answers. */
  seed: string;
}

/** Every look wakes the kernel, so look rarely; after each cell it tells of changes by itself. */
const POLL_MS = 5000;

function render({ model, el, signal }: RenderProps<Traits>): void {
  const host = document.createElement("div");
  el.replaceChildren(host);
  const visible = (): boolean => isVisible(host) && host.dataset.running === "1";
  const seed = JSON.parse(model.get("seed") || "[]") as Seed[];
  const client = new KernelClient(model, { interval_ms: POLL_MS, visible }, seed);
  // Changes that came from elsewhere, such as the panel, are seen when somebody turns to this view.
  const look = (): void => client.look();
  host.addEventListener("pointerenter", look);
  document.addEventListener("visibilitychange", look, { signal });
  const run_ids = model.get("run_ids");
  const table = model.get("view") === "compare";
  const state = createState(client, {
    run_ids,
    query: model.get("filter"),
    experiment: model.get("experiment"),
    table,
  });
  const unwatch = state.runs.subscribe((runs) => {
    const status = runs?.columns.find((column) => column.kind === "attribute" && column.key === "status");
    host.dataset.running = status?.values.includes("RUNNING") === true ? "1" : "0";
  });
  const dispose =
    model.get("view") === "card"
      ? mountCard(host, client, state, { run_id: run_ids?.[0] ?? "" })
      : mountCompare(host, client, state);
  client.look(); // the seed may be old: the page may have been reloaded since
  signal.addEventListener("abort", () => {
    unwatch();
    dispose();
    client.dispose();
  });
}

export default { render };
