/** A store in memory with the behaviour of the real one, for component tests and the gallery. */
import { CallError, type Client } from "../client";
import type {
  Answers,
  AnyRequest,
  ArtifactContent,
  Change,
  Column,
  CommitEntry,
  LoggedModel,
  Model,
  Promoted,
  RunDetail,
  Runs,
  Series,
  Server,
} from "../wire";

export interface FakeRun {
  run_id: string;
  run_name: string;
  status?: string;
  start_time?: number;
  end_time?: number | null;
  params?: Record<string, string>;
  metrics?: Record<string, number | number[]>;
  tags?: Record<string, string>;
  logged?: boolean;
  capture?: Record<string, unknown>;
  files?: Record<string, Partial<ArtifactContent>>;
}

const STAGES = ["None", "Staging", "Production", "Archived"];
const FORMER: Record<string, string> = { Staging: "None", Production: "Archived" };
const NOW = Date.UTC(2026, 0, 15, 12, 0, 0);

const better = (key: string): "higher" | "lower" | null =>
  /acc|f1|auc|score|r2/.test(key) ? "higher" : /loss|rmse|error/.test(key) ? "lower" : null;

const lastOf = (value: number | number[]): number =>
  Array.isArray(value) ? (value[value.length - 1] ?? Number.NaN) : value;

const said = (value: number): number | string =>
  Number.isFinite(value) ? value : Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";

export class FakeClient implements Client {
  readonly requests: AnyRequest[] = [];
  /** Throw this instead of answering an op. */
  readonly failing = new Map<string, { code: string; message: string }>();
  /** How to answer an op instead: for what a store in memory cannot work out, such as a figure. */
  readonly answering = new Map<string, (request: AnyRequest) => Answers[keyof Answers]>();
  /** Hold answers back until released. */
  gate: Promise<void> = Promise.resolve();

  private revision = 1;
  private readonly listeners = new Set<(revision: string) => void>();
  private readonly models = new Map<string, Model>();
  private readonly history = new Map<string, CommitEntry[]>();
  private readonly servers: Server[] = [];

  constructor(readonly runs: FakeRun[] = []) {}

  async call<R extends AnyRequest>(request: R): Promise<Answers[R["op"]]> {
    this.requests.push(request);
    await this.gate;
    const failure = this.failing.get(request.op);
    if (failure !== undefined) {
      throw new CallError(failure);
    }
    const instead = this.answering.get(request.op);
    // A copy, as over a wire: what the interface holds never changes under its hands.
    return structuredClone(instead?.(request) ?? this.answer(request)) as Answers[R["op"]];
  }

  subscribe(changed: (revision: string) => void): () => void {
    this.listeners.add(changed);
    return () => this.listeners.delete(changed);
  }

  /** Add a run as a notebook would, and tell those who watch. */
  add(run: FakeRun): void {
    this.runs.unshift(run);
    this.touch();
  }

  get watchers(): number {
    return this.listeners.size;
  }

  private touch(): void {
    this.revision += 1;
    for (const listener of [...this.listeners]) {
      listener(String(this.revision));
    }
  }

  private answer(request: AnyRequest): Answers[keyof Answers] {
    switch (request.op) {
      case "info":
        return {
          uri: "file:///home/ada/wine/.nbtrack",
          name: ".nbtrack",
          writable: true,
          format_version: 1,
          runs: this.runs.length,
          models: this.models.size,
          server: "0.1.0",
          user: "ada",
        };
      case "revision":
        return { revision: String(this.revision) };
      case "runs":
        return this.table(request.run_ids ?? null);
      case "run":
        return this.detail(this.run(request.run_id));
      case "series":
        return { series: request.run_ids.flatMap((id) => this.series(this.run(id), request.keys)) };
      case "models":
        return { models: [...this.models.values()], stages: STAGES };
      case "history":
        return { name: request.name, commits: [...(this.history.get(request.name) ?? [])].reverse() };
      case "servers":
        return { servers: [...this.servers] };
      case "edit_run":
        return { text: "Saved" };
      case "register":
        return this.register(request.run_id, request.name);
      case "promote":
        return this.promote(
          request.name,
          request.version,
          request.stage,
          request.former ?? null,
          request.preview ?? false,
        );
      case "undo":
        return this.undo(request.name);
      case "serve":
        return this.serve(request.model_uri);
      case "stop_server": {
        const index = this.servers.findIndex((server) => server.server_id === request.server_id);
        this.servers.splice(index, index < 0 ? 0 : 1);
        this.touch();
        return { text: "Stopped" };
      }
      case "invoke":
        return invoke(request.body);
      case "artifact":
        return this.file(this.run(request.run_id), request.path);
      default:
        throw new CallError({ code: "invalid", message: `request: a store in memory does not know '${request.op}'.` });
    }
  }

  private file(run: FakeRun, path: string): ArtifactContent {
    const file = run.files?.[path];
    if (file === undefined) {
      throw new CallError({ code: "not_found", message: `artifact: the run has no file '${path}'.` });
    }
    const size_bytes = file.text?.length ?? 182_044;
    const unknown = { media_type: "application/octet-stream", text: "", data: "", table: null, cut: false } as const;
    return { path, kind: "binary", size_bytes, ...unknown, ...file };
  }

  private run(run_id: string): FakeRun {
    const run = this.runs.find((one) => one.run_id === run_id);
    if (run === undefined) {
      throw new CallError({ code: "not_found", message: `run: there is no '${run_id}' in this store.` });
    }
    return run;
  }

  private table(run_ids: string[] | null): Runs {
    const runs = run_ids === null ? this.runs : this.runs.filter((run) => run_ids.includes(run.run_id));
    const columns: Column[] = [
      column(
        "attribute",
        "run_name",
        runs.map((run) => run.run_name),
      ),
      column(
        "attribute",
        "status",
        runs.map((run) => run.status ?? "FINISHED"),
      ),
      column(
        "attribute",
        "start_time",
        runs.map((run) => run.start_time ?? NOW),
      ),
      column(
        "attribute",
        "end_time",
        runs.map((run) => (run.end_time === undefined ? (run.start_time ?? NOW) + 1400 : run.end_time)),
      ),
    ];
    for (const kind of ["params", "metrics", "tags"] as const) {
      const keys = [...new Set(runs.flatMap((run) => Object.keys(run[kind] ?? {})))].sort();
      for (const key of keys) {
        const values = runs.map((run) => {
          const value = run[kind]?.[key];
          return value === undefined ? null : typeof value === "string" ? value : said(lastOf(value));
        });
        columns.push(column(kind.slice(0, -1) as Column["kind"], key, values));
      }
    }
    return {
      run_ids: runs.map((run) => run.run_id),
      columns,
      colors: runs.map((run) => this.runs.indexOf(run) % 8),
      total: runs.length,
      revision: String(this.revision),
      offset: 0,
      whole: true,
    };
  }

  private detail(run: FakeRun): RunDetail {
    const previous = this.runs[this.runs.indexOf(run) + 1];
    const versions: LoggedModel["versions"] = [];
    for (const model of this.models.values()) {
      for (const version of model.versions) {
        if (version.run_id === run.run_id) {
          versions.push([model.name, version.version, version.stage]);
        }
      }
    }
    return {
      run_id: run.run_id,
      run_name: run.run_name,
      experiment: "wine",
      status: run.status ?? "FINISHED",
      start_time: run.start_time ?? NOW,
      end_time: run.end_time === undefined ? (run.start_time ?? NOW) + 1400 : run.end_time,
      user: "ada",
      deleted: false,
      note: run.tags?.["nbtrack.note"] ?? "",
      params: run.params ?? {},
      metrics: Object.entries(run.metrics ?? {}).map(([key, value]) => {
        const all = Array.isArray(value) ? value : [value];
        const before = previous?.metrics?.[key];
        return {
          key,
          last: said(lastOf(value)),
          min: said(Math.min(...all)),
          max: said(Math.max(...all)),
          count: all.length,
          step: all.length - 1,
          better: better(key),
          previous: before === undefined ? null : said(lastOf(before)),
        };
      }),
      tags: run.tags ?? {},
      artifacts: [
        ...(run.logged === false ? [] : ["model/model.pkl"]),
        ...Object.keys(run.files ?? {}),
      ].map((path) => ({ path, size_bytes: run.files?.[path]?.text?.length ?? 182_044, digest: "ab".repeat(32) })),
      models:
        run.logged === false
          ? []
          : [
              {
                artifact_path: "model",
                flavor: "sklearn",
                model_class: "RandomForestClassifier",
                size_bytes: 182_044,
                versions,
              },
            ],
      capture: run.capture ?? { source: `%%track ${run.run_name}\nmodel = fit()` },
      previous_run: previous === undefined ? null : [previous.run_id, previous.run_name],
      parent: null,
      children: this.runs
        .filter((one) => one.tags?.["nbtrack.parent_run_id"] === run.run_id)
        .map((one) => [one.run_id, one.run_name, one.status ?? "FINISHED"]),
      inputs: [],
    };
  }

  private series(run: FakeRun, keys: string[]): Series[] {
    return keys.flatMap((key) => {
      const value = run.metrics?.[key];
      if (value === undefined) {
        return [];
      }
      const all = Array.isArray(value) ? value : [value];
      const time = all.map((_, i) => NOW + i * 1000);
      const points = { step: all.map((_, i) => i), value: all.map(said), time, count: all.length };
      return [{ run_id: run.run_id, key, ...points, start: NOW, smooth: null }];
    });
  }

  private model(name: string): Model {
    const model = this.models.get(name);
    if (model === undefined) {
      throw new CallError({ code: "not_found", message: `model: there is no '${name}' in this store.` });
    }
    return model;
  }

  private commit(model: Model, action: string, changes: Change[], text: string): void {
    model.last_commit += 1;
    const commits = this.history.get(model.name) ?? [];
    commits.push({
      number: model.last_commit,
      action,
      at: NOW + model.last_commit * 60_000,
      user: "ada",
      note: "",
      changes,
      text,
    });
    this.history.set(model.name, commits);
    this.touch();
  }

  private register(run_id: string, name: string): Answers["register"] {
    const run = this.run(run_id);
    const model = this.models.get(name) ?? { name, description: "", versions: [], last_commit: 0 };
    this.models.set(name, model);
    const version = (model.versions[0]?.version ?? 0) + 1;
    const metrics = Object.fromEntries(
      Object.entries(run.metrics ?? {}).map(([key, value]) => [key, said(lastOf(value))]),
    );
    model.versions = [
      {
        version,
        stage: "None",
        aliases: [],
        run_id,
        run_name: run.run_name,
        flavor: "sklearn",
        description: "",
        metrics,
        created_at: NOW,
        user: "ada",
      },
      ...model.versions,
    ];
    this.commit(model, "register", [], `v${version} registered`);
    return { name, version, last_commit: model.last_commit };
  }

  private promote(name: string, version: number, stage: string, former: string | null, preview: boolean): Promoted {
    const model = this.model(name);
    const changes: Change[] = [];
    for (const one of model.versions) {
      if (one.version === version) {
        changes.unshift({ version, before: one.stage, after: stage });
      } else if (one.stage === stage && stage in FORMER) {
        changes.push({ version: one.version, before: stage, after: former ?? FORMER[stage] ?? "None" });
      }
    }
    const text = changes.map((change) => `v${change.version} → ${change.after}`).join(", ");
    if (!preview) {
      this.move(model, changes);
      this.commit(model, "promote", changes, text);
    }
    return { name, preview, last_commit: model.last_commit, changes, text };
  }

  private undo(name: string): Promoted {
    const model = this.model(name);
    const last = this.history.get(name)?.at(-1);
    const changes = (last?.changes ?? []).map(({ version, before, after }) => ({
      version,
      before: after,
      after: before,
    }));
    const text = changes.map((change) => `v${change.version} → ${change.after}`).join(", ");
    this.move(model, changes);
    this.commit(model, "undo", changes, text);
    return { name, preview: false, last_commit: model.last_commit, changes, text };
  }

  private move(model: Model, changes: Change[]): void {
    model.versions = model.versions.map((version) => {
      const change = changes.find((one) => one.version === version.version);
      return change === undefined ? version : { ...version, stage: change.after };
    });
  }

  private serve(model_uri: string): Server {
    const port = 5100 + this.servers.length;
    const named = /^models:\/([^/]+)\/(\d+)$/.exec(model_uri);
    const example = '{"dataframe_split": {"columns": ["alcohol", "hue"], "data": [[13.2, 1.05]]}}';
    const server: Server = {
      server_id: `s${port}`,
      url: `http://127.0.0.1:${port}`,
      port,
      model_uri,
      model_name: named?.[1] ?? "model",
      version: named === null ? null : Number(named[2]),
      owner: "jupyter",
      status: "ready",
      started_at: NOW,
      error: "",
      requests: 0,
      curl: `curl -s http://127.0.0.1:${port}/invocations -H 'Content-Type: application/json' -d '${example}'`,
      example,
    };
    this.servers.push(server);
    this.touch();
    return server;
  }
}

function column(kind: Column["kind"], key: string, values: Column["values"]): Column {
  const present = values.filter((value) => value !== null);
  return {
    kind,
    key,
    values,
    varies: values.some((value) => value !== values[0]),
    numeric:
      present.length > 0 &&
      present.every((value) => typeof value === "number" || !Number.isNaN(Number(value)) || value === "NaN"),
    better: kind === "metric" ? better(key) : null,
  };
}

function invoke(body: string): Answers["invoke"] {
  try {
    JSON.parse(body);
  } catch {
    return { status: 400, body: '{"error": "body: not JSON; expected an object with dataframe_split"}', ms: 1.1 };
  }
  return { status: 200, body: '{"predictions": [1]}', ms: 3.4 };
}

/** The three runs of the first notebook. */
export function wineRuns(): FakeRun[] {
  const run = (n: number, trees: string, share: string, accuracy: number, f1: number): FakeRun => ({
    run_id: `0${n}`.repeat(16),
    run_name: `rf-${trees}-${share}`,
    start_time: NOW - (4 - n) * 60_000,
    params: { n_estimators: trees, max_features: share, criterion: "gini", random_state: "0" },
    metrics: { accuracy, f1_weighted: f1 },
  });
  return [run(3, "100", "0.5", 1, 1), run(2, "1", "0.5", 0.8889, 0.8871), run(1, "1", "0.1", 0.8333, 0.8341)];
}
