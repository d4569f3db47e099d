import assert from "node:assert/strict";
import { test } from "node:test";
import { asText, type Sheet } from "../src/export";
import { aggregateId, atBestId, fieldOf, moving, ordered, PLAIN, parseSaved } from "../src/layout";
import { both, complete, isQuery, type Known, wordsAsQuery } from "../src/query";
import type { CatalogColumn } from "../src/wire";

const column = (kind: CatalogColumn["kind"], key: string, numeric = true): CatalogColumn => ({
  kind,
  key,
  count: 1,
  varies: true,
  numeric,
  better: null,
});
const known: Known = {
  columns: [
    column("metric", "acc"),
    column("param", "my key"),
    column("param", "kind", false),
    column("tag", "note", false),
  ],
  values: (kind, key) => (kind === "param" && key === "kind" ? ["rf", "it's", "rf", null] : []),
};
const offered = (text: string): string[] => complete(text, text.length, known).offers.map((offer) => offer.text);

test("isQuery tells the language of search_runs from words", () => {
  for (const text of [
    "metrics.acc > 0.9",
    " (params.`my key` = '1')",
    "not tags.x is null",
    "status = 'FAILED'",
    "min(metrics.loss) < 1",
  ]) {
    assert.equal(isQuery(text), true, text);
  }
  for (const text of ["", "forest", "accuracy>0.9", "status", "min", "name of it", "running fast"]) {
    assert.equal(isQuery(text), false, text);
  }
});

test("complete offers keys, then comparisons, then values, then how to join", () => {
  assert.deepEqual(offered("param"), ["params.`my key`", "params.kind"]);
  assert.ok(offered("params.kind ").includes("LIKE"));
  assert.deepEqual(offered("params.kind = "), ["'rf'", "'it''s'"]);
  assert.deepEqual(offered("params.kind = 'r"), ["'rf'"]);
  assert.deepEqual(offered("params.kind = 'rf' "), ["AND", "OR"]);
  assert.equal(complete("metrics.acc > 1 AND par", 23, known).from, 20);
  assert.ok(offered("status = ").includes("'FAILED'"));
});

test("wordsAsQuery lets the store look for words, and quotes what would end a text", () => {
  assert.equal(
    wordsAsQuery("it's acc>0.5", known.columns),
    "(run_name ILIKE '%it''s%' OR status ILIKE '%it''s%' OR params.`my key` ILIKE '%it''s%' OR" +
      " params.kind ILIKE '%it''s%' OR tags.note ILIKE '%it''s%') AND metrics.acc > 0.5",
  );
  assert.equal(wordsAsQuery("nothing>1", known.columns), "run_id = 'none'");
  assert.equal(both("a = 1", ""), "a = 1");
  assert.equal(both("a = 1 or b = 2", "c = 3"), "(a = 1 or b = 2) AND (c = 3)");
});

test("fieldOf and the ids of what is computed are in the language of search_runs", () => {
  assert.equal(fieldOf("metric", "val/acc"), "metrics.val/acc");
  assert.equal(fieldOf("tag", "my tag"), "tags.`my tag`");
  assert.equal(fieldOf("metric", "min(metrics.loss)"), "min(metrics.loss)");
  assert.equal(fieldOf("attribute", "experiment"), "experiment_id");
  assert.equal(aggregateId("min", "loss"), "metric:min(metrics.loss)");
  assert.equal(atBestId("loss", "acc", "higher"), "metric:at_max(metrics.loss, metrics.acc)");
});

test("moving puts a column elsewhere, and columns nobody moved stay by their neighbours", () => {
  const ids = ["a", "b", "c", "d"];
  const layout = moving(PLAIN, ids, "c", -2);
  assert.deepEqual(layout.order, ["c", "a", "b", "d"]);
  const columns = ["a", "new", "b", "c", "d"].map((id) => ({ id }));
  assert.deepEqual(
    ordered(columns, layout.order).map((one) => one.id),
    ["c", "a", "new", "b", "d"],
  );
  assert.equal(moving(PLAIN, ids, "a", -1), PLAIN);
});

test("parseSaved does not trust what it reads", () => {
  assert.equal(parseSaved(null), null);
  assert.equal(parseSaved({ version: 2, layout: {} }), null);
  const saved = parseSaved({
    version: 1,
    layout: { order: ["a", 1], widths: { a: "x", b: 9 }, baseline: 3 },
    sort: [{}],
    filter: 5,
  });
  assert.deepEqual(saved, {
    version: 1,
    layout: { order: ["a"], hidden: [], added: [], widths: { b: 9 }, baseline: null, group: null },
    sort: [],
    filter: "",
    showAll: false,
  });
});

const sheet: Sheet = {
  heads: ["run", "a|b", "x_1"],
  numeric: [false, false, true],
  rows: [
    ["=cmd()|<b>", 'say "hi", ok', 0.5],
    ["a\nb", null, "NaN"],
    ["50% & {x}", "-1", "-0.25"],
  ],
  format: (value) => (value === null || value === undefined ? "" : String(value)),
};

test("asText writes a table that says the same in every form, and that nothing runs", () => {
  assert.deepEqual(asText(sheet, "csv").split("\n"), [
    "run,a|b,x_1",
    '\'=cmd()|<b>,"say ""hi"", ok",0.5',
    '"a',
    'b",,NaN',
    "50% & {x},-1,-0.25",
  ]);
  assert.deepEqual(asText(sheet, "markdown").split("\n").slice(0, 4), [
    "| run | a\\|b | x\\_1 |",
    "| --- | --- | ---: |",
    '| =cmd()\\|\\<b\\> | say "hi", ok | 0.5 |',
    "| a b |  | NaN |",
  ]);
  assert.match(asText(sheet, "latex"), /\\begin\{tabular\}\{llr\}[\s\S]* {2}50\\% \\& \\\{x\\\} & -1 & -0\.25 \\\\\n/);
  assert.match(asText(sheet, "dataframe"), /"x_1": \[0\.5, float\("nan"\), -0\.25\],/);
  assert.match(asText(sheet, "dataframe"), /"a\|b": \["say \\"hi\\", ok", None, "-1"\],/);
});

test("several stores together are filtered by the store, and only they offer it", () => {
  assert.ok(isQuery("store = 'final'"));
  const store = { kind: "attribute", key: "store", count: 4, varies: true, numeric: false, better: null } as const;
  const values = (): string[] => ["final", "tuning"];
  const offered = (text: string, columns: (typeof store)[]): string[] =>
    complete(text, text.length, { columns, values }).offers.map((one) => one.text);
  assert.deepEqual(offered("stor", [store]), ["store"]);
  assert.deepEqual(offered("stor", []), []);
  assert.deepEqual(offered("store = ", [store]), ["'final'", "'tuning'"]);
  assert.match(wordsAsQuery("fin", [store]), /store ILIKE '%fin%'/);
});
