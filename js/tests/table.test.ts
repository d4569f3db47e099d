import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClient, type FakeRun, wineRuns } from "../src/clients/fake";
import { placesIn } from "../src/components/ColumnManager";
import { mount as mountTable } from "../src/components/RunTable";
import { sheetOf } from "../src/components/TableMenus";
import { asText } from "../src/export";
import { createState, notebookView, type ViewOptions } from "../src/state";
import { find, host, press, settle } from "./dom";

const names = (root: ParentNode): string[] =>
  [...root.querySelectorAll('[role="rowheader"] .nbt-text')].map((one) => one.textContent ?? "");

const headers = (root: ParentNode): string[] =>
  [...root.querySelectorAll('[role="columnheader"] .nbt-head-text')].map((one) => one.textContent ?? "");

/** What stands below a header, from top to bottom. */
function below(root: ParentNode, head: string): string[] {
  const at = [...root.querySelectorAll<HTMLElement>('[role="columnheader"]')].find(
    (one) => one.querySelector(".nbt-head-text")?.textContent === head,
  )?.dataset.column;
  assert.ok(at !== undefined, `no column ${head} in ${headers(root)}`);
  const cells = [...root.querySelectorAll<HTMLElement>(`.nbt-row [data-column="${at}"]`)];
  return cells.map((cell) => (cell.querySelector(".nbt-text")?.textContent ?? "").trim());
}

async function table(runs: FakeRun[] = wineRuns(), options: ViewOptions = {}, client = new FakeClient(runs)) {
  const root = host();
  const state = createState(client, options);
  mountTable(root, client, state);
  await settle();
  return { root, client, state };
}

async function click(root: ParentNode, name: string, which = 0): Promise<void> {
  const found = [...root.querySelectorAll<HTMLElement>(`[data-nbt="${name}"]`)][which];
  assert.ok(found, `no ${name}`);
  found.click();
  await settle();
}

async function choose(root: ParentNode, id: string, part: string): Promise<void> {
  const line = root.querySelector(`[data-nbt="column"][data-id="${id}"]`);
  assert.ok(line, `no line ${id}`);
  line.querySelector<HTMLElement>(part)?.click();
  await settle();
}

async function type(root: ParentNode, name: string, text: string): Promise<void> {
  const field = find(root, name) as HTMLInputElement;
  field.value = text;
  field.setSelectionRange(text.length, text.length);
  field.dispatchEvent(new Event("input", { bubbles: true }));
  await settle(60);
}

test("the columns' window finds, shows, hides and moves columns", async () => {
  const { root } = await table();
  await click(root, "choose-columns");
  assert.equal(document.activeElement, find(root, "search-columns"));
  await type(root, "search-columns", "crit");
  assert.equal(root.querySelectorAll('[data-nbt="column"]').length, 1);
  await choose(root, "param:criterion", "input");
  assert.ok(headers(root).includes("criterion"));
  await type(root, "search-columns", "");
  await choose(root, "metric:accuracy", "input");
  assert.ok(!headers(root).includes("accuracy"));
  await choose(root, "metric:f1_weighted", ".nbt-moves button:last-child");
  assert.deepEqual(headers(root).slice(0, 3), ["run", "criterion", "f1_weighted"]);
  await click(root, "reset-columns");
  assert.deepEqual(headers(root), ["run", "accuracy", "f1_weighted", "max_features", "n_estimators", "started"]);
  await press(find(root, "columns"), "Escape");
  assert.equal(root.querySelector('[data-nbt="columns"]'), null);
});

test("a metric shows its lowest value and its course beside the last, from the store", async () => {
  const runs = [0, 1].map((n) => ({
    run_id: `${n}`.repeat(32),
    run_name: `r${n}`,
    metrics: { loss: [3 - n, 1, 2 + n] },
  }));
  const { root, client } = await table(runs);
  await click(root, "choose-columns");
  await choose(root, "metric:loss", '[aria-label="loss: min"]');
  await settle(60);
  await choose(root, "metric:loss", '[aria-label="loss: curve"]');
  assert.deepEqual(below(root, "loss"), ["2", "3"]);
  assert.deepEqual(below(root, "min loss"), ["1", "1"]);
  assert.equal(root.querySelectorAll(".nbt-row-curve").length, 2);
  assert.match(root.querySelector(".nbt-row-curve")?.getAttribute("aria-label") ?? "", /^loss: (rises|falls)$/);
  const asked = client.requests.filter((request) => request.op === "series");
  assert.equal(asked.length, 1, "one question for all curves in sight");
});

test("a baseline stands first, and the others show what is better or worse, in words too", async () => {
  const { root, state } = await table();
  state.layout.value = { ...state.layout.value, baseline: wineRuns()[1]?.run_id ?? null };
  await settle();
  assert.deepEqual(names(root), ["rf-1-0.5", "rf-100-0.5", "rf-1-0.1"]);
  assert.deepEqual(below(root, "Δ accuracy"), ["=", "▲ 0.11 better", "▼ 0.056 worse"]);
  state.sort.value = [{ column: "metric:accuracy", descending: false }];
  await settle();
  assert.deepEqual(names(root), ["rf-1-0.5", "rf-1-0.1", "rf-100-0.5"], "the baseline stays where it is");
});

test("groups show the mean of each metric, and open to their runs", async () => {
  const { root, state } = await table();
  state.layout.value = { ...state.layout.value, group: "param:n_estimators" };
  await settle();
  assert.deepEqual(names(root), ["n_estimators: 100", "n_estimators: 1"]);
  assert.deepEqual(below(root, "accuracy"), ["⌀ 1", "⌀ 0.8611"]);
  const heads = [...root.querySelectorAll<HTMLElement>('[data-nbt="group"]')];
  heads[1]?.click();
  await settle();
  assert.deepEqual(names(root), ["n_estimators: 100", "n_estimators: 1", "rf-1-0.5", "rf-1-0.1"]);
  assert.equal(heads[1]?.getAttribute("aria-expanded"), "true");
  await click(root, "clear-group");
  assert.equal(names(root).length, 3);
});

test("the filter speaks search_runs, offers how to go on, and says what it cannot read", async () => {
  const { root, state } = await table();
  await type(root, "filter", "metrics.acc");
  const offers = (): string[] =>
    [...root.querySelectorAll('[data-nbt="offer"] :first-child')].map((one) => one.textContent ?? "");
  assert.deepEqual(offers(), ["metrics.accuracy"]);
  const field = find(root, "filter");
  await press(field, "ArrowDown");
  assert.equal(
    field.getAttribute("aria-activedescendant"),
    root.querySelector('[aria-selected="true"][role=option]')?.id,
  );
  await press(field, "Enter");
  assert.equal(state.filter.value, "metrics.accuracy ");
  assert.ok(offers().includes(">="));
  await type(root, "filter", "metrics.accuracy > 0.85 AND params.n_estimators = '1'");
  assert.deepEqual(names(root), ["rf-1-0.5"]);
  await type(root, "filter", "metrics.accuracy >");
  assert.equal(root.querySelector('[data-nbt="filter-failure"]'), null, "nobody is told off while an offer stands");
  await press(find(root, "filter"), "Escape");
  assert.match(find(root, "filter-failure").textContent ?? "", /cannot be read/);
  assert.deepEqual(names(root), ["rf-1-0.5"], "what was shown stays while one types");
  await type(root, "filter", "rf-100");
  assert.deepEqual(names(root), ["rf-100-0.5"]);
  assert.equal(root.querySelector('[data-nbt="filter-failure"]'), null);
});

test("what is brushed in a plot narrows the table, and can be let go", async () => {
  const { root, state } = await table();
  state.brush.value = "metrics.accuracy > 0.85";
  await settle(60);
  assert.deepEqual(names(root), ["rf-100-0.5", "rf-1-0.5"]);
  await click(root, "clear-brush");
  await settle(60);
  assert.equal(names(root).length, 3);
});

test("a name is written in its cell with F2, and an unchanged one is not sent", async () => {
  const { root, client } = await table();
  const grid = find(root, "runs");
  await press(grid, "F2");
  const field = find(root, "cell-input") as HTMLInputElement;
  assert.equal(field.value, "rf-100-0.5");
  field.value = "champion <b>";
  await press(field, "Enter");
  await settle();
  assert.equal(names(root)[0], "champion <b>");
  assert.equal(client.runs[0]?.run_name, "champion <b>");
  await press(grid, "F2");
  await press(find(root, "cell-input"), "Enter");
  assert.equal(client.requests.filter((request) => request.op === "edit_run").length, 1);
});

test("a run goes to the trash, comes back by Undo, and is found in the trash", async () => {
  const { root, client } = await table();
  await press(find(root, "runs"), "Delete");
  await settle();
  assert.deepEqual(names(root), ["rf-1-0.5", "rf-1-0.1"]);
  assert.equal(client.runs[0]?.deleted, true);
  await click(root, "undo-trash");
  assert.equal(names(root).length, 3);
  await press(find(root, "runs"), "Delete");
  await click(root, "more-table");
  await click(root, "show-trash");
  await settle(60);
  assert.deepEqual(names(root), ["rf-100-0.5"]);
  await press(find(root, "runs"), "Delete");
  await settle(60);
  assert.match(find(root, "empty").textContent ?? "", /trash is empty/);
});

test("the menu of a run opens by key, is walked by arrows, and pins the baseline", async () => {
  const { root, state } = await table();
  await press(find(root, "runs"), "F10", { shiftKey: true });
  const items = [...root.querySelectorAll<HTMLElement>("[role^=menuitem]")];
  assert.equal(document.activeElement, items[0]);
  await press(items[0] as HTMLElement, "ArrowDown");
  assert.equal(document.activeElement, items[1]);
  await click(root, "pin-baseline");
  assert.equal(state.layout.value.baseline, wineRuns()[0]?.run_id);
  assert.equal(root.querySelector("[role=menu]"), null);
});

test("columns are widened and moved by keys alone", async () => {
  const { root, state } = await table();
  const grid = find(root, "runs");
  await press(grid, "ArrowUp");
  await press(grid, "ArrowRight");
  const width = Number.parseInt(root.querySelector<HTMLElement>('[data-id="metric:accuracy"]')?.style.width ?? "", 10);
  await press(grid, "ArrowRight", { altKey: true });
  assert.equal(state.layout.value.widths["metric:accuracy"], width + 16);
  await press(grid, "ArrowRight", { altKey: true, shiftKey: true });
  assert.deepEqual(headers(root).slice(1, 3), ["f1_weighted", "accuracy"]);
  await press(grid, "a");
  assert.ok(headers(root).includes("criterion"));
});

test("a view keeps all of it by name, in the store, for whoever opens it", async () => {
  const { root, client, state } = await table();
  state.layout.value = { ...state.layout.value, group: "param:max_features", hidden: ["metric:f1_weighted"] };
  state.sort.value = [{ column: "metric:accuracy", descending: true }];
  await click(root, "saved-views");
  await type(root, "view-name", "by features");
  await click(root, "save-view");
  const other = await table([], {}, client);
  await click(other.root, "saved-views");
  await click(other.root, "use-view");
  assert.deepEqual(other.state.saved(), state.saved());
  await click(other.root, "saved-views");
  await click(other.root, "delete-view");
  assert.equal(other.root.querySelectorAll('[data-nbt="use-view"]').length, 0);
});

test("a notebook finds the view that was kept for it", async () => {
  const first = await table(wineRuns(), { notebook: "a.ipynb" });
  first.state.showAll.value = true;
  await click(first.root, "saved-views");
  await click(first.root, "save-notebook-view");
  const again = await table([], { notebook: "a.ipynb" }, first.client);
  assert.equal(again.state.showAll.value, true);
  const other = await table([], { notebook: "b.ipynb" }, first.client);
  assert.equal(other.state.showAll.value, false);
  await click(other.root, "saved-views");
  assert.equal(other.root.textContent?.includes(notebookView("a.ipynb")), false);
});

test("the table is copied as it is shown", async () => {
  const { client, state } = await table();
  state.filter.value = "rf-1-";
  const sheet = await sheetOf(client, state);
  assert.equal(
    asText(sheet, "markdown").split("\n").slice(0, 3).join("\n"),
    "| run | accuracy | f1\\_weighted | max\\_features | n\\_estimators | started |\n" +
      "| --- | ---: | ---: | ---: | ---: | ---: |\n" +
      "| rf-1-0.5 | 0.8889 | 0.8871 | 0.5 | 1 | Jan 15, 2026 |",
  );
  assert.match(asText(sheet, "dataframe"), /"accuracy": \[0\.8889, 0\.8333\],/);
});

const MANY = 5000;
const COLUMNS = 300;

function manyRuns(): FakeRun[] {
  return Array.from({ length: MANY }, (_, i) => ({
    run_id: i.toString(16).padStart(32, "0"),
    run_name: `run ${i}`,
    params: Object.fromEntries(Array.from({ length: COLUMNS }, (_, k) => [`p${k}`, String((i * 7 + k) % 50)])),
    metrics: { loss: (i * 37) % MANY },
  }));
}

test("a large table holds and fetches only what is in sight, sorted and filtered by the store", async () => {
  const { root, client, state } = await table(manyRuns());
  await settle(80);
  assert.equal(state.runs.value?.whole, false);
  assert.equal(find(root, "runs").getAttribute("aria-rowcount"), String(MANY + 1));
  assert.equal(find(root, "runs").getAttribute("aria-colcount"), String(COLUMNS + 3));
  const cells = root.querySelectorAll(".nbt-row .nbt-cell").length;
  assert.ok(cells > 50 && cells < 1500, `${cells} cells in the page`);
  const last = client.requests.filter((request) => request.op === "runs").at(-1);
  assert.ok(last?.op === "runs" && (last.columns?.length ?? 0) < 40 && last.limit === 200, JSON.stringify(last));
  state.sort.value = [{ column: "metric:loss", descending: true }];
  await settle(120);
  assert.equal(below(root, "loss")[0], String(MANY - 1));
  await type(root, "filter", "loss<10");
  await settle(80);
  assert.equal(find(root, "count").textContent, `10 of ${MANY} runs`);
});

test("a large table is scrolled: what is not there yet is a blank row, then the run", async () => {
  const { root, client, state } = await table(manyRuns());
  await settle(80);
  let release: () => void = () => undefined;
  client.gate = new Promise((resolve) => {
    release = resolve;
  });
  const frame = root.querySelector(".nbt-grid-frame") as HTMLElement;
  frame.scrollTop = 28 * 3000;
  frame.dispatchEvent(new Event("scroll"));
  await settle();
  assert.ok(root.querySelectorAll(".nbt-coming").length > 5);
  release();
  await settle(60);
  assert.equal(root.querySelectorAll(".nbt-coming").length, 0);
  assert.ok(names(root).includes("run 3000"), names(root).join());
  assert.ok(state.known("0".repeat(32)), "runs that were seen keep their names");
});

test("a new run appears above, and what was chosen, sorted and scrolled stays", async () => {
  const { root, client, state } = await table();
  state.sort.value = [{ column: "metric:accuracy", descending: false }];
  state.toggle(wineRuns()[2]?.run_id ?? "");
  const chosen = [...state.selected.value];
  client.add({ run_id: "9".repeat(32), run_name: "fresh", metrics: { accuracy: 0.1 } });
  await settle();
  assert.deepEqual(names(root), ["fresh", "rf-1-0.1", "rf-1-0.5", "rf-100-0.5"]);
  assert.deepEqual([...state.selected.value], chosen);
});

test("when a run logs, its own cells alone are touched", async () => {
  const runs = wineRuns();
  const { root, client } = await table(runs);
  const touched: Node[] = [];
  const observer = new MutationObserver((found) => touched.push(...found.map((one) => one.target)));
  observer.observe(root.querySelector('[role="grid"]') as Element, {
    attributes: true,
    characterData: true,
    childList: true,
    subtree: true,
  });
  client.change(runs[1]?.run_id ?? "", { metrics: { ...runs[1]?.metrics, accuracy: 0.7654 } });
  await settle();
  observer.disconnect();
  assert.match(below(root, "accuracy").join(), /0\.7654?/);
  const rows = touched.map((node) => (node instanceof Element ? node : node.parentElement)?.closest("[data-run]"));
  assert.ok(touched.length > 0);
  assert.deepEqual(
    [...new Set(rows.map((row) => (row as HTMLElement | null)?.dataset.run))],
    [runs[1]?.run_id],
    "another row was touched",
  );
});

test("until the user chooses, what is drawn are the first rows as they are filtered and sorted", async () => {
  const runs: FakeRun[] = Array.from({ length: 20 }, (_, i) => ({
    run_id: String(i).padStart(32, "0"),
    run_name: i % 2 === 0 ? `even-${i}` : `odd-${i}`,
    metrics: { accuracy: i / 20 },
  }));
  const { state } = await table(runs);
  state.filter.value = "odd";
  state.sort.value = [{ column: "metric:accuracy", descending: true }];
  await settle();
  const drawn = [...state.selected.value].map((id) => state.known(id)?.name);
  assert.deepEqual(
    drawn,
    [19, 17, 15, 13, 11, 9, 7, 5].map((i) => `odd-${i}`),
  );
  state.toggle(runs[0]?.run_id ?? "");
  state.filter.value = "even-4";
  await settle();
  assert.equal(state.selected.value.size, 9, "what was chosen stays");
});

test("under a filter, a column that none of the shown runs has is left out unless it was asked for", async () => {
  const runs: FakeRun[] = ["svm", "rf", "rf", "rf"].map((kind, i) => ({
    run_id: String(i).padStart(32, "0"),
    run_name: `${kind}-${i}`,
    metrics: { accuracy: i / 9, ...(kind === "svm" ? { margin: 0.3 } : {}) } as Record<string, number>,
  }));
  const { root, state } = await table(runs);
  assert.ok(headers(root).includes("margin"));
  state.filter.value = "rf";
  await settle();
  assert.ok(!headers(root).includes("margin"));
  assert.ok(headers(root).includes("accuracy"));
  state.showAll.value = true;
  await settle();
  assert.ok(headers(root).includes("margin"));
  state.showAll.value = false;
  state.sort.value = [{ column: "metric:margin", descending: false }];
  await settle();
  assert.ok(headers(root).includes("margin"), "it is sorted by");
});

test("placesIn lists what is shown first, then leaves what is hidden where it was", () => {
  const all = ["a", "b", "c", "d"];
  const first = placesIn([], all, ["c", "a"]);
  assert.deepEqual(first, ["c", "a", "b", "d"]);
  assert.deepEqual(placesIn(first, all, ["a"]), ["c", "a", "b", "d"]);
  assert.deepEqual(placesIn(first, all, ["a", "c"]), ["a", "c", "b", "d"]);
  assert.deepEqual(placesIn(first, [...all, "e"], ["c", "a", "e"]), ["c", "a", "b", "d", "e"]);
  assert.deepEqual(placesIn(first, ["a", "b"], ["a"]), ["a", "b"]);
});
