// Generated from nbtrack/wire/messages.py. Do not edit: run `python -m nbtrack.wire.typescript > js/src/wire.ts`.

/** About the store. */
export interface GetInfo {
  op: "info";
}

/** Has anything changed? Cheap; asked once or twice a second. */
export interface GetRevision {
  op: "revision";
}

/**
 * Runs as columns. `run_ids` restricts to these, in the store's order.
 *
 * `columns` restricts what is told beside attributes, and `also` adds to it: keys and expressions in the language of
 * `search_runs`, such as ``params.lr`` or ``min(metrics.loss)``. A table of more than `max_cells` (0: any number) or
 * more runs than `limit` comes back without rows, its columns without values, and is asked for block by block.
 *
 * `since` is the revision of the answer to the same question that is at hand: then only changes need be told.
 */
export interface ListRuns {
  op: "runs";
  filter?: string;
  order_by?: string[];
  experiment?: string | null;
  run_ids?: string[] | null;
  limit?: number;
  offset?: number;
  deleted?: boolean;
  columns?: string[] | null;
  also?: string[];
  max_cells?: number;
  since?: string;
}

/** Which columns the runs that fit have, without their values. */
export interface GetCatalog {
  op: "catalog";
  filter?: string;
  experiment?: string | null;
  run_ids?: string[] | null;
  deleted?: boolean;
}

/** Runs grouped by the values of one column, `by`, with the mean, lowest and highest of each of `metrics`. */
export interface GroupRuns {
  op: "groups";
  by: string;
  metrics: string[];
  filter?: string;
  experiment?: string | null;
  deleted?: boolean;
}

/** The saved views of the run table. */
export interface ListViews {
  op: "views";
}

/** Save a view of the run table under a name, or (null) take it away. */
export interface SaveView {
  op: "save_view";
  name: string;
  view: Record<string, unknown> | null;
}

/** Everything about one run. */
export interface GetRun {
  op: "run";
  run_id: string;
}

/** Why are these runs different? The first one is what the others are compared with. */
export interface GetDiff {
  op: "diff";
  run_ids: string[];
}

/**
 * Metric curves, thinned to at most `max_points` a curve so that no peak is lost.
 *
 * `axis` orders the points: by step, by time (ms since 1970 UTC), or by time since the curve began (ms). Only points
 * with `low` <= x <= `high` are given, and the nearest one on either side, so that a line enters and leaves the view.
 * `smooth` (0 to below 1) adds the exponential moving average, taken over all points before any is thinned out.
 */
export interface GetSeries {
  op: "series";
  run_ids: string[];
  keys: string[];
  max_points?: number;
  axis?: "relative" | "step" | "time";
  low?: number | null;
  high?: number | null;
  smooth?: number;
}

/** Mean and spread of metric curves over groups of runs: `groups` maps a name to run ids. */
export interface GetBands {
  op: "bands";
  groups: Record<string, string[]>;
  keys: string[];
  spread?: "range" | "std";
  axis?: "relative" | "step" | "time";
  low?: number | null;
  high?: number | null;
  max_points?: number;
}

/**
 * A plotly figure about runs.
 *
 * `metric` is the key of the metric it is about; `columns` are columns by id, such as ``param:lr`` or
 * ``metric:loss``; `color` is one such column; `path` is the logged table of an evaluation plot. Without `run_ids`
 * it is about all runs of the `experiment` that fit the `filter`.
 */
export interface GetFigure {
  op: "figure";
  kind: "best" | "confusion" | "curves" | "importance" | "matrix" | "parallel" | "pr" | "roc" | "scatter";
  run_ids?: string[] | null;
  experiment?: string | null;
  filter?: string;
  metric?: string;
  columns?: string[];
  color?: string;
  path?: string;
}

/** The program that draws plotly figures, as the installed plotly brings it. */
export interface GetPlotly {
  op: "plotly";
}

/** A file of a run, as much of it as a preview needs; with `whole`, all of it. */
export interface GetArtifact {
  op: "artifact";
  run_id: string;
  path: string;
  whole?: boolean;
}

/** A self-contained page about runs, for people without Jupyter. No `run_ids` means all that fit. */
export interface MakeReport {
  op: "report";
  title?: string;
  run_ids?: string[] | null;
  experiment?: string | null;
  filter?: string;
}

/** All registered models with their versions. */
export interface ListModels {
  op: "models";
}

/** The commits of one registered model, newest first. */
export interface GetHistory {
  op: "history";
  name: string;
}

/** What is different between two versions; a difference reads from `a` to `b`. */
export interface DiffVersions {
  op: "version_diff";
  name: string;
  a: number;
  b: number;
}

/** Model servers of this store on this machine. */
export interface ListServers {
  op: "servers";
}

/** Rename, tag, annotate, trash or restore a run. A tag of null is removed. */
export interface EditRun {
  op: "edit_run";
  run_id: string;
  run_name?: string | null;
  tags?: Record<string, string | null>;
  deleted?: boolean | null;
}

/**
 * Keep (``pinned``) or leave out (``unpinned``) a param or metric that is found in the notebook of a run.
 *
 * It holds from the notebook's next run on; null takes the choice back.
 */
export interface Pin {
  op: "pin";
  run_id: string;
  kind: "metric" | "param";
  key: string;
  choice?: "pinned" | "unpinned" | null;
}

/**
 * Run the cells that made a run again in a clean kernel; answers at once, while they run in the background.
 *
 * `stop` ends what is under way instead; the run is not stamped then.
 */
export interface Reproduce {
  op: "reproduce";
  run_id: string;
  stop?: boolean;
}

/** How far is it? Asked while a reproduction of this run is under way. */
export interface GetReproduction {
  op: "reproduction";
  run_id: string;
}

/** Make a model that a run logged a version of a registered model. */
export interface Register {
  op: "register";
  run_id: string;
  name: string;
  artifact_path?: string | null;
}

/**
 * Move a version to a stage. With `preview`, only say what would happen, and what each gate finds.
 *
 * `expect` is the last commit number that the user saw: if there is a newer one, nothing is done and the answer is
 * an error with code ``conflict``. `former` is the stage that the version now there moves back to, or ``below``.
 */
export interface Promote {
  op: "promote";
  name: string;
  version: number;
  stage: string;
  note?: string;
  former?: string | null;
  expect?: number | null;
  preview?: boolean;
}

/** Take a commit of a registered model back, by a new commit; the last one where `commit` is null. */
export interface Undo {
  op: "undo";
  name: string;
  commit?: number | null;
  expect?: number | null;
}

/** Agree, under one's own name, that a version may be promoted to a stage; or take that back. */
export interface Approve {
  op: "approve";
  name: string;
  version: number;
  stage: string;
  withdraw?: boolean;
  note?: string;
}

/** Set what every promotion to a stage must pass; an empty list takes the gates away. */
export interface SetGates {
  op: "set_gates";
  name: string;
  stage: string;
  gates: string[];
}

/** Describe a version, move it to the trash, or restore it from there. */
export interface EditVersion {
  op: "edit_version";
  name: string;
  version: number;
  description?: string | null;
  deleted?: boolean | null;
}

/** Serve a model on this machine; answers when it is ready, or with the reason why not. */
export interface Serve {
  op: "serve";
  model_uri: string;
  port?: number | null;
}

/** Stop a model server. */
export interface StopServer {
  op: "stop_server";
  server_id: string;
}

/** What a server was asked lately, the end of its log, and how its rows differ from the training data. */
export interface GetActivity {
  op: "server_activity";
  server_id: string;
}

/** Let the version that answered before answer again, at once; with `follow`, follow the stage again. */
export interface RollbackServer {
  op: "rollback_server";
  server_id: string;
  follow?: boolean;
}

/** Send one scoring request to a served model: the try-it form. `body` is sent as it is. */
export interface Invoke {
  op: "invoke";
  server_id: string;
  body: string;
  content_type?: string;
}

/** About the store. `server` is the nbtrack version of the process that answers. */
export interface StoreInfo {
  uri: string;
  name: string;
  writable: boolean;
  format_version: number;
  runs: number;
  models: number;
  server: string;
  user: string;
}

/** Changes whenever something in the store does. */
export interface Revision {
  revision: string;
}

/** A file of a run. */
export interface ArtifactEntry {
  path: string;
  size_bytes: number;
  digest: string;
}

/** A metric of a run in one line. */
export interface MetricEntry {
  key: string;
  last: number | string;
  min: number | string;
  max: number | string;
  count: number;
  step: number;
  better: "higher" | "lower" | null;
  previous: number | string | null;
}

/** Data that a run read, as it was told with ``log_input``. */
export interface DataInput {
  name: string;
  context: string;
  digest: string;
  source: string;
}

/** Everything about one run, ready to show. */
export interface RunDetail {
  run_id: string;
  run_name: string;
  experiment: string;
  status: string;
  start_time: number;
  end_time: number | null;
  user: string;
  deleted: boolean;
  note: string;
  params: Record<string, string>;
  metrics: MetricEntry[];
  tags: Record<string, string>;
  artifacts: ArtifactEntry[];
  models: LoggedModel[];
  capture: Record<string, unknown>;
  previous_run: [string, string] | null;
  parent: [string, string] | null;
  children: [string, string, string][];
  inputs: DataInput[];
  reproducing: boolean;
  pins: Record<string, string>;
}

/**
 * A model server. `curl`, `python` and `javascript` work as they stand; `example` is a body that it accepts.
 *
 * `path` is where a Jupyter server reaches it for a browser on another machine, below its base URL. `follow` is the
 * URI whose meaning it follows, `held` the version that it answers with all the same, `previous` the one before.
 */
export interface Server {
  server_id: string;
  url: string;
  path: string;
  port: number;
  model_uri: string;
  model_name: string;
  version: number | null;
  stage: string;
  owner: string;
  status: string;
  started_at: number;
  error: string;
  requests: number;
  follow: string;
  held: string;
  previous: string;
  others: OtherModel[];
  checks: Check[];
  curl: string;
  python: string;
  javascript: string;
  example: string;
}

/** Model servers of this store on this machine. */
export interface Servers {
  servers: Server[];
}

/** What a served model answered. */
export interface Invocation {
  status: number;
  body: string;
  ms: number;
}

/** It is done; `text` says what, for the status line. */
export interface Done {
  text: string;
}

/**
 * Why not, and what to do.
 *
 * `code`: ``invalid not_found no_store conflict gate read_only serving failed internal``.
 */
export interface Failure {
  code: string;
  message: string;
}

/**
 * One column: `values` has one entry a run, null where the run has no such key.
 *
 * `better` is the direction of a metric where it is known; `varies` says whether the shown runs differ in it.
 */
export interface Column {
  kind: "attribute" | "metric" | "param" | "tag";
  key: string;
  values: (number | string | null)[];
  varies: boolean;
  numeric: boolean;
  better: "higher" | "lower" | null;
}

/** Says that an answer holds only the rows that changed; `order` is all run ids (null: the same as before). */
export interface Changes {
  order: string[] | null;
}

/**
 * Runs as columns; `colors` gives each run its stable colour and shape (an index into 8 colours by 8 shapes).
 *
 * `offset` is the place of the first run among the `total` that fit. Not `whole`: too many for one answer.
 * With `changed`, these are only the runs that changed since; `colors` are those of its order.
 */
export interface Runs {
  run_ids: string[];
  columns: Column[];
  colors: number[];
  total: number;
  revision: string;
  offset: number;
  whole: boolean;
  changed: Changes | null;
}

/** A column without its values; `count` runs have one. */
export interface CatalogColumn {
  kind: "attribute" | "metric" | "param" | "tag";
  key: string;
  count: number;
  varies: boolean;
  numeric: boolean;
  better: "higher" | "lower" | null;
}

/** The columns that the runs which fit have. */
export interface Catalog {
  columns: CatalogColumn[];
  total: number;
  revision: string;
}

/** A metric over the runs of a group that have it; nothing where none has. */
export interface Spread {
  count: number;
  mean: number | string | null;
  min: number | string | null;
  max: number | string | null;
}

/** Runs with the same value in the grouping column (null: none); `metrics` in the order of the request. */
export interface Group {
  value: number | string | null;
  count: number;
  metrics: Spread[];
}

/** Groups, largest first; `total` counts all, of which at most a thousand are told. */
export interface Groups {
  groups: Group[];
  total: number;
  revision: string;
}

/** A saved view: whatever the table wrote, with when and by whom. */
export interface SavedView {
  name: string;
  view: Record<string, unknown>;
  at: number;
  user: string;
}

/** All saved views, sorted by name. */
export interface Views {
  views: SavedView[];
}

/**
 * One thing in which runs differ, and which may be why their metrics do.
 *
 * `kind` is ``param``, ``cell`` (the code of the tracked cell), ``upstream`` (the code of a cell that it used),
 * ``data``, ``seed``, ``environment`` (Python and packages) or ``git``. `values` has one entry a run, null where a run
 * has no such thing. `weight` (0 to 1) says how likely it matters. `patches` is empty but for code: one entry a run,
 * a unified diff from the first run's code to this one's, empty where both are the same.
 */
export interface Difference {
  kind: "cell" | "data" | "environment" | "git" | "param" | "seed" | "upstream";
  key: string;
  values: (string | null)[];
  weight: number;
  text: string;
  patches: string[];
}

/** A metric in which runs differ: one value a run, null where a run has none. */
export interface MetricDifference {
  key: string;
  values: (number | string | null)[];
  better: "higher" | "lower" | null;
}

/**
 * Why runs are different: `differences` holds what most likely matters first.
 *
 * `verdict` says it in one sentence; `same` and `unknown` say in words what was compared without a difference, and
 * what could not be compared.
 */
export interface RunDiff {
  run_ids: string[];
  run_names: string[];
  verdict: string;
  metrics: MetricDifference[];
  differences: Difference[];
  same: string[];
  unknown: string[];
}

/** One curve. `count` is the number of points before thinning; `time` is ms since 1970 UTC, `start` its first. */
export interface Series {
  run_id: string;
  key: string;
  step: number[];
  value: (number | string)[];
  time: number[];
  count: number;
  start: number;
  smooth: (number | string)[] | null;
}

/** Curves, in the order of the request's run_ids, then keys; those without a point are left out. */
export interface SeriesList {
  series: Series[];
}

/** The curve of a group: at each x the mean over its runs, and what the spread is from and to. */
export interface Band {
  name: string;
  key: string;
  runs: number;
  x: number[];
  mean: (number | string)[];
  low: (number | string)[];
  high: (number | string)[];
}

/** Curves of groups, in the order of the request's groups, then keys; those without a point are left out. */
export interface Bands {
  bands: Band[];
}

/** Rows of a table; `total` counts them all, also those left out. */
export interface DataTable {
  columns: string[];
  rows: ((number | string | null)[])[];
  total: number;
}

/** A plotly figure as plotly.js takes it, with the data behind it as a table, and what it says in words. */
export interface Figure {
  title: string;
  note: string;
  spec: Record<string, unknown>;
  table: DataTable;
}

/** plotly.js: gzip in base64. */
export interface PlotlySource {
  version: string;
  source: string;
}

/**
 * A file of a run. `text` for what can be read, `data` (base64) for images and downloads, `table` for tables.
 *
 * `cut` says that more of it is in the store than here.
 */
export interface ArtifactContent {
  path: string;
  kind: "binary" | "html" | "image" | "plotly" | "svg" | "table" | "text";
  media_type: string;
  size_bytes: number;
  text: string;
  data: string;
  table: DataTable | null;
  cut: boolean;
}

/** A page to save as a file. */
export interface ReportPage {
  file_name: string;
  html: string;
}

/** A model that a run logged, and the versions made of it. */
export interface LoggedModel {
  artifact_path: string;
  flavor: string;
  model_class: string;
  size_bytes: number;
  versions: [string, number, string][];
}

/** One version of a registered model. `approvals` maps a person to the stages that he agreed to. */
export interface Version {
  version: number;
  stage: string;
  aliases: string[];
  run_id: string | null;
  run_name: string;
  flavor: string;
  description: string;
  metrics: Record<string, number | string>;
  created_at: number;
  user: string;
  code_line: string;
  approvals: Record<string, string[]>;
}

/**
 * The last choice of the best version for an environment: each version has a score or a reason against it.
 *
 * `dataset` is the fingerprint of the data that all were scored on; `comparable` is false if the decision before this
 * one was made on other data.
 */
export interface Decision {
  environment: string;
  policy: string;
  metric: string;
  dataset: string;
  best: number;
  scores: Record<string, number | string>;
  refused: Record<string, string>;
  comparable: boolean;
}

/**
 * A registered model; versions newest first; `last_commit` is what a promotion should expect.
 *
 * `stages` are its stages, lowest first; `gates` maps a stage to the conditions of every promotion to it; `trash` are
 * the versions in the trash.
 */
export interface Model {
  name: string;
  description: string;
  versions: Version[];
  last_commit: number;
  stages: string[];
  gates: Record<string, string[]>;
  decisions: Decision[];
  trash: number[];
}

/** All registered models, and the stages that a model has unless it has its own. */
export interface Models {
  models: Model[];
  stages: string[];
}

/** One move of one version. */
export interface Change {
  version: number;
  before: string;
  after: string;
}

/** One line of a model's history. */
export interface CommitEntry {
  number: number;
  action: string;
  at: number;
  user: string;
  note: string;
  changes: Change[];
  text: string;
  blocked_by: number | null;
}

/** The commits of one registered model, newest first. */
export interface History {
  name: string;
  commits: CommitEntry[];
}

/** One thing that is different between two versions; null where one has no such thing. */
export interface VersionDifference {
  kind: string;
  key: string;
  a: string | null;
  b: string | null;
}

/** What is different between two versions: results first. */
export interface VersionDiff {
  name: string;
  a: number;
  b: number;
  differences: VersionDifference[];
}

/** A new version. */
export interface Registered {
  name: string;
  version: number;
  last_commit: number;
}

/** What a gate found of the version, and what it asks. */
export interface Gate {
  gate: string;
  passed: boolean;
  found: string;
  asked: string;
}

/**
 * What a promotion did, or (preview) would do.
 *
 * `refused` says whether a gate stands against it; `formers` are the stages that a version which gives way could go
 * to, the one that it would go to unasked first.
 */
export interface Promoted {
  name: string;
  preview: boolean;
  last_commit: number;
  changes: Change[];
  text: string;
  gates: Gate[];
  refused: boolean;
  formers: string[];
}

/** A model's gates as they are now. */
export interface Rules {
  name: string;
  gates: Record<string, string[]>;
}

/**
 * How far the process that answers is with running a run again; the result itself is on the run.
 *
 * `state` is ``none`` (nothing was asked for), ``running``, ``done`` (the run is stamped), ``stopped`` or ``failed``
 * (`error` says why it could not even be compared). `done` of `total` cells ran to their end; `cell` names the next.
 */
export interface Reproduction {
  run_id: string;
  state: "done" | "failed" | "none" | "running" | "stopped";
  done: number;
  total: number;
  cell: string;
  elapsed_ms: number;
  error: string;
}

/** One step of a server's rehearsal. `state` is ``ok``, ``note`` or ``failed``. */
export interface Check {
  name: string;
  state: string;
  text: string;
}

/** A further model of a server. */
export interface OtherModel {
  model_uri: string;
  model_name: string;
  version: number | null;
}

/** One scoring request, without its data; `why` says why it was refused. */
export interface SeenRequest {
  at: number;
  status: number;
  rows: number;
  ms: number;
  model: string;
  why: string;
}

/**
 * How a column differs from the training data: `verdict` is ``steady shifted drifted`` or ``too few rows``.
 *
 * `index` is the population stability index; `missing`, `missing_before` and `outside` are shares.
 */
export interface DriftedColumn {
  column: string | null;
  index: number;
  verdict: string;
  missing: number;
  missing_before: number;
  outside: number;
}

/** What a server was asked lately, newest first. `drift` is null where requests are not looked at. */
export interface ServerActivity {
  requests: SeenRequest[];
  total: number;
  log: string;
  drift: DriftedColumn[] | null;
  drift_rows: number;
  shadow: string;
  run_id: string | null;
}

export type AnyRequest =
  | GetInfo
  | GetRevision
  | ListRuns
  | GetCatalog
  | GroupRuns
  | ListViews
  | SaveView
  | GetRun
  | GetDiff
  | GetSeries
  | GetBands
  | GetFigure
  | GetPlotly
  | GetArtifact
  | MakeReport
  | ListModels
  | GetHistory
  | DiffVersions
  | ListServers
  | EditRun
  | Pin
  | Reproduce
  | GetReproduction
  | Register
  | Promote
  | Undo
  | Approve
  | SetGates
  | EditVersion
  | Serve
  | StopServer
  | GetActivity
  | RollbackServer
  | Invoke;

/** Which answer each request gets. */
export interface Answers {
  info: StoreInfo;
  revision: Revision;
  runs: Runs;
  catalog: Catalog;
  groups: Groups;
  views: Views;
  save_view: Views;
  run: RunDetail;
  diff: RunDiff;
  series: SeriesList;
  bands: Bands;
  figure: Figure;
  plotly: PlotlySource;
  artifact: ArtifactContent;
  report: ReportPage;
  models: Models;
  history: History;
  version_diff: VersionDiff;
  register: Registered;
  promote: Promoted;
  undo: Promoted;
  approve: Version;
  set_gates: Rules;
  servers: Servers;
  edit_run: Done;
  pin: Done;
  reproduce: Reproduction;
  reproduction: Reproduction;
  edit_version: Done;
  serve: Server;
  stop_server: Done;
  server_activity: ServerActivity;
  rollback_server: Done;
  invoke: Invocation;
}

/** What travels back: the answer, or why there is none. */
export type Reply<A> = { ok: true; answer: A } | { ok: false; error: Failure };
