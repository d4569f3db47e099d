import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClient, wineRuns } from "../src/clients/fake";
import { mount as mountModels } from "../src/components/ModelVersions";
import { mount as mountCard } from "../src/components/RunCard";
import { mountOne, mount as mountServers } from "../src/components/ServeCard";
import { createState } from "../src/state";
import { click, find, host, settle } from "./dom";

async function card(client: FakeClient, run_id: string) {
  const root = host();
  const state = createState(client);
  mountCard(root, client, state, { run_id });
  await settle();
  return { root, state };
}

test("RunCard shows metrics with their change for better or worse", async () => {
  const client = new FakeClient(wineRuns());
  const { root } = await card(client, client.runs[0]?.run_id ?? "");
  const accuracy = root.querySelector('[data-nbt="metric"][data-key="accuracy"]');
  assert.match(accuracy?.textContent ?? "", /1\.0000▲ 0\.1111 better/);
});

test("RunCard registers, promotes with a preview, undoes, and serves", async () => {
  const client = new FakeClient(wineRuns());
  const [best, second] = client.runs;
  assert.ok(best && second);
  await client.call({ op: "register", run_id: second.run_id, name: "wine" });
  await client.call({ op: "promote", name: "wine", version: 1, stage: "Staging" });
  const { root, state } = await card(client, best.run_id);

  await click(root, "register");
  assert.equal((find(root, "model-name") as HTMLInputElement).value, "wine");
  await click(root, "confirm-register");
  assert.match(find(root, "registered").textContent ?? "", /wine version 2/);
  assert.match(find(root, "made").textContent ?? "", /wine v2/);

  await click(root, "promote");
  assert.equal(find(root, "moves").getAttribute("aria-label"), "v2 → Staging, v1 → None");
  assert.equal(client.requests.filter((one) => one.op === "promote" && one.preview !== true).length, 1);
  await click(root, "confirm-promote");
  const sent = client.requests.filter((one) => one.op === "promote" && one.preview !== true).at(-1);
  assert.ok(sent?.op === "promote" && sent.expect === 3);
  assert.match(state.status.value, /v2 → Staging/);
  assert.match(find(root, "made").textContent ?? "", /Staging/);

  await click(root, "undo");
  assert.match(find(root, "undone").textContent ?? "", /Taken back/);
  assert.match(find(root, "made").textContent ?? "", /no stage/);

  await click(root, "serve");
  assert.equal(find(root, "url").textContent, "http://127.0.0.1:5100");
  await click(root, "invoke");
  assert.equal(find(root, "answer").textContent, '{"predictions": [1]}');
  await click(root, "stop");
  assert.equal(root.querySelector('[data-nbt="server"]'), null);
});

test("RunCard goes on with the version registered last, whatever its name and number", async () => {
  const client = new FakeClient(wineRuns());
  const [best, second] = client.runs;
  assert.ok(best && second);
  for (let i = 0; i < 3; i++) {
    await client.call({ op: "register", run_id: second.run_id, name: "wine" });
  }
  await client.call({ op: "register", run_id: best.run_id, name: "wine" });
  await client.call({ op: "register", run_id: best.run_id, name: "grape" });
  const { root } = await card(client, best.run_id);
  await click(root, "promote");
  assert.match(find(root, "preview").textContent ?? "", /^grapev1/);
});

async function modelsView(client: FakeClient): Promise<HTMLElement> {
  const root = host();
  mountModels(root, client, createState(client));
  await settle();
  return root;
}

async function threeVersions(): Promise<FakeClient> {
  const client = new FakeClient(wineRuns());
  for (const run of [...client.runs].reverse()) {
    await client.call({ op: "register", run_id: run.run_id, name: "wine" });
  }
  return client;
}

test("ModelVersions shows stages as columns, and a version of them by a click", async () => {
  const client = await threeVersions();
  await client.call({ op: "promote", name: "wine", version: 2, stage: "Production" });
  const root = await modelsView(client);
  const columns = [...root.querySelectorAll<HTMLElement>("[data-stage]")].map(
    (one) => `${one.dataset.stage}: ${[...one.querySelectorAll("button")].map((b) => b.textContent).join(" ")}`,
  );
  assert.deepEqual(columns, ["None: v3 v1", "Staging: ", "Production: v2", "Archived: "]);
  root.querySelector<HTMLElement>('[data-stage="Production"] button')?.click();
  await settle();
  const shown = [...root.querySelectorAll<HTMLElement>('[data-nbt="version"]')].map((one) => one.dataset.version);
  assert.deepEqual(shown, ["2"]);
});

test("PromoteFlow shows which gate refuses with both numbers, and lets the person named approve", async () => {
  const client = await threeVersions();
  await client.call({
    op: "set_gates",
    name: "wine",
    stage: "Staging",
    gates: ["accuracy >= 0.85", "approved by ada"],
  });
  const root = await modelsView(client);
  const row = root.querySelector<HTMLElement>('[data-version="1"]');
  assert.ok(row);
  await click(row, "promote");
  const gates = [...find(row, "gates").querySelectorAll("li")];
  assert.deepEqual(
    gates.map((one) => one.dataset.passed),
    ["false", "false"],
  );
  assert.match(gates[0]?.textContent ?? "", /v1 has accuracy 0\.8333, asked is >= 0\.85/);
  assert.equal(find(row, "confirm-promote").getAttribute("aria-disabled"), "true");
  find(row, "confirm-promote").click();
  await settle();
  assert.equal(client.requests.filter((one) => one.op === "promote" && one.preview !== true).length, 0);
  await click(row, "cancel");

  const better = root.querySelector<HTMLElement>('[data-version="3"]');
  assert.ok(better);
  await click(better, "promote");
  await settle(); // who looks at it is asked for, too
  await click(better, "approve");
  assert.equal(find(better, "confirm-promote").getAttribute("aria-disabled"), "false");
  await click(better, "confirm-promote");
  assert.ok(find(better, "promoted"));
});

test("PromoteFlow asks before Production, and only there; the former version goes where one says", async () => {
  const client = await threeVersions();
  await client.call({ op: "promote", name: "wine", version: 1, stage: "Production" });
  await client.call({ op: "promote", name: "wine", version: 3, stage: "Staging" });
  const root = await modelsView(client);
  const row = root.querySelector<HTMLElement>('[data-version="3"]');
  assert.ok(row);
  await click(row, "promote");
  const former = find(row, "former") as HTMLSelectElement;
  assert.deepEqual(
    [...former.options].map((one) => one.value),
    ["Archived", "Staging", "None"],
  );
  former.value = "None";
  former.dispatchEvent(new Event("change", { bubbles: true }));
  await settle();
  await click(row, "confirm-promote");
  assert.equal(client.requests.filter((one) => one.op === "promote" && one.preview !== true).length, 2);
  await click(row, "refuse");
  assert.equal(row.querySelector('[data-nbt="dialog"]'), null);
  await click(row, "confirm-promote");
  await click(row, "confirm");
  assert.equal(find(row, "moves").getAttribute("aria-label"), "v3 → Production, v1 → None");
});

test("PromoteFlow shows who was faster and how that version differs, and looks again", async () => {
  const client = await threeVersions();
  const root = await modelsView(client);
  const row = root.querySelector<HTMLElement>('[data-version="3"]');
  assert.ok(row);
  await click(row, "promote");
  client.models.user = "ben";
  client.models.promote({ op: "promote", name: "wine", version: 2, stage: "Staging" });
  find(row, "confirm-promote").click(); // before the page has heard of it
  const sent = client.requests.filter((one) => one.op === "promote" && one.preview !== true).at(-1);
  assert.ok(sent?.op === "promote" && sent.expect === 3);
  await settle();
  assert.match(find(row, "conflict").textContent ?? "", /ben moved v2/);
  assert.match(find(row, "version-diff").textContent ?? "", /accuracy0\.88891/);
  await click(row, "retry");
  assert.equal(find(row, "moves").getAttribute("aria-label"), "v3 → Staging, v2 → None");
});

test("ModelVersions sets gates, compares two versions, trashes and restores one", async () => {
  const client = await threeVersions();
  const root = await modelsView(client);
  await click(root, "gates");
  await click(root, "edit-gates");
  const text = find(root, "gates-text") as HTMLTextAreaElement;
  text.value = "accuracy >= 0.9\n\n";
  text.dispatchEvent(new Event("input", { bubbles: true }));
  await settle();
  await click(root, "save-gates");
  assert.match(find(root, "gate-rules").textContent ?? "", /Productionaccuracy >= 0\.9/);
  await click(root, "diff");
  const rows = [...find(root, "version-diff").querySelectorAll("tbody tr")].map((one) => one.textContent);
  assert.ok(rows.includes("accuracy0.88891"));
  const move = find(root, "move") as HTMLSelectElement;
  move.value = "/trash";
  move.dispatchEvent(new Event("change", { bubbles: true }));
  await settle();
  assert.equal(root.querySelectorAll('[data-nbt="version"]').length, 2);
  await click(root, "restore");
  assert.equal(root.querySelectorAll('[data-nbt="version"]').length, 3);
  await click(root, "history");
  assert.match(find(root, "commit").textContent ?? "", /v3 restored/);
});

test("RunCard says why a promotion failed and what to do", async () => {
  const client = new FakeClient(wineRuns());
  const run_id = client.runs[0]?.run_id ?? "";
  await client.call({ op: "register", run_id, name: "wine" });
  const { root } = await card(client, run_id);
  client.failing.set("promote", { code: "gate", message: "gate: accuracy 0.7 is below 0.9. Train longer." });
  await click(root, "promote");
  assert.match(find(root, "error").textContent ?? "", /gate holds.*Train longer/);
});

test("RunCard of a run without a model offers nothing to serve and says how to log one", async () => {
  const client = new FakeClient([{ run_id: "1".repeat(32), run_name: "plain", logged: false }]);
  const { root } = await card(client, "1".repeat(32));
  assert.match(find(root, "no-model").textContent ?? "", /log_model/);
  assert.equal(root.querySelector('[data-nbt="serve"]'), null);
});

test("ModelVersions shows stages and history, and moves a version to any stage", async () => {
  const root = host();
  const client = new FakeClient(wineRuns());
  for (const run of client.runs) {
    await client.call({ op: "register", run_id: run.run_id, name: "wine" });
  }
  mountModels(root, client, createState(client));
  await settle();
  const chips = (): string[] =>
    [...root.querySelectorAll('[data-nbt="version"] [data-nbt="stage"]')].map((one) => one.textContent ?? "");
  assert.deepEqual(chips(), ["no stage", "no stage", "no stage"]);
  await click(root, "promote");
  await click(root, "confirm-promote");
  assert.equal(chips()[0], "Staging");
  await click(root, "history");
  assert.equal(root.querySelectorAll('[data-nbt="commit"]').length, 4);
});

test("ModelVersions takes any commit back that nothing later stands on; asks first where others are concerned", async () => {
  const root = host();
  const client = new FakeClient(wineRuns());
  for (const run of client.runs) {
    await client.call({ op: "register", run_id: run.run_id, name: "wine" });
  }
  await client.call({ op: "promote", name: "wine", version: 1, stage: "Production" });
  await client.call({ op: "promote", name: "wine", version: 2, stage: "Staging" });
  await client.call({ op: "promote", name: "wine", version: 3, stage: "Staging" });
  mountModels(root, client, createState(client));
  await settle();
  await click(root, "history");
  const undo = (number: number): HTMLElement => {
    const found = root.querySelector<HTMLElement>(`[data-commit="${number}"] [data-nbt="undo"]`);
    assert.ok(found);
    return found;
  };
  assert.match(undo(5).getAttribute("aria-label") ?? "", /#5 cannot be taken back: #6 changed the same since/);
  undo(5).click();
  undo(4).click();
  await settle();
  assert.match(
    find(root, "dialog").textContent ?? "",
    /Take commit #4 of wine back\?.*v1 → Production.*concerns Production/,
  );
  const asked = (): unknown[] => client.requests.filter(({ op }) => op === "undo");
  assert.deepEqual(asked(), []);
  await click(root, "confirm");
  assert.deepEqual(asked(), [{ op: "undo", name: "wine", commit: 4, expect: 6 }]);
  assert.equal(client.models.model("wine").versions.find(({ version }) => version === 1)?.stage, "None");
  undo(6).click();
  await settle();
  assert.equal(client.models.model("wine").versions.find(({ version }) => version === 2)?.stage, "Staging");
});

test("ServerList without servers says how to get one", async () => {
  const root = host();
  const client = new FakeClient(wineRuns());
  mountServers(root, client, createState(client));
  await settle();
  assert.match(find(root, "empty").textContent ?? "", /Press Serve/);
});

test("OneServer shows its server while it runs, and then that it has ended", async () => {
  const root = host();
  const client = new FakeClient(wineRuns());
  const served = await client.call({ op: "serve", model_uri: `runs:/${client.runs[0]?.run_id}/model` });
  mountOne(root, client, createState(client), { server_id: served.server_id });
  await settle();
  assert.equal(find(root, "url").textContent, served.url);
  await click(root, "stop");
  assert.match(find(root, "empty").textContent ?? "", /has ended/);
});
