// The components on a page of their own, over a real store that a test serves: `?view=compare&theme=dark&run=…`.
import { signal } from "@preact/signals";
import { ServerClient } from "../src/clients/server";
import { mount as mountCompare } from "../src/components/Compare";
import { mount as mountModels } from "../src/components/ModelVersions";
import { mount as mountPanel, type Tab } from "../src/components/Panel";
import { mount as mountPlots } from "../src/components/Plots";
import { mount as mountCard } from "../src/components/RunCard";
import { mount as mountDetail } from "../src/components/RunDetail";
import { mount as mountDiff } from "../src/components/RunDiff";
import { createState } from "../src/state";

performance.mark("nbt-start"); // the moment at which an output arrives
const asked = new URLSearchParams(location.search);
const ids = asked.get("runs") ? (asked.get("runs")?.split(",") ?? null) : null;
const view = asked.get("view") ?? "compare";
const host = document.createElement("main");
host.style.width = asked.get("width") ?? "auto";
document.body.append(host);

const client = new ServerClient(
  (body) => fetch("/call", { method: "POST", body }),
  () => ({ path: "", store: null }),
  { interval_ms: Number(asked.get("poll") ?? 60_000), visible: () => true },
);
const state = createState(client, { run_ids: ids, table: view !== "card" && view !== "run" && view !== "diff" });
const run_id = ids?.[0] ?? "";

switch (view) {
  case "card":
    mountCard(host, client, state, { run_id, detailed: true });
    break;
  case "run":
    mountDetail(host, client, state, { run_id });
    break;
  case "diff":
    mountDiff(host, client, state, { run_ids: ids ?? [] });
    break;
  case "plots":
    mountPlots(host, client, state);
    break;
  case "models":
    mountModels(host, client, state);
    break;
  case "panel":
    host.className = "nbt-host";
    host.style.height = "760px";
    mountPanel(host, client, state, { tab: signal<Tab>((asked.get("tab") ?? "runs") as Tab) });
    break;
  default:
    mountCompare(host, client, state);
}
(globalThis as { nbtState?: unknown }).nbtState = state;
