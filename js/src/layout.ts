/** What a table shows beside its runs: chosen columns, their order and width, the baseline, the groups; and saved views. */
import { columnId, type SortKey } from "./rows";

export interface Layout {
  /** Ids of columns in the order that the user gave them; those not named follow in their own order. */
  order: string[];
  hidden: string[];
  /** Shown although no run differs in them; also what is computed, such as `metric:min(metrics.loss)` and `curve:loss`. */
  added: string[];
  widths: Record<string, number>;
  /** The run that others are shown against. */
  baseline: string | null;
  /** The column whose values make the groups. */
  group: string | null;
}

export const PLAIN: Layout = { order: [], hidden: [], added: [], widths: {}, baseline: null, group: null };

/** Everything that a saved view keeps. */
export interface SavedTable {
  version: 1;
  layout: Layout;
  sort: SortKey[];
  filter: string;
  showAll: boolean;
}

const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];
const textOr = (value: unknown): string | null => (typeof value === "string" ? value : null);

/** A saved view, checked: it may have been written by another version, or by hand. */
export function parseSaved(data: unknown): SavedTable | null {
  if (typeof data !== "object" || data === null) {
    return null;
  }
  const { version, layout, sort, filter, showAll } = data as Record<string, unknown>;
  if (version !== 1 || typeof layout !== "object" || layout === null) {
    return null;
  }
  const { order, hidden, added, widths, baseline, group } = layout as Record<string, unknown>;
  const sizes = Object.entries(typeof widths === "object" && widths !== null ? widths : {}).filter(
    (one): one is [string, number] => typeof one[1] === "number" && one[1] > 0,
  );
  const keys = (Array.isArray(sort) ? sort : []).filter(
    (key): key is SortKey => typeof key?.column === "string" && typeof key?.descending === "boolean",
  );
  return {
    version: 1,
    layout: {
      order: texts(order),
      hidden: texts(hidden),
      added: texts(added),
      widths: Object.fromEntries(sizes),
      baseline: textOr(baseline),
      group: textOr(group),
    },
    sort: keys.map(({ column, descending }) => ({ column, descending })),
    filter: typeof filter === "string" ? filter : "",
    showAll: showAll === true,
  };
}

const without = (list: readonly string[], id: string): string[] => list.filter((one) => one !== id);

/** The layout with a column shown or hidden. */
export function showing(layout: Layout, id: string, shown: boolean): Layout {
  const hidden = without(layout.hidden, id);
  const added = without(layout.added, id);
  return shown ? { ...layout, hidden, added: [...added, id] } : { ...layout, hidden: [...hidden, id], added };
}

/** The layout with a column moved by some places among those that are shown. */
export function moving(layout: Layout, shown: readonly string[], id: string, by: number): Layout {
  const at = shown.indexOf(id);
  const to = Math.max(0, Math.min(shown.length - 1, at + by));
  if (at < 0 || to === at) {
    return layout;
  }
  const order = without(shown, id);
  order.splice(to, 0, id);
  return { ...layout, order };
}

/** The layout with a column put where another stands. */
export function movingTo(layout: Layout, shown: readonly string[], id: string, place: string): Layout {
  return moving(layout, shown, id, shown.indexOf(place) - shown.indexOf(id));
}

/** Columns in the user's order. */
export function ordered<C extends { id: string }>(columns: readonly C[], order: readonly string[]): C[] {
  if (order.length === 0) {
    return [...columns];
  }
  const places = new Map(order.map((id, place) => [id, place]));
  // One that the user never moved stays behind its neighbour: it is not sent to the far end.
  let last = -1;
  return columns
    .map((column, index) => {
      last = places.get(column.id) ?? last;
      return { column, index, place: last };
    })
    .sort((a, b) => a.place - b.place || a.index - b.index)
    .map(({ column }) => column);
}

/** A key in the language of `search_runs`. */
export function fieldOf(kind: string, key: string): string {
  if (kind === "metric" && key.endsWith(")")) {
    return key; // an expression as it stands
  }
  const quoted = /^[A-Za-z_][\w/:@-]*$/.test(key) ? key : `\`${key}\``;
  return kind === "attribute" ? (key === "experiment" ? "experiment_id" : key) : `${kind}s.${quoted}`;
}

/** The expressions that a metric can be looked at by, beside its last value. */
export const AGGREGATES = ["min", "max", "step"] as const;

export const aggregateId = (aggregate: string, key: string): string =>
  columnId({ kind: "metric", key: `${aggregate}(${fieldOf("metric", key)})` });

/** The metric at the step at which another was best. */
export const atBestId = (key: string, by: string, better: "higher" | "lower"): string =>
  columnId({
    kind: "metric",
    key: `at_${better === "higher" ? "max" : "min"}(${fieldOf("metric", key)}, ${fieldOf("metric", by)})`,
  });
