import assert from "node:assert/strict";
import { test } from "node:test";
import { brushQuery } from "../src/brush";
import { EmbeddedClient, type Saved } from "../src/clients/embedded";
import { FakeClient, wineRuns } from "../src/clients/fake";
import { rangesOf } from "../src/components/Parallel";
import { mount as mountPlots } from "../src/components/Plots";
import { mount as mountReport } from "../src/components/Report";
import { mount as mountDetail } from "../src/components/RunDetail";
import { mount as mountDiff } from "../src/components/RunDiff";
import { commonFiles } from "../src/components/SideBySide";
import { align, type Line, lineOf, partsOf } from "../src/curves";
import { readRecord } from "../src/record";
import { createState } from "../src/state";
import { bestText, qualityText, standings, standingText } from "../src/summary";
import type { AnyRequest, Figure, History, Model, RunDetail, RunDiff, Runs, Series, Version } from "../src/wire";
import { click, find, host, settle } from "./dom";

// Here everything is in sight; what is not is only asked for once it is.
Reflect.deleteProperty(globalThis, "IntersectionObserver");

const CAPTURE = {
  source: "%%track\nx = 1",
  execution_count: 7,
  slice: {
    cells: [
      { execution_count: 3, cell_id: null, source: "import a", reads: [], writes: ["a"], this: false },
      { execution_count: 7, cell_id: "c", source: "%%track\nx = 1", reads: ["a"], writes: ["x"], this: true },
    ],
    complete: false,
    missing: ["helper() is gone"],
  },
  data: [
    {
      name: "df",
      kind: "DataFrame",
      shape: [10, 2],
      digest: "ab".repeat(32),
      sampled: true,
      size_bytes: 160,
      path: null,
    },
  ],
  seeds: { numpy: 3 },
  usage: {
    wall_s: 12.5,
    peak_memory_bytes: 5e8,
    cpu_percent: [50, 240],
    gpu: [{ name: "A100", memory_bytes: 4e9, percent: 97 }],
  },
  packages: { numpy: "2.4" },
  python: "3.11.7",
  git: { commit: "abc", diff: "-a\n+b" },
  stdout: "hello\n",
  captured: ["1 param"],
};

async function detail(capture: Record<string, unknown> = CAPTURE, files = {}) {
  const runs = wineRuns();
  const [first] = runs;
  assert.ok(first);
  first.capture = capture;
  first.files = files;
  const client = new FakeClient(runs);
  const root = host();
  const state = createState(client, { table: false });
  mountDetail(root, client, state, { run_id: first.run_id });
  await settle();
  return { root, client, state };
}

const textOf = (root: ParentNode, name: string): string => find(root, name).textContent ?? "";

test("RunDetail shows params, metrics, the cells in order, data, seeds, environment and output", async () => {
  const { root } = await detail();
  assert.match(textOf(root, "section-metrics"), /accuracy1▲ 0\.11 better/);
  assert.match(textOf(root, "section-params"), /n_estimators100/);
  const cells = [...root.querySelectorAll('[data-nbt="slice-cell"]')].map((one) => one.textContent ?? "");
  assert.equal(cells.length, 2);
  assert.match(cells[0] ?? "", /cell \[3\].*makes a.*import a/s);
  assert.match(cells[1] ?? "", /the tracked cell.*reads a/s);
  assert.match(textOf(root, "section-cells"), /Not everything could be followed: helper\(\) is gone/);
  assert.match(textOf(root, "data-read"), /dfDataFrame10 × 2160 Babababababab of a sample/);
  assert.match(
    textOf(root, "section-environment"),
    /Python3\.11\.7.*git commitabc.*seed of numpy3.*wall12\.5 s.*peak memory500 MB.*GPU A1004 GB, 97 %.*processor.*at most 240 %/s,
  );
  assert.match(textOf(root, "stdout"), /hello/);
});

test("RunDetail of a run that captured nothing leaves out what it does not have", async () => {
  const { root } = await detail({});
  for (const name of ["section-cells", "section-data", "section-environment", "section-output"]) {
    assert.equal(root.querySelector(`[data-nbt="${name}"]`), null, name);
  }
});

test("RunDetail does not trust the types of what was captured", async () => {
  const odd = {
    source: 3,
    slice: [1],
    data: { a: 1 },
    seeds: "x",
    usage: null,
    packages: [1],
    git: 5,
    captured: 7,
    error: { message: {} },
  };
  const { root } = await detail(odd);
  assert.match(textOf(root, "run-name"), /rf-100-0\.5/);
  assert.deepEqual(readRecord(odd).cells, []);
});

test("RunDetail previews files: text, table, image; HTML and SVG only in a frame without an origin", async () => {
  const table = { columns: ["a"], rows: [[1], ["<b>"]], total: 3 };
  const { root } = await detail(CAPTURE, {
    "notes.txt": { kind: "text", text: "<img src=x>", cut: true },
    "rows.csv": { kind: "table", table },
    "page.html": { kind: "html", text: "<script>parent.hacked = 1</script>" },
    "drawing.svg": { kind: "svg", text: "<svg onload='parent.hacked = 1'/>" },
  });
  const open = async (path: string): Promise<HTMLElement> => {
    const line = root.querySelector<HTMLElement>(`[data-nbt="file"][data-path="${path}"]`);
    assert.ok(line);
    line.querySelector("button")?.click();
    await settle();
    return line;
  };
  assert.equal((await open("notes.txt")).querySelector("pre")?.textContent, "<img src=x>");
  assert.match((await open("rows.csv")).textContent ?? "", /The first 2 of 3 rows/);
  const page = (await open("page.html")).querySelector("iframe");
  assert.equal(page?.getAttribute("sandbox"), "allow-scripts");
  assert.match(page?.getAttribute("srcdoc") ?? "", /Content-Security-Policy" content="default-src 'none'/);
  assert.equal((await open("drawing.svg")).querySelector("iframe")?.getAttribute("sandbox"), "");
  assert.equal((globalThis as { hacked?: number }).hacked, undefined);
});

const DIFF: RunDiff = {
  run_ids: ["1", "2"],
  run_names: ["a", "b"],
  verdict: "Most likely: C: 0.1 → 3.0.",
  metrics: [{ key: "accuracy", values: [0.5, 0.75], better: "higher" }],
  differences: [
    { kind: "param", key: "C", values: ["0.1", "3.0"], weight: 0.9, text: "C: 0.1 → 3.0", patches: [] },
    {
      kind: "cell",
      key: "cell",
      values: ["x", "y"],
      weight: 0.2,
      text: "changed",
      patches: ["", "--- a\n+++ b\n@@ -1 +1 @@\n-x\n+<b>y\n z"],
    },
  ],
  same: ["2 params"],
  unknown: ["data: not captured"],
};

async function diff(answer: RunDiff) {
  const client = new FakeClient(wineRuns());
  client.answering.set("diff", () => answer);
  const root = host();
  mountDiff(root, client, createState(client, { table: false }), { run_ids: answer.run_ids });
  await settle();
  return root;
}

test("RunDiff of two runs is one list, most likely first, with the code as a diff", async () => {
  const root = await diff(DIFF);
  assert.equal(textOf(root, "verdict"), "Most likely: C: 0.1 → 3.0.");
  const rows = [...root.querySelectorAll('[data-nbt="difference"]')].map((one) => one.textContent ?? "");
  assert.match(rows[0] ?? "", /likelyParamC: 0\.1 → 3\.0/);
  assert.match(rows[1] ?? "", /unlikelyTracked cell/);
  const lines = [...find(root, "patch").querySelectorAll("span")].map((one) => [one.className, one.textContent]);
  assert.deepEqual(lines.slice(1, 3), [
    ["nbt-line-cut", "-x\n"],
    ["nbt-line-add", "+<b>y\n"],
  ]);
  assert.match(textOf(root, "diff-metrics"), /▲ 0\.25 better/);
  assert.match(root.textContent ?? "", /Could not be compared: data: not captured/);
});

test("RunDiff of three runs is a table; of one it says what to do", async () => {
  const many = { ...DIFF, run_ids: ["1", "2", "3"], run_names: ["a", "b", "c"] };
  const root = await diff({
    ...many,
    metrics: [],
    differences: [{ ...DIFF.differences[0], values: ["1", "2", null] } as never],
  });
  assert.match(textOf(root, "diff-table"), /likelyParam C12–/);
  assert.match((await diff({ ...DIFF, run_ids: ["1"] })).textContent ?? "", /Mark two runs/);
});

test("Plots asks for a figure of all runs, says its words, and shows its numbers", async () => {
  const client = new FakeClient(wineRuns());
  const figure: Figure = {
    title: "What accuracy depends on",
    note: "Too few runs",
    spec: { data: [], layout: {} },
    table: { columns: [], rows: [], total: 0 },
  };
  client.answering.set("figure", () => figure);
  const root = host();
  mountPlots(root, client, createState(client));
  await settle();
  await click(root, "plot-importance");
  const asked = client.requests.filter((one): one is Extract<AnyRequest, { op: "figure" }> => one.op === "figure");
  assert.deepEqual(
    asked[0]?.run_ids,
    client.runs.map((run) => run.run_id),
  );
  assert.equal(asked[0]?.kind, "importance");
  assert.match(textOf(root, "figure"), /Too few runs/);
});

test("brushes become a filter: numbers, logarithms, categories, several ranges", () => {
  const axis = (id: string, more = {}) => ({ id, label: id, log: false, categories: [], ...more });
  assert.equal(
    brushQuery([{ axis: axis("metric:acc"), ranges: [[0.5, 0.75]] }]),
    "metrics.`acc` >= 0.5 AND metrics.`acc` <= 0.75",
  );
  assert.equal(
    brushQuery([{ axis: axis("param:lr", { log: true }), ranges: [[-3, -1]] }]),
    "number(params.`lr`) >= 0.001 AND number(params.`lr`) <= 0.1",
  );
  assert.equal(
    brushQuery([{ axis: axis("param:opt", { categories: ["a", "it's", "c"] }), ranges: [[0.6, 2.4]] }]),
    "params.`opt` IN ('it''s', 'c')",
  );
  const two = brushQuery([{ axis: axis("metric:a"), ranges: [[0, 1], [2, 3]] }]); // biome-ignore format: two ranges
  assert.match(two, /^\(\(.*\) OR \(.*\)\)$/);
  assert.equal(
    brushQuery([
      { axis: axis("metric:a"), ranges: [] },
      { axis: axis("metric:`"), ranges: [[0, 1]] },
    ]),
    "",
  );
  assert.deepEqual(rangesOf([1, 2]), [[1, 2]]);
  assert.deepEqual(rangesOf([[1, 2], [3, 4]]), [[1, 2], [3, 4]]); // biome-ignore format: as plotly gives them
  assert.deepEqual(rangesOf(null), []);
});

const series = (step: number[], value: (number | string)[], smooth: number[] | null = null): Series => ({
  run_id: "r",
  key: "k",
  step,
  value,
  time: step.map((at) => 1000 + at),
  count: step.length,
  start: 1000,
  smooth,
});

test("align puts curves on one x: open where a line has no point, broken where a value cannot be drawn", () => {
  const lines = [lineOf(series([0, 1, 2], [1, "NaN", 3]), "a", 0, "step"), lineOf(series([1], [5]), "b", 1, "step")];
  assert.deepEqual(align(lines, { logX: false, logY: false }), [
    [0, 1, 2],
    [1, null, 3],
    [undefined, 5, undefined],
  ]);
  const log = align([lineOf(series([0, 1], [-1, 2]), "a", 0, "step")], { logX: true, logY: true });
  assert.deepEqual(log, [[1], [2]]);
});

test("a smoothed line keeps its raw values behind it, and relative time starts at zero", () => {
  const line: Line = lineOf(series([0, 1], [1, 3], [1, 2]), "a", 0, "relative");
  assert.deepEqual([line.x, line.y, line.raw], [[0, 1], [1, 2], [1, 3]]); // biome-ignore format: x, y, raw
  assert.deepEqual(partsOf([line]).map((part) => part.role), ["raw", "main"]); // biome-ignore format: short
});

const version = (number: number, stage: string, accuracy: number): Version =>
  ({
    version: number,
    stage,
    metrics: { accuracy, rows: 5 },
    user: "ada",
    description: "",
    aliases: [],
    run_id: null,
    run_name: "",
    flavor: "",
    created_at: 0,
  }) as unknown as Version;

const MODEL = {
  name: "wine",
  description: "",
  versions: [version(2, "Production", 0.9), version(1, "Archived", 0.8)],
  last_commit: 2,
} as unknown as Model;
const HISTORY: History = {
  name: "wine",
  commits: [
    {
      number: 2,
      action: "promote",
      at: Date.UTC(2026, 0, 2),
      user: "ben",
      note: "Better",
      blocked_by: null,
      text: "",
      changes: [
        { version: 2, before: "None", after: "Production" },
        { version: 1, before: "Production", after: "Archived" },
      ],
    },
  ],
} as unknown as History;
const RUNS = {
  run_ids: ["1", "2"],
  columns: [
    { kind: "attribute", key: "run_name", values: ["a", "b"], varies: true, numeric: false, better: null },
    { kind: "metric", key: "accuracy", values: [0.8, 0.9], varies: true, numeric: true, better: "higher" },
  ],
  colors: [0, 1],
  total: 2,
  revision: "1",
  offset: 0,
  whole: true,
} as Runs;

test("a report says which model, how good, since when and by whom", () => {
  const known = new Map([["accuracy", "higher" as const]]);
  const [standing] = standings(MODEL, ["None", "Staging", "Production", "Archived"], HISTORY, known);
  assert.ok(standing);
  assert.match(standingText(standing), /^wine is in Production with version 2 since .*2026.*, moved there by ben\.$/);
  assert.deepEqual(standing.quality.map(qualityText), [
    "Its accuracy is 0.9, better than the 0.8 of the version before.",
    "Its rows is 5, the same as that of the version before.",
  ]);
  assert.equal(bestText(RUNS), "Of 2 runs, b has the highest accuracy: 0.9.");
  const rare = {
    kind: "metric",
    key: "acc",
    values: [0.5, null],
    varies: true,
    numeric: true,
    better: "higher",
  } as const;
  const [name, accuracy] = RUNS.columns as [Runs["columns"][number], Runs["columns"][number]];
  const some = { ...RUNS, columns: [name, { ...rare, values: [0.5, null] }, accuracy] };
  assert.equal(bestText(some), bestText(RUNS)); // what most runs have, not what comes first
  assert.equal(bestText({ ...some, columns: some.columns.slice(0, 2) }), "One run was measured: a, with acc 0.5.");
});

test("Report shows the verdict and the runs, and needs nobody to answer", async () => {
  const details = [
    { ...(await new FakeClient(wineRuns()).call({ op: "run", run_id: wineRuns()[0]?.run_id ?? "" })), run_id: "1" },
  ];
  const data = {
    title: "<b>Wine</b>",
    saved_at: Date.UTC(2026, 0, 3),
    user: "ada",
    info: { server: "0.1.0" },
    runs: RUNS,
    series: [],
    details,
    artifacts: [],
    models: { models: [MODEL], stages: ["None", "Staging", "Production", "Archived"] },
    histories: [HISTORY],
  } as unknown as Saved;
  const root = host();
  const client = new EmbeddedClient(data);
  const state = createState(client);
  mountReport(root, client, state, { data });
  await settle();
  assert.equal(root.querySelector("h1")?.textContent, "<b>Wine</b>");
  assert.match(textOf(root, "standing"), /wine is in Production with version 2/);
  assert.equal(root.querySelectorAll('[role="row"][data-run]').length, 2);
  assert.equal(root.querySelector('[data-nbt="register"]'), null);
  state.current.value = "1";
  await settle();
  assert.ok(find(root, "run-detail"));
  state.current.value = "2";
  await settle();
  assert.match(root.textContent ?? "", /No more of this run was saved/);
});

test("files of several runs: those of most runs first, a model's own files left out", () => {
  const run = (paths: string[]): RunDetail =>
    ({
      artifacts: paths.map((path) => ({ path, size_bytes: 1, digest: "" })),
      models: [{ artifact_path: "model" }],
    }) as unknown as RunDetail;
  assert.deepEqual(
    commonFiles([run(["b.png", "a.png", "model/x.json", "w.pkl"]), run(["b.png", "nbtrack/slice.json"])]),
    ["b.png", "a.png"],
  );
});
