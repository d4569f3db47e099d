// Every component in every state, without JupyterLab: `node tests/gallery.mjs` builds it, open lib/gallery/index.html.
import { signal } from "@preact/signals";
import { FakeClient, type FakeRun, wineRuns } from "../src/clients/fake";
import { mount as mountCompare } from "../src/components/Compare";
import { mount as mountModels } from "../src/components/ModelVersions";
import { mount as mountPanel, type Tab } from "../src/components/Panel";
import { mount as mountCard } from "../src/components/RunCard";
import { mount as mountTable } from "../src/components/RunTable";
import { mount as mountServers } from "../src/components/ServeCard";
import { parseLive } from "../src/live";
import { createState } from "../src/state";
import { SCENES as MORE } from "./scenes";

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

/** Registered models in every state: parts open, previews, refusals, conflicts, the question before Production. */
async function registryScenes(): Promise<void> {
  const press = async (host: HTMLElement, ...names: string[]): Promise<void> => {
    for (const name of names) {
      await new Promise((resolve) => setTimeout(resolve, 60));
      host.querySelector<HTMLElement>(`[data-nbt="${name}"]`)?.click();
    }
    await new Promise((resolve) => setTimeout(resolve, 60));
  };
  const rich = async (): Promise<FakeClient> => {
    const client = await registered();
    const model = client.models.model("wine-rf");
    model.stages = ["None", "Dev", "Staging", "Production", "Archived"];
    model.description = "Wines by cultivar; asked by the tasting room.";
    model.gates = { Production: ["accuracy >= 0.9", "approved by ben", "approved by ada"] };
    const scores = { "3": 0.9722, "2": 0.9166 };
    const refused = { "1": "its code line 1.0 does not fit >=2.0" };
    const shared = { metric: "accuracy", best: 3, scores, refused, comparable: true };
    model.decisions = [
      { environment: "INT", policy: ">=2.0", dataset: "1f".repeat(32), ...shared },
      { environment: "PROD", policy: "<=1.0", dataset: "7c".repeat(32), ...shared, best: 2 },
    ];
    client.models.approve("wine-rf", 3, "Staging", false);
    client.models.edit("other-model", 1, true);
    return client;
  };
  const show = async (title: string, width: number, names: string[], made?: FakeClient): Promise<HTMLElement> => {
    const client = made ?? (await rich());
    const host = place(title, width);
    mountModels(host, client, createState(client));
    await press(host, ...names);
    return host;
  };
  await show("Board and versions, 860 px", 860, []);
  await show("Board and versions, 300 px", 300, []);
  await show("Gates", 600, ["gates"]);
  await show("Gates, 240 px", 240, ["gates"]);
  await show("Compare, 240 px", 240, ["diff"]);
  await show("Gates, edited", 600, ["gates", "edit-gates"]);
  await show("Compare", 600, ["diff"]);
  await show("Decisions", 600, ["decisions"]);
  await show("History", 600, ["history"]);
  await show("Preview of v3 to Dev", 600, ["promote"]);
  const refusedHost = await show("Refused by a gate, 600 px", 600, []);
  const row = refusedHost.querySelector<HTMLElement>('[data-nbt="version"][data-version="2"]');
  row?.querySelector<HTMLElement>('[data-nbt="promote"]')?.click();
  const conflicted = await registered();
  const conflictHost = await show("Conflict", 600, ["promote"], conflicted);
  const message = "model 'wine-rf': ana moved v2 to Staging 0.1 s ago; you saw nobody there. Nothing was changed.";
  conflicted.failing.set("promote", { code: "conflict", message });
  await press(conflictHost, "confirm-promote");
  const many = new FakeClient(wineRuns());
  for (let i = 0; i < 60; i++) {
    await many.call({ op: "register", run_id: many.runs[i % 3]?.run_id ?? "", name: HOSTILE.slice(0, 90) });
  }
  await show("Many versions, a hostile name, 420 px", 420, [], many);
  const asked = await show("The question before Production", 600, [], await registered());
  await press(asked, "promote"); // v3 goes to Staging first
  await press(asked, "confirm-promote", "close-flow", "promote", "confirm-promote");
}

const SCENES: Record<string, (place: (title: string, width: number) => HTMLElement) => Promise<void>> = {
  async compare() {
    const client = await registered();
    const state = createState(client);
    state.current.value = client.runs[0]?.run_id ?? null;
    mountCompare(place("Comparison, 900 px", 900), client, state);
    const narrow = createState(client);
    mountCompare(place("Comparison, 420 px", 420), client, narrow);
  },
  async table() {
    const runs = Array.from(
      { length: 40 },
      (_, i): FakeRun => ({
        run_id: i.toString(16).padStart(32, "0"),
        run_name: i === 2 ? "a-run-with-a-name-that-is-far-too-long-for-its-column" : `sweep-${i}`,
        start_time: Date.now() - i * 60_000,
        status: i === 0 ? "RUNNING" : i === 4 ? "FAILED" : "FINISHED",
        params: {
          optimizer: ["adam", "sgd", "rmsprop"][i % 3] ?? "",
          lr: String(10 ** -(1 + (i % 4))),
          path: `/data/long/path/${i}`,
        },
        metrics: {
          accuracy: 0.7 + ((i * 37) % 40) / 200,
          loss: Array.from({ length: 20 }, (_, k) => Math.exp(-k / (4 + (i % 5))) + (i % 7) / 50),
        },
        tags: i % 4 === 0 ? { "nbtrack.note": "with more data" } : {},
      }),
    );
    const client = new FakeClient(runs);
    const state = createState(client);
    state.layout.value = {
      ...state.layout.value,
      added: ["metric:min(metrics.loss)", "curve:loss"],
      baseline: runs[5]?.run_id ?? null,
    };
    mountTable(place("Baseline, lowest value, course", 900), client, state, { compact: false, choose: true });
    const grouped = createState(client);
    grouped.layout.value = { ...grouped.layout.value, group: "param:optimizer" };
    grouped.open.value = new Set(['"sgd"']);
    mountTable(place("Groups", 900), client, grouped, { compact: false, choose: true });
    mountTable(place("Narrow", 340), client, createState(client), { compact: false, choose: true });
    const none = createState(client);
    none.filter.value = "metrics.nothing >";
    mountTable(place("A filter that cannot be read", 600), client, none, { compact: false, choose: true });
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
  async live() {
    for (const status of ["RUNNING", "CRASHED", "KILLED", "FAILED", "FINISHED"]) {
      const [run] = curveRuns(1);
      const capture = {
        cell_hash: "0",
        captured: ["cell source (3 lines)"],
        error: { type: "ValueError", message: HOSTILE },
      };
      const client = new FakeClient([
        { ...(run as FakeRun), status, logged: false, start_time: Date.now() - 9000, capture },
      ]);
      const progress = { done: 120, total: 400, unit: "epoch", remaining_s: 21 };
      const live = signal(parseLive({ elapsed_s: 9, progress, metrics: {}, series: [] }, Date.now()));
      const control = { stop: async () => undefined, resume: async () => undefined };
      const state = createState(client, { table: false });
      mountCard(place(`Card: ${status}`, status === "CRASHED" ? 340 : 760), client, state, {
        run_id: run?.run_id ?? "",
        live,
        control,
      });
    }
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
  async registry() {
    await registryScenes();
  },
  async servers() {
    const client = await registered();
    const server = client.servers[0];
    if (server === undefined) {
      return;
    }
    client.servers[0] = {
      ...server,
      follow: "models:/wine-rf/Staging",
      previous: "models:/wine-rf/1",
      requests: 1204,
      others: [{ model_uri: "models:/other-model/1", model_name: "other-model", version: 1 }],
    };
    client.servers.push(
      { ...server, server_id: "s2", status: "starting", checks: server.checks.slice(0, 2) },
      {
        ...server,
        server_id: "s3",
        owner: "kernel",
        held: "models:/wine-rf/1",
        previous: "models:/wine-rf/1",
        follow: "models:/wine-rf/Staging",
        error: "held at wine-rf/1; models:/wine-rf/Staging is not followed.",
        checks: [
          ...server.checks.slice(0, 2),
          { name: "environment", state: "note", text: "numpy 2.1 then, 2.4 here" },
        ],
        example: '{"inputs": [[1, 2, 3]]}',
      },
      { ...server, server_id: "s4", status: "failed", error: "it crashed (SIGSEGV) and gave up." },
    );
    client.activity = {
      ...client.activity,
      total: 1204,
      requests: Array.from({ length: 12 }, (_, i) => ({
        at: Date.now() - i * 900,
        status: i === 1 ? 400 : 200,
        rows: i === 1 ? 0 : 1 + i,
        ms: 0.08 * (i + 1),
        model: "wine-rf/2",
        why:
          i === 1
            ? "$.dataframe_split.data[0][3]: column 'hue' must be double, got text that cannot be read as one."
            : "",
      })),
      drift_rows: 4210,
      drift: [
        { column: "alcohol", index: 0.412, verdict: "drifted", missing: 0.05, missing_before: 0, outside: 0.31 },
        { column: "hue", index: 0.14, verdict: "shifted", missing: 0, missing_before: 0, outside: 0.02 },
        {
          column: "a column with a very long name that has to fit",
          index: 0.01,
          verdict: "steady",
          missing: 0,
          missing_before: 0,
          outside: 0,
        },
      ],
    };
    for (const width of [620, 300]) {
      const host = place(`Servers, ${width} px`, width);
      mountServers(host, client, createState(client));
      await new Promise((done) => setTimeout(done, 50));
      for (const part of [...host.querySelectorAll<HTMLDetailsElement>("details")].slice(0, 6)) {
        part.open = true;
      }
    }
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
void (SCENES[scene] ?? MORE[scene])?.(place).then(() => {
  document.body.dataset.ready = "1";
});
