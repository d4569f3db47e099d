import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClient, type FakeRun } from "../src/clients/fake";
import { mount as mountChart } from "../src/components/MetricChart";
import { mount as mountTable } from "../src/components/RunTable";
import { createState } from "../src/state";
import type { GetSeries } from "../src/wire";
import { host, settle } from "./dom";

const runs = (): FakeRun[] => [
  {
    run_id: "a".repeat(32),
    run_name: "training",
    status: "RUNNING",
    end_time: null,
    metrics: { loss: 3, acc: 0.5 },
  },
  { run_id: "b".repeat(32), run_name: "ended", metrics: { loss: 2, acc: 0.3 } },
];

async function chart() {
  const client = new FakeClient(runs());
  const state = createState(client);
  const root = host();
  mountTable(host(), client, state);
  mountChart(root, client, state);
  await settle();
  const asked = (): string[][] =>
    client.requests.flatMap((one) =>
      one.op === "series" ? [(one as GetSeries).run_ids.map((id) => id[0] ?? "")] : [],
    );
  return { client, state, root, asked };
}

test("the curve of a run that has ended is asked for once, that of one that runs whenever the store changed", async () => {
  const { client, root, asked } = await chart();
  assert.deepEqual(asked(), [["a", "b"]]);
  const [training] = client.runs;
  assert.ok(training);
  training.metrics = { loss: 1.25, acc: 0.5 };
  client.add({ run_id: "c".repeat(32), run_name: "new", metrics: { loss: 9 } });
  await settle();
  assert.deepEqual(asked().slice(1).flat().includes("b"), false);
  assert.match(root.querySelector('[data-key="loss"] table')?.textContent ?? "", /1\.25/);
  const before = asked().length;
  training.status = "FINISHED";
  training.end_time = 1;
  client.add({ run_id: "d".repeat(32), run_name: "newer", metrics: { loss: 7 } });
  await settle();
  client.add({ run_id: "e".repeat(32), run_name: "newest", metrics: { loss: 7 } });
  await settle();
  const later = asked().slice(before);
  assert.ok(later.flat().includes("a"), "its last points");
  assert.equal(later[later.length - 1]?.includes("a"), false, "and then no more");
});
