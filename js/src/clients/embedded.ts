/** Has all answers inside: for a page that has neither kernel nor server. */
import { CallError, type Client } from "../client";
import { columnId } from "../rows";
import type {
  Answers,
  AnyRequest,
  ArtifactContent,
  History,
  Models,
  RunDetail,
  Runs,
  Series,
  StoreInfo,
} from "../wire";

/** What a saved page holds of a store: `nbtrack/wire/page.py` writes it. */
export interface Saved {
  title: string;
  /** When it was saved, ms since 1970 UTC, and by whom. */
  saved_at: number;
  user: string;
  info: StoreInfo;
  runs: Runs;
  series: Series[];
  details: RunDetail[];
  artifacts: (ArtifactContent & { run_id: string })[];
  models: Models;
  histories: History[];
}

function unsaved(): never {
  throw new CallError({
    code: "read_only",
    message: "This page shows what was saved in it. Open the notebook in JupyterLab to see or do more.",
  });
}

/** The rows of a table that belong to some runs, in the table's order. */
function only(runs: Runs, ids: ReadonlySet<string>): Runs {
  const rows = runs.run_ids.flatMap((id, row) => (ids.has(id) ? [row] : []));
  const at = <T>(values: readonly T[]): T[] => rows.map((row) => values[row] as T);
  const columns = runs.columns.map((column) => ({ ...column, values: at(column.values) }));
  return { ...runs, run_ids: at(runs.run_ids), columns, colors: at(runs.colors), total: rows.length };
}

export class EmbeddedClient implements Client {
  readonly saved = true;

  constructor(private readonly data: Saved) {}

  async call<R extends AnyRequest>(request: R): Promise<Answers[R["op"]]> {
    return this.answer(request) as Answers[R["op"]];
  }

  subscribe(): () => void {
    return () => undefined; // what is saved does not change
  }

  private answer(request: AnyRequest): Answers[keyof Answers] {
    const { data } = this;
    switch (request.op) {
      case "info":
        return data.info;
      case "revision":
        return { revision: data.runs.revision };
      case "runs":
        if (
          request.filter ||
          request.deleted ||
          request.also?.some((id) => !data.runs.columns.some((c) => columnId(c) === id))
        ) {
          return unsaved();
        }
        return request.run_ids ? only(data.runs, new Set(request.run_ids)) : data.runs;
      case "series": {
        const [ids, keys] = [new Set(request.run_ids), new Set(request.keys)];
        return { series: data.series.filter((one) => ids.has(one.run_id) && keys.has(one.key)) };
      }
      case "run":
        return data.details.find((one) => one.run_id === request.run_id) ?? unsaved();
      case "artifact":
        return data.artifacts.find((one) => one.run_id === request.run_id && one.path === request.path) ?? unsaved();
      case "models":
        return data.models;
      case "history":
        return data.histories.find((one) => one.name === request.name) ?? unsaved();
      case "servers":
        return { servers: [] };
      case "views":
        return { views: [] };
      default:
        return unsaved();
    }
  }
}
