/** Registered models in memory, with the behaviour of the real registry: for component tests and the gallery. */
import { CallError } from "../client";
import type {
  Answers,
  Change,
  CommitEntry,
  Gate,
  LoggedModel,
  Model,
  Promote,
  Promoted,
  Version,
  VersionDifference,
} from "../wire";

export const STAGES = ["None", "Staging", "Production", "Archived"];

/** What a version is made of. */
export interface FakeSource {
  run_id: string;
  run_name: string;
  metrics: Version["metrics"];
  params: Record<string, string>;
}

export class FakeModels {
  /** Who promotes and approves. */
  user = "ada";

  private readonly models = new Map<string, Model>();
  private readonly commits = new Map<string, CommitEntry[]>();
  private readonly sources = new Map<string, FakeSource>();
  private readonly gone = new Map<string, Version>();

  constructor(
    private readonly now: number,
    private readonly changed: () => void,
  ) {}

  get all(): Model[] {
    return [...this.models.values()];
  }

  /** The registered model of this name; tests and the gallery may write to it. */
  model(name: string): Model {
    const model = this.models.get(name);
    if (model === undefined) {
      throw new CallError({ code: "not_found", message: `model: there is no '${name}' in this store.` });
    }
    return model;
  }

  list(): Answers["models"] {
    return { models: this.all, stages: STAGES };
  }

  history(name: string): Answers["history"] {
    const commits = this.commits.get(name) ?? [];
    const moved = (commit: CommitEntry): number[] => commit.changes.map(({ version }) => version);
    const told = commits.map((commit, i) => {
      const later = commits.slice(i + 1).find((one) => moved(one).some((version) => moved(commit).includes(version)));
      return { ...commit, blocked_by: later?.number ?? null };
    });
    return { name, commits: told.reverse() };
  }

  versionsOf(run_id: string): LoggedModel["versions"] {
    return this.all
      .flatMap((model) => model.versions.map((version) => ({ model, version })))
      .filter(({ version }) => version.run_id === run_id)
      .sort((a, b) => b.version.created_at - a.version.created_at)
      .map(({ model, version }) => [model.name, version.version, version.stage]);
  }

  register(source: FakeSource, name: string): Answers["register"] {
    const model = this.models.get(name) ?? {
      name,
      description: "",
      versions: [],
      last_commit: 0,
      stages: STAGES,
      gates: {},
      decisions: [],
      trash: [],
    };
    this.models.set(name, model);
    const version = Math.max(0, ...model.versions.map((one) => one.version), ...model.trash) + 1;
    this.sources.set(`${name}/${version}`, source);
    const made: Version = {
      version,
      stage: "None",
      aliases: [],
      run_id: source.run_id,
      run_name: source.run_name,
      flavor: "sklearn",
      description: "",
      metrics: source.metrics,
      created_at: this.now + this.all.reduce((sum, one) => sum + one.last_commit, 0),
      user: this.user,
      code_line: "",
      approvals: {},
    };
    model.versions = [made, ...model.versions];
    this.commit(model, "register", [], `v${version} registered`);
    return { name, version, last_commit: model.last_commit };
  }

  promote(request: Promote): Promoted {
    const { name, version, preview = false } = request;
    const model = this.model(name);
    const expect = request.expect ?? null;
    if (expect !== null && expect !== model.last_commit) {
      const last = this.commits.get(name)?.at(-1);
      const message = `model '${name}': ${last?.user} moved ${last?.text ?? ""} 0.1 s ago; you saw commit ${expect}.`;
      throw new CallError({ code: "conflict", message: `${message} Nothing was changed.` });
    }
    const ladder = model.stages.slice(1, -1);
    const usual = request.stage === ladder.at(-1) ? "Archived" : "None";
    const changes: Change[] = [];
    for (const one of model.versions) {
      if (one.version === version && one.stage !== request.stage) {
        changes.unshift({ version, before: one.stage, after: request.stage });
      } else if (one.version !== version && one.stage === request.stage && ladder.includes(request.stage)) {
        changes.push({ version: one.version, before: one.stage, after: request.former ?? usual });
      }
    }
    const gates = this.gates(model, version, request.stage);
    const refused = gates.some((gate) => !gate.passed);
    const text = changes.map((change) => `v${change.version} → ${change.after}`).join(", ");
    if (!preview && refused) {
      const why = gates
        .filter((gate) => !gate.passed)
        .map((gate) => `gate '${gate.gate}': ${gate.found}, ${gate.asked}`);
      throw new CallError({ code: "gate", message: `${why.join("; ")}. Nothing was changed.` });
    }
    if (!preview && changes.length > 0) {
      this.move(model, changes);
      this.commit(model, "promote", changes, text, request.note ?? "");
    }
    const below = model.stages.slice(0, model.stages.indexOf(request.stage)).reverse();
    const formers = ladder.includes(request.stage) ? [...new Set([usual, ...below, "Archived"])] : [];
    return { name, preview, last_commit: model.last_commit, changes, text, gates, refused, formers };
  }

  undo(name: string, number: number | null): Promoted {
    const model = this.model(name);
    const commits = this.commits.get(name) ?? [];
    const taken = number === null ? commits.at(-1) : commits.find((one) => one.number === number);
    const changes = (taken?.changes ?? []).map(({ version, before, after }) => ({
      version,
      before: after,
      after: before,
    }));
    const text = changes.map((change) => `v${change.version} → ${change.after}`).join(", ");
    this.move(model, changes);
    this.commit(model, "undo", changes, text);
    return {
      name,
      preview: false,
      last_commit: model.last_commit,
      changes,
      text,
      gates: [],
      refused: false,
      formers: [],
    };
  }

  approve(name: string, version: number, stage: string, withdraw: boolean): Version {
    const model = this.model(name);
    const found = this.version(model, version);
    const stages = (found.approvals[this.user] ?? []).filter((one) => one !== stage);
    found.approvals = { ...found.approvals, [this.user]: withdraw ? stages : [...stages, stage] };
    this.commit(model, "approve", [], `v${version} approved for ${stage} by ${this.user}`);
    return found;
  }

  setGates(name: string, stage: string, gates: string[]): Answers["set_gates"] {
    const model = this.model(name);
    const { [stage]: _, ...others } = model.gates;
    model.gates = gates.length > 0 ? { ...others, [stage]: gates } : others;
    this.commit(model, "edit", [], `gates of ${stage}: ${gates.join("; ") || "none"}`);
    return { name, gates: model.gates };
  }

  edit(name: string, version: number, deleted: boolean | null): Answers["edit_version"] {
    const model = this.model(name);
    const key = `${name}/${version}`;
    const found = deleted === false ? this.gone.get(key) : this.version(model, version);
    if (deleted !== null && found !== undefined) {
      model.versions = model.versions.filter((one) => one.version !== version);
      model.trash = model.trash.filter((one) => one !== version);
      if (deleted) {
        model.trash = [...model.trash, version];
        this.gone.set(key, { ...found, stage: "None" });
      } else {
        model.versions = [...model.versions, found].sort((a, b) => b.version - a.version);
      }
    }
    const text = `v${version} ${deleted ? "moved to the trash" : "restored"}`;
    this.commit(model, deleted ? "delete" : "restore", [], text);
    return { text: deleted ? "Moved to the trash" : "Restored" };
  }

  diff(name: string, a: number, b: number): Answers["version_diff"] {
    const [first, second] = [this.sources.get(`${name}/${a}`), this.sources.get(`${name}/${b}`)];
    const differences: VersionDifference[] = [];
    for (const [kind, field] of [
      ["metric", "metrics"],
      ["param", "params"],
    ] as const) {
      const [one, other] = [first?.[field] ?? {}, second?.[field] ?? {}];
      for (const key of new Set([...Object.keys(one), ...Object.keys(other)])) {
        const values = [one[key], other[key]].map((value) => (value === undefined ? null : String(value)));
        if (values[0] !== values[1]) {
          differences.push({ kind, key, a: values[0] ?? null, b: values[1] ?? null });
        }
      }
    }
    return { name, a, b, differences };
  }

  private gates(model: Model, number: number, stage: string): Gate[] {
    const version = this.version(model, number);
    return (model.gates[stage] ?? []).map((gate) => {
      const approval = /^approved by (.+)$/.exec(gate);
      if (approval !== null) {
        const agreed = Object.keys(version.approvals).filter((one) => version.approvals[one]?.includes(stage));
        const found = `v${number} is approved for ${stage} by ${agreed.join(" and ") || "nobody"}`;
        return { gate, passed: agreed.includes(approval[1] ?? ""), found, asked: `asked is ${approval[1]}` };
      }
      const [, key = "", wanted = ""] = /^(\S+) >= (\S+)$/.exec(gate) ?? [];
      const value = version.metrics[key];
      const found = `v${number} has ${key} ${value}`;
      return { gate, passed: Number(value) >= Number(wanted), found, asked: `asked is >= ${wanted}` };
    });
  }

  private version(model: Model, number: number): Version {
    const found = model.versions.find((one) => one.version === number);
    if (found === undefined) {
      throw new CallError({ code: "not_found", message: `model '${model.name}': there is no version ${number}.` });
    }
    return found;
  }

  private commit(model: Model, action: string, changes: Change[], text: string, note = ""): void {
    model.last_commit += 1;
    const commits = this.commits.get(model.name) ?? [];
    const at = this.now + model.last_commit * 60_000;
    commits.push({ number: model.last_commit, action, at, user: this.user, note, changes, text, blocked_by: null });
    this.commits.set(model.name, commits);
    this.changed();
  }

  private move(model: Model, changes: Change[]): void {
    model.versions = model.versions.map((version) => {
      const change = changes.find((one) => one.version === version.version);
      return change === undefined ? version : { ...version, stage: change.after };
    });
  }
}
