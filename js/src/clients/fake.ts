/** A store in memory with the behaviour of the real one, for component tests and the gallery. */
import { CallError, type Client } from "../client";
import { invoke, quietActivity, startedServer } from "./fakeServing";
import { better, type FakeRun, fits, grouped, lastOf, listed, said, sorted, tableOf } from "./fakeTable";

export type { FakeRun };

import type {
  Answers,
  AnyRequest,
  ArtifactContent,
  EditRun,
  RunDetail,
  Runs,
  SavedView,
  Series,
  Server,
  ServerActivity,
} from "../wire";
import { FakeModels, type FakeSource } from "./fakeModels";

const NOW = Date.UTC(2026, 0, 15, 12, 0, 0);

export class FakeClient implements Client {
  readonly requests: AnyRequest[] = [];
  /** Throw this instead of answering an op. */
  readonly failing = new Map<string, { code: string; message: string }>();
  /** How to answer an op instead: for what a store in memory cannot work out, such as a figure. */
  readonly answering = new Map<string, (request: AnyRequest) => Answers[keyof Answers]>();
  /** Hold answers back until released. */
  gate: Promise<void> = Promise.resolve();

  private revision = 1;
  private pins: Record<string, string> = {};
  private readonly listeners = new Set<(revision: string) => void>();
  readonly models = new FakeModels(NOW, () => this.touch());
  readonly servers: Server[] = [];
  activity: ServerActivity = quietActivity();
  private readonly views = new Map<string, SavedView>();

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

  /** Let a run log or change, and tell those who watch. */
  change(run_id: string, part: Partial<FakeRun>): void {
    const at = this.runs.findIndex((run) => run.run_id === run_id);
    this.runs[at] = { ...(this.runs[at] as FakeRun), ...part };
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
          models: this.models.all.length,
          server: "0.1.0",
          user: "ada",
        };
      case "revision":
        return { revision: String(this.revision) };
      case "runs":
        return listed(this.table(sorted(this.fitting(request), request.order_by ?? [])), request, (id) => this.run(id));
      case "catalog": {
        const { columns, total, revision } = this.table(this.fitting(request));
        const known = columns.filter((column) => column.kind !== "attribute");
        return {
          columns: known.map(({ values, ...column }) => ({
            ...column,
            count: values.filter((one) => one !== null).length,
          })),
          total,
          revision,
        };
      }
      case "groups":
        return grouped(this.table(this.fitting(request)), request);
      case "views":
        return { views: [...this.views.values()] };
      case "save_view":
        if (request.view === null) {
          this.views.delete(request.name);
        } else {
          this.views.set(request.name, { name: request.name, view: request.view, at: NOW, user: "ada" });
        }
        return { views: [...this.views.values()] };
      case "run":
        return this.detail(this.run(request.run_id));
      case "series":
        return { series: request.run_ids.flatMap((id) => this.series(this.run(id), request.keys)) };
      case "pin": {
        const name = `${request.kind}:${request.key}`;
        this.pins = Object.fromEntries(Object.entries(this.pins).filter(([key]) => key !== name));
        if (request.choice) {
          this.pins[name] = request.choice;
        }
        this.touch();
        return { text: request.choice ?? "" };
      }
      case "models":
        return this.models.list();
      case "history":
        return this.models.history(request.name);
      case "version_diff":
        return this.models.diff(request.name, request.a, request.b);
      case "approve":
        return this.models.approve(request.name, request.version, request.stage, request.withdraw ?? false);
      case "set_gates":
        return this.models.setGates(request.name, request.stage, request.gates);
      case "edit_version":
        return this.models.edit(request.name, request.version, request.deleted ?? null);
      case "servers":
        return { servers: [...this.servers] };
      case "edit_run":
        return this.edit(request);
      case "register":
        return this.models.register(this.source(request.run_id), request.name);
      case "promote":
        return this.models.promote(request);
      case "undo":
        return this.models.undo(request.name, request.commit ?? null);
      case "serve":
        return this.serve(request.model_uri);
      case "server_activity":
        return this.activity;
      case "rollback_server": {
        const server = this.servers.find((one) => one.server_id === request.server_id);
        if (server !== undefined) {
          server.held = request.follow ? "" : server.previous;
          this.touch();
        }
        return { text: request.follow ? "Following again" : `${server?.held ?? ""} answers` };
      }
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

  private fitting(request: { filter?: string; run_ids?: string[] | null; deleted?: boolean }): FakeRun[] {
    const among = request.run_ids ?? null;
    return this.runs.filter(
      (run) =>
        (run.deleted === true) === (request.deleted === true) &&
        (among === null || among.includes(run.run_id)) &&
        fits(run, request.filter ?? ""),
    );
  }

  private edit({ run_id, run_name, tags, deleted }: EditRun): Answers["edit_run"] {
    const run = this.run(run_id);
    run.run_name = run_name ?? run.run_name;
    run.deleted = deleted ?? run.deleted ?? false;
    for (const [key, value] of Object.entries(tags ?? {})) {
      run.tags = { ...run.tags };
      if (value === null) {
        delete run.tags[key];
      } else {
        run.tags[key] = value;
      }
    }
    this.touch();
    return { text: "Saved" };
  }

  private table(runs: readonly FakeRun[]): Runs {
    return tableOf(runs, this.runs, NOW, String(this.revision));
  }

  private detail(run: FakeRun): RunDetail {
    const previous = this.runs[this.runs.indexOf(run) + 1];
    const versions = this.models.versionsOf(run.run_id);
    return {
      run_id: run.run_id,
      run_name: run.run_name,
      experiment: "wine",
      status: run.status ?? "FINISHED",
      start_time: run.start_time ?? NOW,
      end_time: run.end_time === undefined ? (run.start_time ?? NOW) + 1400 : run.end_time,
      user: "ada",
      deleted: false,
      reproducing: false,
      pins: this.pins,
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
      artifacts: [...(run.logged === false ? [] : ["model/model.pkl"]), ...Object.keys(run.files ?? {})].map(
        (path) => ({ path, size_bytes: run.files?.[path]?.text?.length ?? 182_044, digest: "ab".repeat(32) }),
      ),
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

  private source(run_id: string): FakeSource {
    const run = this.run(run_id);
    const metrics = Object.entries(run.metrics ?? {}).map(([key, value]) => [key, said(lastOf(value))]);
    return { run_id, run_name: run.run_name, params: run.params ?? {}, metrics: Object.fromEntries(metrics) };
  }

  private serve(model_uri: string): Server {
    const stageOf = (name: string, version: number): string =>
      this.models.all.find((model) => model.name === name)?.versions.find((one) => one.version === version)?.stage ??
      "";
    const server = startedServer(model_uri, 5100 + this.servers.length, NOW, stageOf);
    this.servers.push(server);
    this.touch();
    return server;
  }
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
