// Every component in every state, without JupyterLab: `node tests/gallery.mjs` builds it, open lib/gallery/index.html.
import { signal } from "@preact/signals";
import { FakeClient, type FakeRun, wineRuns } from "../src/clients/fake";
import { mount as mountCompare } from "../src/components/Compare";
import { mount as mountModels } from "../src/components/ModelVersions";
import { mount as mountPanel, type Tab } from "../src/components/Panel";
import { mount as mountCard } from "../src/components/RunCard";
import { mount as mountServers } from "../src/components/ServeCard";
import { createState } from "../src/state";

const HOSTILE = '<img src=x onerror="window.hacked=1">\u202eevil\u202c</script>'.repeat(4);

function place(title: string, width: number, height = 0): HTMLElement {
  const heading = document.createElement("h2");
  heading.textContent = title;
  const host = document.createElement("div");
  host.style.width = `${width}px`;
  if (height > 0) {
    host.style.height = `${height}px`;
    host.className = "nbt-host";
    host.style.border = "1px solid var(--jp-border-color2)";
  }
  document.body.append(heading, host);
  return host;
}

function curveRuns(count: number): FakeRun[] {
  return Array.from({ length: count }, (_, i) => ({
    run_id: i.toString(16).padStart(32, "0"),
    run_name: `net-lr${(0.1 / (i + 1)).toPrecision(2)}`,
    status: i === 0 ? "RUNNING" : i === 3 ? "FAILED" : "FINISHED",
    end_time: i === 0 ? null : undefined,
    start_time: Date.now() - i * 3_700_000,
    params: { lr: String(0.1 / (i + 1)), layers: String(2 + (i % 3)), optimiser: "adam" },
    metrics: {
      val_loss: Array.from(
        { length: 120 },
        (_, s) => Math.exp(-s / (20 + 9 * i)) + 0.04 * Math.sin(s * (i + 1)) + 0.05 * i,
      ),
      val_accuracy: Array.from({ length: 120 }, (_, s) => 1 - 0.6 * Math.exp(-s / (15 + 6 * i))),
      epochs: 120,
    },
  }));
}

async function registered(): Promise<FakeClient> {
  const client = new FakeClient(wineRuns());
  for (const run of [...client.runs].reverse()) {
    await client.call({ op: "register", run_id: run.run_id, name: "wine-rf" });
  }
  await client.call({ op: "promote", name: "wine-rf", version: 1, stage: "Production" });
  await client.call({
    op: "promote",
    name: "wine-rf",
    version: 2,
    stage: "Staging",
    note: "Twice as good as the first",
  });
  await client.call({ op: "register", run_id: client.runs[0]?.run_id ?? "", name: "other-model" });
  await client.call({ op: "serve", model_uri: "models:/wine-rf/2" });
  return client;
}

const SCENES: Record<string, () => Promise<void>> = {
  async compare() {
    const client = await registered();
    const state = createState(client);
    state.current.value = client.runs[0]?.run_id ?? null;
    mountCompare(place("Comparison, 900 px", 900), client, state);
    const narrow = createState(client);
    mountCompare(place("Comparison, 420 px", 420), client, narrow);
  },
  async curves() {
    const client = new FakeClient(curveRuns(6));
    mountCompare(place("Curves", 900), client, createState(client));
  },
  async cards() {
    const client = await registered();
    const [best, middle] = client.runs;
    mountCard(place("Card, 760 px", 760), client, createState(client), { run_id: middle?.run_id ?? "" });
    mountCard(place("Card, 320 px", 320), client, createState(client), { run_id: best?.run_id ?? "", detailed: true });
    const fresh = new FakeClient(wineRuns());
    mountCard(place("Card of a fresh run", 760), fresh, createState(fresh), { run_id: fresh.runs[0]?.run_id ?? "" });
  },
  async panel() {
    for (const tab of ["runs", "models", "servers"] as const) {
      const client = await registered();
      const state = createState(client);
      state.current.value = client.runs[0]?.run_id ?? null;
      mountPanel(place(`Panel: ${tab}`, 300, 640), client, state, { tab: signal<Tab>(tab) });
    }
  },
  async models() {
    const client = await registered();
    mountModels(place("Models", 600), client, createState(client));
    mountServers(place("Servers", 600), client, createState(client));
  },
  async empty() {
    const client = new FakeClient([]);
    mountPanel(place("Empty", 300, 300), client, createState(client));
    const none = new FakeClient([]);
    for (const op of ["runs", "info", "servers", "models"]) {
      none.failing.set(op, { code: "no_store", message: "store: there is none here." });
    }
    mountPanel(place("No store", 300, 300), none, createState(none));
    const failing = new FakeClient(wineRuns());
    for (const op of ["runs", "info", "servers"]) {
      failing.failing.set(op, {
        code: "unreachable",
        message: "The Jupyter server does not answer (Failed to fetch). Check that it still runs, then try again.",
      });
    }
    mountPanel(place("Failing", 300, 300), failing, createState(failing));
    mountCompare(place("Failing comparison", 600), failing, createState(failing));
    const waiting = new FakeClient(wineRuns());
    waiting.gate = new Promise(() => undefined);
    mountCompare(place("Waiting", 600), waiting, createState(waiting));
  },
  async hostile() {
    const runs: FakeRun[] = [1, 2].map((n) => ({
      run_id: `${n}`.repeat(32),
      run_name: HOSTILE,
      status: "FAILED",
      params: { [HOSTILE]: `${HOSTILE}${n}`, ok: String(n), empty: "" },
      metrics: {
        [HOSTILE]: n,
        loss: n === 1 ? Number.NaN : Number.POSITIVE_INFINITY,
        tiny: 1e-9 * n,
        huge: 1.5e12 * n,
      },
      tags: { [HOSTILE]: HOSTILE },
    }));
    const client = new FakeClient(runs);
    const state = createState(client);
    state.current.value = runs[0]?.run_id ?? null;
    mountCompare(place("Hostile", 800), client, state);
  },
  async many() {
    const client = new FakeClient(
      Array.from({ length: 5000 }, (_, i) => ({
        run_id: i.toString(16).padStart(32, "0"),
        run_name: `sweep-${i}`,
        start_time: Date.now() - i * 60_000,
        params: Object.fromEntries(Array.from({ length: 12 }, (_, k) => [`param_${k}`, String((i * (k + 3)) % 17)])),
        metrics: { accuracy: 0.5 + ((i * 7919) % 5000) / 10_000, loss: ((i * 104_729) % 5000) / 1000 },
      })),
    );
    mountCompare(place("5,000 runs", 900), client, createState(client));
  },
};

const scene = new URLSearchParams(location.search).get("scene") ?? "compare";
void SCENES[scene]?.().then(() => {
  document.body.dataset.ready = "1";
});
