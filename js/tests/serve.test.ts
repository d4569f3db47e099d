import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { FakeClient, wineRuns } from "../src/clients/fake";
import { startedServer } from "../src/clients/fakeServing";
import { mount, mountOne, pretty, servedText, upText } from "../src/components/ServeCard";
import { splitOf, typed } from "../src/components/TryForm";
import { createState } from "../src/state";
import type { AnyRequest, Server, ServerActivity } from "../src/wire";
import { click, find, host, settle } from "./dom";

const NOW = Date.UTC(2026, 0, 2, 12, 0, 0);

const mounted: (() => void)[] = [];
afterEach(() => {
  for (const dispose of mounted.splice(0)) {
    dispose(); // a card that is open asks its server again and again
  }
});

const server = (changes: Partial<Server> = {}): Server => ({
  ...startedServer("models:/wine-rf/2", 5100, Date.now() - 5 * 60_000, () => "Staging"),
  ...changes,
});

const shown = async (
  one: Server,
  activity: Partial<ServerActivity> = {},
): Promise<{ root: HTMLElement; asked: AnyRequest[] }> => {
  const client = new FakeClient(wineRuns());
  client.servers.push(one);
  const asked: AnyRequest[] = [];
  const call = client.call.bind(client);
  client.call = (async (request: AnyRequest) => {
    asked.push(request);
    const answer = await call(request as never);
    return request.op === "server_activity" ? { ...(answer as object), ...activity } : answer;
  }) as typeof client.call;
  const root = host();
  mounted.push(mount(root, client, createState(client)));
  await settle();
  return { root, asked };
};

const open = async (root: HTMLElement, name: string): Promise<void> => {
  const fold = find(root, name) as HTMLDetailsElement;
  fold.open = true;
  fold.dispatchEvent(new Event("toggle"));
  await settle();
};

test("how long a server has been up is said in one unit", () => {
  const minute = 60_000;
  assert.equal(upText(NOW, NOW + 20_000), "up less than a minute");
  assert.equal(upText(NOW, NOW + 90 * minute), "up 90 min");
  assert.equal(upText(NOW, NOW + 7.9 * 60 * minute), "up 7 h");
  assert.equal(upText(NOW, NOW + 49 * 60 * minute), "up 2 days");
  assert.equal(upText(NOW, NOW - minute), "up less than a minute"); // the clocks differ
});

test("a server that is ready says version, stage, uptime, requests and whose it is", async () => {
  const { root } = await shown(server({ requests: 3 }));
  const meta = find(root, "server-meta").textContent ?? "";
  assert.match(meta, /Ready · up 5 min · 3 requests · ends with the Jupyter server/);
  assert.match(find(root, "server").textContent ?? "", /v2.*Staging/);
  assert.equal(root.querySelector("[data-nbt=checks]"), null);
  await open(root, "fold-checks");
  assert.equal(root.querySelectorAll("[data-nbt=checks] li[data-nbt=ok]").length, 4);
});

test("the rehearsal of a server that starts says what is done, under way and to come", async () => {
  const checks = server().checks.slice(0, 2);
  const { root } = await shown(server({ status: "starting", checks }));
  const items = [...root.querySelectorAll("[data-nbt=checks] li")].map((item) => item.textContent);
  assert.equal(items.length, 4);
  assert.match(items[1] ?? "", /Signature.*2 columns/);
  assert.match(items[2] ?? "", /Environment.*under way/);
  assert.match(items[3] ?? "", /Example.*to come/);
  assert.equal(root.querySelector("[data-nbt=invoke]"), null);
});

test("a start that failed shows at which step, why, and what the program said last", async () => {
  const why = "RuntimeError: <b>no</b> sensor";
  const checks = [...server().checks.slice(0, 3), { name: "example", state: "failed", text: why }];
  const error = `serve: the model could not be served: ${why}\nIts last output:\nloading`;
  const { root } = await shown(server({ status: "failed", checks, error }));
  const failed = root.querySelector("[data-nbt=checks] li[data-nbt=failed]");
  assert.match(failed?.textContent ?? "", /Example failed: RuntimeError: <b>no<\/b> sensor/);
  assert.equal(root.querySelectorAll("[data-nbt=checks] li[data-nbt=ok]").length, 3);
  assert.equal(root.querySelector("[data-nbt=error]"), null); // said once
  assert.match(find(root, "last-output").textContent ?? "", /Its last output:\nloading/);
  assert.equal(find(root, "stop").textContent, "Remove");
  await click(root, "stop");
  await settle();
  assert.equal(root.querySelector("[data-nbt=server]"), null);
});

test("a server that crashed for good says why, without a rehearsal that failed", async () => {
  const { root } = await shown(server({ status: "failed", error: "it crashed (SIGKILL)" }));
  assert.match(root.textContent ?? "", /it crashed \(SIGKILL\)/);
  assert.equal(root.querySelector("[data-nbt=checks]"), null);
});

test("the form asks with what was typed, and shows the answer and its status", async () => {
  const { root, asked } = await shown(server());
  const field = root.querySelector<HTMLInputElement>("[data-nbt=fields] input");
  assert.ok(field);
  for (const text of ["14.", "14.5"]) {
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    await settle();
    assert.equal(field.value, text); // as it is typed, though "14." is no number yet
  }
  field.dispatchEvent(new Event("blur"));
  await click(root, "invoke");
  const sent = asked.find((request) => request.op === "invoke");
  assert.ok(sent?.op === "invoke");
  assert.deepEqual(JSON.parse(sent.body), { dataframe_split: { columns: ["alcohol", "hue"], data: [[14.5, 1.05]] } });
  assert.match(find(root, "answer").textContent ?? "", /predictions/);
  assert.match(find(root, "answer-status").textContent ?? "", /200 · 3.4 ms/);
  await click(root, "reset-example");
  await settle();
  assert.equal(root.querySelector<HTMLInputElement>("[data-nbt=fields] input")?.value, "13.2");
});

test("requests, what a shadow says, drift and the log are there once they are looked for", async () => {
  const { root, asked } = await shown(server(), {
    requests: [
      { at: NOW, status: 200, rows: 2, ms: 0.31, model: "wine-rf/2", why: "" },
      { at: NOW, status: 400, rows: 0, ms: 0, model: "wine-rf/2", why: "missing column 'hue'" },
    ],
    total: 2,
    shadow: "1 of 2 rows answered otherwise by the shadow models:/wine-rf/1",
    drift: [{ column: "hue", index: 0.4, missing: 0, missing_before: 0, outside: 0.5, verdict: "drifted" }],
    drift_rows: 120,
  });
  assert.equal(
    asked.some((request) => request.op === "server_activity"),
    false,
  );
  await open(root, "fold-activity");
  const rows = [...root.querySelectorAll("[data-nbt=requests] tbody tr")].map((row) => row.textContent ?? "");
  assert.equal(rows.length, 2);
  assert.match(rows[1] ?? "", /400.*missing column 'hue'/);
  assert.match(root.textContent ?? "", /1 of 2 rows answered otherwise by the shadow/);
  assert.ok(find(root, "working-curl"));
  assert.match(root.textContent ?? "", /hue/);
  assert.match(find(root, "log").textContent ?? "", /process 4711/);
});

test("the request is there for a shell, Python and JavaScript", async () => {
  const { root } = await shown(server());
  await open(root, "fold-ask");
  assert.match(find(root, "curl").textContent ?? "", /^curl /);
  for (const [way, text] of [
    ["python", /urlopen/],
    ["javascript", /await fetch/],
  ] as const) {
    const choice = find(root, `way-${way}`) as HTMLInputElement;
    choice.checked = true;
    choice.dispatchEvent(new Event("change", { bubbles: true }));
    await settle();
    assert.match(find(root, way).textContent ?? "", text);
  }
});

test("stop stops; the card of a cell then says that the server has ended", async () => {
  const client = new FakeClient(wineRuns());
  const one = server();
  client.servers.push(one);
  const root = host();
  mounted.push(mountOne(root, client, createState(client), { server_id: one.server_id }));
  await settle();
  await click(root, "stop");
  await settle();
  assert.equal(client.servers.length, 0);
  assert.match(root.textContent ?? "", /This model server has ended/);
});

test("bodies are laid out, split into fields, and typed values keep their kind", () => {
  assert.equal(pretty("no json"), "no json");
  assert.equal(pretty('{"inputs": [[1,2]]}'), '{"inputs": [[1, 2]]}');
  assert.equal(splitOf('{"inputs": [[1]]}'), null);
  assert.deepEqual(
    [typed("1.5", 0), typed("", 0), typed("x", 0), typed("true", false), typed("", "a")],
    [1.5, null, "x", true, ""],
  );
  assert.equal(servedText(server()), "Serving at http://127.0.0.1:5100");
  assert.equal(servedText(server({ status: "failed" })), "wine-rf could not be served");
});
