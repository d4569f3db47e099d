/** What a model server says of itself in the store in memory: always ready, always of the same opinion. */
import type { Answers, Server, ServerActivity } from "../wire";

export const quietActivity = (): ServerActivity => ({
  requests: [],
  total: 0,
  log: "serving models:/wine-rf/2 (process 4711)",
  drift: null,
  drift_rows: 0,
  shadow: "",
  run_id: null,
});

/** A server that was just started. */
export function startedServer(
  model_uri: string,
  port: number,
  now: number,
  stageOf: (name: string, version: number) => string,
): Server {
  const named = /^models:\/([^/]+)\/(\d+)$/.exec(model_uri);
  const example = '{"dataframe_split": {"columns": ["alcohol", "hue"], "data": [[13.2, 1.05]]}}';
  return {
    server_id: `s${port}`,
    url: `http://127.0.0.1:${port}`,
    path: `nbtrack/serve/s${port}/`,
    port,
    model_uri,
    model_name: named?.[1] ?? "model",
    version: named === null ? null : Number(named[2]),
    stage: named === null ? "" : stageOf(named[1] ?? "", Number(named[2])),
    owner: "jupyter",
    status: "ready",
    started_at: now,
    error: "",
    requests: 0,
    follow: "",
    held: "",
    previous: "",
    others: [],
    checks: [
      { name: "port", state: "ok", text: `${port} is held; requests wait until the model is ready` },
      { name: "signature", state: "ok", text: "2 columns" },
      { name: "environment", state: "ok", text: "the same packages as when it was logged" },
      { name: "example", state: "ok", text: "answered as logged in 0.05 ms" },
    ],
    curl: `curl -s http://127.0.0.1:${port}/invocations -H 'Content-Type: application/json' -d '${example}'`,
    python: `from urllib.request import Request, urlopen\n\nbody = ${JSON.stringify(example)}.encode()\nrequest = Request("http://127.0.0.1:${port}/invocations", body, {"Content-Type": "application/json"})\nprint(urlopen(request).read().decode())`,
    javascript: `const answer = await fetch("http://127.0.0.1:${port}/invocations", {\n  method: "POST",\n  headers: {"Content-Type": "application/json"},\n  body: ${JSON.stringify(example)},\n});\nconsole.log(await answer.text());`,
    example,
  };
}

export function invoke(body: string): Answers["invoke"] {
  try {
    JSON.parse(body);
  } catch {
    return { status: 400, body: '{"error": "body: not JSON; expected an object with dataframe_split"}', ms: 1.1 };
  }
  return { status: 200, body: '{"predictions": [1]}', ms: 3.4 };
}
