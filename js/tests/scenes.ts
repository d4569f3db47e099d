// Scenes of the gallery: the page of a run, the differences of two, and the report, over fixed data.
import { EmbeddedClient, type Saved } from "../src/clients/embedded";
import { FakeClient, type FakeRun, wineRuns } from "../src/clients/fake";
import { mount as mountReport } from "../src/components/Report";
import { mount as mountCard } from "../src/components/RunCard";
import { mount as mountDetail } from "../src/components/RunDetail";
import { mount as mountDiff } from "../src/components/RunDiff";
import { createState } from "../src/state";
import type { Reproduction, RunDiff } from "../src/wire";

type Place = (title: string, width: number) => HTMLElement;

const CAPTURE = {
  source: "%%track forest\nmodel = fit(train, n_estimators)",
  execution_count: 9,
  notebook: "train.ipynb",
  slice: {
    cells: [
      {
        execution_count: 2,
        source: "import pandas as pd\nwine = pd.read_csv('wine.csv')",
        reads: [],
        writes: ["pd", "wine"],
      },
      {
        execution_count: 5,
        source: "train = wine.sample(frac=0.8, random_state=3)",
        reads: ["wine"],
        writes: ["train"],
      },
      {
        execution_count: 9,
        source: "%%track forest\nmodel = fit(train, n_estimators)",
        reads: ["train"],
        writes: ["model"],
        this: true,
      },
    ],
    complete: false,
    missing: ["fit() comes from a module that is not under git"],
  },
  data: [
    {
      name: "wine",
      kind: "DataFrame",
      shape: [178, 13],
      digest: "4e".repeat(32),
      size_bytes: 18_512,
      sampled: false,
      path: "wine.csv",
    },
  ],
  seeds: { numpy: 3 },
  usage: { wall_s: 12.5, cpu_s: 21.1, peak_memory_bytes: 512_000_000 },
  packages: { numpy: "2.4.6", pandas: "3.1.1", "scikit-learn": "1.9.0" },
  python: "3.11.7",
  platform: "Linux",
  git: { commit: "4f2c1ab", branch: "main" },
  stdout: "epoch 1: 0.81\nepoch 2: 0.93\n",
  captured: ["cell source (2 lines)", "4 params", "2 metrics"],
};

const DIFF: RunDiff = {
  run_ids: ["03".repeat(16), "02".repeat(16)],
  run_names: ["rf-1-0.5", "rf-100-0.5"],
  verdict: "Most likely: n_estimators: 1 → 100.",
  metrics: [
    { key: "accuracy", values: [0.8889, 1], better: "higher" },
    { key: "val_loss", values: [0.31, 0.42], better: "lower" },
  ],
  differences: [
    {
      kind: "param",
      key: "n_estimators",
      values: ["1", "100"],
      weight: 0.92,
      text: "n_estimators: 1 → 100",
      patches: [],
    },
    {
      kind: "upstream",
      key: "In [5]",
      values: ["2 lines", "2 lines"],
      weight: 0.5,
      text: "In [5] train = wine.sample(…): changed",
      patches: [
        "",
        "@@ -1,2 +1,2 @@\n import pandas as pd\n-train = wine.sample(frac=0.7)\n+train = wine.sample(frac=0.8, random_state=3)",
      ],
    },
    { kind: "seed", key: "numpy", values: ["1", "3"], weight: 0.3, text: "seed numpy: 1 → 3", patches: [] },
  ],
  same: ["3 params", "57 packages", "the git commit"],
  unknown: ["data of the first run: not captured"],
};

async function registered(): Promise<FakeClient> {
  const client = new FakeClient(wineRuns());
  for (const run of [...client.runs].reverse()) {
    await client.call({ op: "register", run_id: run.run_id, name: "wine-rf" });
  }
  await client.call({ op: "promote", name: "wine-rf", version: 1, stage: "Production" });
  await client.call({ op: "promote", name: "wine-rf", version: 3, stage: "Production" });
  await client.call({ op: "promote", name: "wine-rf", version: 2, stage: "Staging" });
  return client;
}

const STEPS = [
  ["load", "reused", 0.02, {}, ["wine"]],
  ["split", "ran", 0.4, { wine: "load", test_size: "" }, ["train", "test"]],
  ["train a forest of many trees", "ran", 12.5, { train: "split", n_estimators: "" }, ["model"]],
  ["train a line", "ran", 1.5, { train: "split" }, ["line"]],
  ["evaluate", "failed", 0.3, { model: "train a forest of many trees", line: "train a line", test: "split" }, []],
  ["register", "not run", 0, {}, []],
] as const;

function pipelineRun(status: string): FakeRun {
  const steps = STEPS.map(([name, told, seconds, inputs, outputs], i) => ({
    name,
    status: told,
    run_id: told === "not run" ? "" : String(i).repeat(32),
    seconds,
    inputs,
    outputs,
    not_kept: name === "evaluate" ? "it is marked reuse=False" : "",
  }));
  return {
    run_id: "ab".repeat(16),
    run_name: "wine",
    status,
    capture: { pipeline: { steps } },
    metrics: { accuracy: 0.93 },
  };
}

const STAMP = {
  reproduced: false,
  at: "2026-01-15T10:00:00+00:00",
  verdict:
    "Not reproduced: 2 of 12 values differ, first metric accuracy was 0.9722 and is 0.9444. Since then changed: scikit-learn 1.8.0 → 1.9.0.",
  compared: 12,
  differences: [
    ["metric", "accuracy", "0.9722222222222222", "0.9444444444444444"],
    ["param", "n_jobs", "–", "4"],
  ],
  changed: ["scikit-learn 1.8.0 → 1.9.0", "the content of wine.csv"],
  not_compared: ["fit_time"],
};

export const SCENES: Record<string, (place: Place) => Promise<void>> = {
  async detail(place) {
    const client = await registered();
    const [run] = client.runs;
    if (run !== undefined) {
      run.capture = CAPTURE;
      run.metrics = { ...run.metrics, val_loss: Array.from({ length: 40 }, (_, i) => 1 / (i + 1)) };
      run.files = { "notes.txt": { kind: "text", text: "A note" } };
    }
    mountDetail(place("Everything about a run, 900 px", 900), client, createState(client, { table: false }), {
      run_id: run?.run_id ?? "",
    });
  },
  async pipeline(place) {
    for (const [width, status] of [
      [1100, "FAILED"],
      [700, "FAILED"],
      [320, "FAILED"],
      [240, "RUNNING"],
    ] as const) {
      const client = new FakeClient([pipelineRun(status)]);
      const mount = width > 1000 ? mountDetail : mountCard;
      mount(place(`A pipeline, ${width} px, ${status}`, width), client, createState(client, { table: false }), {
        run_id: "ab".repeat(16),
      });
    }
  },
  async reproduce(place) {
    const slice = CAPTURE.slice;
    const show = async (title: string, width: number, capture: object, told: Partial<Reproduction> | null) => {
      const [run] = wineRuns();
      const client = new FakeClient(run === undefined ? [] : [{ ...run, capture: { ...capture } }]);
      const answer = {
        run_id: run?.run_id ?? "",
        state: "none",
        done: 0,
        total: 0,
        cell: "",
        elapsed_ms: 0,
        error: "",
      };
      client.answering.set("reproduce", () => ({ ...answer, ...told }) as Reproduction);
      client.answering.set("reproduction", () => ({ ...answer, ...told }) as Reproduction);
      const root = place(title, width);
      mountCard(root, client, createState(client, { table: false }), { run_id: run?.run_id ?? "" });
      await new Promise((done) => setTimeout(done, 60));
      const press = async (name: string): Promise<void> => {
        root.querySelector<HTMLElement>(`[data-nbt="${name}"]`)?.click();
        await new Promise((done) => setTimeout(done, 60));
      };
      await press("reproduce-details");
      if (told !== null) {
        await press("reproduce");
        await (told.state === "none" ? undefined : press("confirm-reproduce"));
      }
    };
    await show("Never reproduced", 600, { slice }, null);
    await show("Asked", 600, { slice }, { state: "none" });
    await show("Under way", 600, { slice }, { state: "running", done: 1, total: 3, cell: "In [5]", elapsed_ms: 4200 });
    await show("Under way, 260 px", 260, { slice }, { state: "running", total: 3 });
    await show("Not reproduced", 600, { slice, reproduced: STAMP }, null);
    const yes = {
      ...STAMP,
      reproduced: true,
      verdict: "Reproduced: 12 values, all exactly the same.",
      differences: [],
    };
    await show("Reproduced, 260 px", 260, { slice, reproduced: { ...yes, changed: [] } }, null);
    await show(
      "Failed",
      600,
      { slice },
      {
        state: "failed",
        error: "reproduce: a clean kernel needs nbclient, which is not installed. pip install 'nbtrack[lab]'",
      },
    );
  },
  async diff(place) {
    const client = new FakeClient(wineRuns());
    client.answering.set("diff", () => DIFF);
    const state = createState(client, { table: false });
    mountDiff(place("Why is this run different?, 800 px", 800), client, state, { run_ids: DIFF.run_ids });
    const many = { ...DIFF, run_ids: ["1", "2", "3"], run_names: ["a", "b", "c"] };
    const three = new FakeClient(wineRuns());
    three.answering.set("diff", () => many);
    mountDiff(place("Three runs", 800), three, createState(three, { table: false }), { run_ids: many.run_ids });
  },
  async report(place) {
    const client = await registered();
    const run_ids = client.runs.map((run) => run.run_id);
    const keys = ["accuracy", "f1_weighted"];
    const data: Saved = {
      title: "Wine: runs and models",
      saved_at: Date.UTC(2026, 0, 16, 9),
      user: "ada",
      info: await client.call({ op: "info" }),
      runs: await client.call({ op: "runs" }),
      series: (await client.call({ op: "series", run_ids, keys })).series,
      details: await Promise.all(run_ids.map((run_id) => client.call({ op: "run", run_id }))),
      artifacts: [],
      models: await client.call({ op: "models" }),
      histories: [await client.call({ op: "history", name: "wine-rf" })],
    };
    const saved = new EmbeddedClient(data);
    mountReport(place("Report, 1000 px", 1000), saved, createState(saved), { data });
  },
};
