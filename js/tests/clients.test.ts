import assert from "node:assert/strict";
import { test } from "node:test";
import { CallError, RevisionPoll } from "../src/client";
import { EmbeddedClient, type Saved } from "../src/clients/embedded";
import { KernelClient, type MessageModel } from "../src/clients/kernel";
import { type Post, ServerClient } from "../src/clients/server";

const POLL = { interval_ms: 5, visible: () => true };
const PLACE = () => ({ path: "a/b.ipynb", store: null });

class Model implements MessageModel {
  readonly sent: { id: string; request: { op: string } }[] = [];
  private readonly listeners = new Set<(message: unknown, buffers: DataView[]) => void>();

  send(content: unknown): void {
    this.sent.push(content as { id: string; request: { op: string } });
  }
  on(_: "msg:custom", callback: (message: unknown, buffers: DataView[]) => void): void {
    this.listeners.add(callback);
  }
  off(_: "msg:custom", callback: (message: unknown, buffers: DataView[]) => void): void {
    this.listeners.delete(callback);
  }
  receive(message: unknown, reply?: unknown): void {
    const buffers = reply === undefined ? [] : [new DataView(new TextEncoder().encode(JSON.stringify(reply)).buffer)];
    for (const listener of this.listeners) {
      listener(message, buffers);
    }
  }
  get listening(): number {
    return this.listeners.size;
  }
}

test("KernelClient gives each reply to the call that asked, in any order", async () => {
  const model = new Model();
  const client = new KernelClient(model, POLL);
  const first = client.call({ op: "revision" });
  const second = client.call({ op: "models" });
  const [a, b] = model.sent;
  model.receive({ id: b?.id }, { ok: true, answer: { models: [], stages: [] } });
  model.receive({ id: "somebody else's" }, { ok: true, answer: {} });
  model.receive({ id: a?.id, reply: { ok: true, answer: { revision: "7" } } });
  assert.deepEqual(await second, { models: [], stages: [] });
  assert.deepEqual(await first, { revision: "7" });
});

test("KernelClient rejects with the kernel's own words", async () => {
  const model = new Model();
  const client = new KernelClient(model, POLL);
  const call = client.call({ op: "undo", name: "m" });
  model.receive(
    { id: model.sent[0]?.id },
    { ok: false, error: { code: "conflict", message: "undo: somebody was faster." } },
  );
  await assert.rejects(call, (error: unknown) => error instanceof CallError && error.code === "conflict");
});

test("two KernelClients on one model do not take each other's replies", async () => {
  const model = new Model();
  const one = new KernelClient(model, POLL).call({ op: "revision" });
  const two = new KernelClient(model, POLL).call({ op: "revision" });
  assert.notEqual(model.sent[0]?.id, model.sent[1]?.id);
  model.receive({ id: model.sent[0]?.id }, { ok: true, answer: { revision: "1" } });
  model.receive({ id: model.sent[1]?.id }, { ok: true, answer: { revision: "2" } });
  assert.deepEqual([(await one).revision, (await two).revision], ["1", "2"]);
});

test("KernelClient passes on a change that the kernel tells of, and stops listening when disposed", () => {
  const model = new Model();
  const client = new KernelClient(model, { interval_ms: 60_000, visible: () => true });
  const seen: string[] = [];
  const stop = client.subscribe((revision) => seen.push(revision));
  model.receive({ revision: "3" });
  model.receive({ revision: "3" });
  stop();
  client.dispose();
  assert.deepEqual(seen, ["3"]);
  assert.equal(model.listening, 0);
});

test("KernelClient answers from its seed once, then asks the kernel", async () => {
  const model = new Model();
  const request = { op: "runs", run_ids: null, limit: 1000 } as const;
  const reply = { ok: true, answer: { revision: "old" } } as const;
  const client = new KernelClient(model, POLL, [{ request: { limit: 1000, run_ids: null, op: "runs" }, reply }]);
  assert.equal((await client.call(request)).revision, "old");
  assert.equal(model.sent.length, 0);
  const again = client.call(request);
  model.receive({ id: model.sent[0]?.id }, { ok: true, answer: { revision: "new" } });
  assert.equal((await again).revision, "new");
});

const answering =
  (status: number, body: string, bodies: string[] = []): Post =>
  (sent) => {
    bodies.push(sent);
    return Promise.resolve(new Response(body, { status }));
  };

test("ServerClient says where it asks from", async () => {
  const bodies: string[] = [];
  const client = new ServerClient(answering(200, '{"ok":true,"answer":{"revision":"1"}}', bodies), PLACE, POLL);
  assert.deepEqual(await client.call({ op: "revision" }), { revision: "1" });
  assert.deepEqual(JSON.parse(bodies[0] ?? ""), { path: "a/b.ipynb", store: null, request: { op: "revision" } });
});

const failures: [number, string, string, RegExp][] = [
  [404, "<html>", "no_extension", /Install nbtrack/],
  [403, '{"message": "Forbidden"}', "forbidden", /log in again/],
  [502, "Bad gateway", "unreachable", /status 502/],
  [403, '{"ok":false,"error":{"code":"forbidden","message":"path: leads out."}}', "forbidden", /leads out/],
];
for (const [status, body, code, message] of failures) {
  test(`ServerClient explains status ${status} with ${body}`, async () => {
    const client = new ServerClient(answering(status, body), PLACE, POLL);
    await assert.rejects(client.call({ op: "info" }), (error: unknown) => {
      assert.ok(error instanceof CallError);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    });
  });
}

test("ServerClient explains a server that is gone", async () => {
  const client = new ServerClient(() => Promise.reject(new TypeError("Failed to fetch")), PLACE, POLL);
  await assert.rejects(client.call({ op: "info" }), /does not answer \(Failed to fetch\)/);
});

/** What a page holds of a store with two runs. */
function saved(): Saved {
  const name = { kind: "attribute", key: "run_name", varies: true, numeric: false, better: null } as const;
  return {
    runs: {
      run_ids: ["1", "2"],
      columns: [{ ...name, values: ["a", "b"] }],
      colors: [3, 4],
      total: 2,
      revision: "r",
      offset: 0,
      whole: true,
    },
    details: [{ run_id: "1" }],
    series: [
      { run_id: "1", key: "loss", step: [0], value: [1], time: [0], count: 1, start: 0, smooth: null },
      { run_id: "2", key: "loss", step: [0], value: [2], time: [0], count: 1, start: 0, smooth: null },
    ],
  } as unknown as Saved;
}

test("EmbeddedClient answers from the page: runs, one run, the curves that are asked for", async () => {
  const client = new EmbeddedClient(saved());
  assert.deepEqual((await client.call({ op: "runs" })).run_ids, ["1", "2"]);
  const one = await client.call({ op: "runs", run_ids: ["2"] });
  assert.deepEqual([one.run_ids, one.columns[0]?.values, one.colors, one.total], [["2"], ["b"], [4], 1]);
  assert.equal((await client.call({ op: "run", run_id: "1" })).run_id, "1");
  const { series } = await client.call({ op: "series", run_ids: ["2"], keys: ["loss", "acc"] });
  assert.deepEqual(
    series.map((curve) => curve.value),
    [[2]],
  );
});

test("EmbeddedClient says what it cannot do, and where one can", async () => {
  const client = new EmbeddedClient(saved());
  await assert.rejects(client.call({ op: "run", run_id: "2" }), /Open the notebook/);
  await assert.rejects(client.call({ op: "runs", filter: "metrics.loss < 1" }), /Open the notebook/);
  await assert.rejects(client.call({ op: "undo", name: "m" }), /Open the notebook/);
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test("RevisionPoll asks only while somebody watches and it can be seen", async () => {
  let asked = 0;
  let visible = false;
  const poll = new RevisionPoll(
    () => Promise.resolve(String(++asked)),
    () => 2,
  );
  await pause(20);
  assert.equal(asked, 0);
  const seen: string[] = [];
  const stop = poll.subscribe(
    (revision) => seen.push(revision),
    () => visible,
  );
  await pause(20);
  assert.equal(asked, 0);
  visible = true;
  await pause(40);
  assert.ok(asked > 0);
  stop();
  await pause(10);
  const after = asked;
  await pause(20);
  assert.equal(asked, after);
  assert.equal(seen.length, new Set(seen).size);
});

test("RevisionPoll tells a hidden watcher once it comes into sight", async () => {
  let visible = false;
  const poll = new RevisionPoll(
    () => Promise.resolve("same"),
    () => 2,
  );
  const [shown, hidden]: [string[], string[]] = [[], []];
  const stops = [
    poll.subscribe(
      (revision) => shown.push(revision),
      () => true,
    ),
    poll.subscribe(
      (revision) => hidden.push(revision),
      () => visible,
    ),
  ];
  await pause(40);
  assert.deepEqual([shown, hidden], [["same"], []]);
  visible = true;
  await pause(40);
  assert.deepEqual([shown, hidden], [["same"], ["same"]]);
  for (const stop of stops) {
    stop();
  }
});

test("RevisionPoll asks a server that fails less and less often", async () => {
  let asked = 0;
  const poll = new RevisionPoll(
    () => {
      asked += 1;
      return Promise.reject(new Error("away"));
    },
    () => 4,
  );
  const stop = poll.subscribe(
    () => undefined,
    () => true,
  );
  await pause(150);
  stop();
  assert.ok(asked > 1 && asked < 8, `asked ${asked} times`);
});

test("ServerClients of one place share one poll, and all hear when a server starts", async () => {
  const bodies: string[] = [];
  const post = answering(200, '{"ok":true,"answer":{"revision":"1"}}', bodies);
  const clients = [1, 2, 3].map(
    (n) =>
      new ServerClient(post, () => ({ path: `a/${n}.ipynb`, store: null }), { interval_ms: 30, visible: () => true }),
  );
  const heard: string[][] = [[], [], []];
  const stops = clients.map((client, i) => client.subscribe((revision) => heard[i]?.push(revision)));
  await pause(50);
  assert.equal(bodies.length, 1);
  assert.deepEqual(heard, [["1"], ["1"], ["1"]]);
  await clients[0]?.call({ op: "serve", model_uri: "models:/m/1" });
  assert.deepEqual(heard[2], ["1", ""]);
  for (const stop of stops) {
    stop();
  }
  const after = bodies.length;
  await pause(80);
  assert.equal(bodies.length, after);
});

test("RevisionPoll takes no store for an answer, and asks on at its usual pace", async () => {
  const said: string[] = [];
  let asked = 0;
  const poll = new RevisionPoll(
    () => {
      asked += 1;
      return asked < 6
        ? Promise.reject(new CallError({ code: "no_store", message: "there is none" }))
        : Promise.resolve("r1");
    },
    () => 2,
  );
  const waits: (number | undefined)[] = [];
  const { setTimeout: wait } = globalThis;
  globalThis.setTimeout = ((act: () => void, ms?: number) => {
    waits.push(ms);
    return wait(act, ms);
  }) as typeof setTimeout;
  const stop = poll.subscribe(
    (revision) => said.push(revision),
    () => true,
  );
  for (let turn = 0; turn < 1000 && said.length < 2; turn++) {
    await new Promise((resolve) => wait(resolve, 4));
  }
  stop();
  globalThis.setTimeout = wait;
  assert.deepEqual(said, ["", "r1"]);
  assert.deepEqual([...new Set(waits)], [2], "it waited longer each time");
});
