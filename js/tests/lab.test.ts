import assert from "node:assert/strict";
import { test } from "node:test";
import { isTracked, parseView, toggledSource, trackLine } from "../src/lab/view";

test("toggledSource puts the line in, takes it out, and brings its arguments back", () => {
  const cell = "%%track forest -e wine\nmodel.fit(X, y)";
  const line = trackLine(cell);
  assert.equal(line, "%%track forest -e wine");
  const bare = toggledSource(cell);
  assert.equal(bare, "model.fit(X, y)");
  assert.equal(toggledSource(bare), "%%track\nmodel.fit(X, y)");
  assert.equal(toggledSource(bare, line), cell);
});

test("isTracked knows the magic only at the top and only whole", () => {
  assert.ok(isTracked("%%track"));
  assert.ok(isTracked("\n  %%track x\n1"));
  assert.ok(!isTracked("x = 1\n%%track"));
  assert.ok(!isTracked("%%tracker"));
  assert.ok(!isTracked("# %%track"));
  assert.equal(toggledSource("%%track"), "");
});

test("parseView reads what our outputs say", () => {
  const said = {
    version: 1,
    view: "compare",
    store: ".nbtrack",
    run_ids: null,
    filter: "metrics.a > 1",
    experiment: "e",
  };
  assert.deepEqual(parseView(said), {
    view: "compare",
    store: ".nbtrack",
    run_ids: null,
    filter: "metrics.a > 1",
    experiment: "e",
    live: null,
    widget: "",
  });
  assert.deepEqual(parseView({ version: 1, view: "card", run_ids: ["a"] }), {
    view: "card",
    store: null,
    run_ids: ["a"],
    filter: "",
    experiment: null,
    live: null,
    widget: "",
  });
});

test("parseView reads which server a card shows", () => {
  const said = { version: 1, view: "server", store: ".nbtrack", run_ids: [], server_id: "a1b2" };
  assert.equal(parseView(said)?.server_id, "a1b2");
});

const foreign: unknown[] = [
  null,
  "text",
  [],
  {},
  { version: 2, view: "compare" },
  { version: 1, view: "other" },
  { version: 1, view: "card", run_ids: [] },
  { version: 1, view: "card", run_ids: [7] },
  { version: 1, view: "card", run_ids: "abc" },
  { version: 1, view: "server", run_ids: [] },
  { version: 1, view: "server", run_ids: [], server_id: 7 },
];
for (const data of foreign) {
  test(`parseView refuses ${JSON.stringify(data)}`, () => {
    assert.equal(parseView(data), null);
  });
}

test("parseView does not trust the types of what a notebook holds", () => {
  const view = parseView({
    version: 1,
    view: "compare",
    store: {},
    run_ids: [{}],
    filter: 7,
    experiment: [],
    live: 3,
    widget: {},
  });
  assert.deepEqual(view, {
    view: "compare",
    store: null,
    run_ids: null,
    filter: "",
    experiment: null,
    live: null,
    widget: "",
  });
});
