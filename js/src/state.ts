/** What one view shows and has selected, as signals; and when it asks again. */
import { computed, effect, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Seen } from "./blocks";
import type { Client } from "./client";
import type { Value } from "./format";
import { type GroupRow, groupRows, type Item, itemsOf } from "./groups";
import { type Layout, PLAIN, type SavedTable } from "./layout";
import { Loader } from "./loader";
import { isQuery } from "./query";
import {
  columnId,
  filterRows,
  NAME_ID,
  nameColumn,
  type ShownColumn,
  type SortKey,
  shownColumns,
  sortRows,
} from "./rows";
import type { Failure, Runs } from "./wire";

export interface ViewOptions {
  /** Only these runs, or null for all. */
  run_ids?: string[] | null;
  experiment?: string | null;
  /** The language of `search_runs`, applied by the store before anything is shown. */
  query?: string;
  /** Whether the view shows a table at all; without one, the runs are not asked for. */
  table?: boolean;
  /** The notebook whose saved view is taken, if it has one. */
  notebook?: string;
}

export type Intent = "register" | "promote" | "serve";

/** How many runs are drawn before the user has chosen any. */
export const FIRST_DRAWN = 8;
/** What a notebook's own view is saved under. */
export const notebookView = (notebook: string): string => `notebook: ${notebook}`;

export interface State {
  readonly options: ViewOptions;
  /** The runs at hand: all of them, or of a large table a block around what is seen (`total` says how many there are). */
  readonly runs: Signal<Runs | null>;
  readonly failure: Signal<Failure | null>;
  readonly loading: Signal<boolean>;
  /** Grows whenever the store changed; components ask again when it does. */
  readonly revision: Signal<number>;
  readonly filter: Signal<string>;
  /** What is wrong with the filter, as the store said it. */
  readonly filterFailure: Signal<Failure | null>;
  /** What is brushed in a plot, in the language of `search_runs`; "" for nothing. Rows must fit it as well. */
  readonly brush: Signal<string>;
  readonly showAll: Signal<boolean>;
  readonly sort: Signal<SortKey[]>;
  readonly layout: Signal<Layout>;
  /** Whether the trash is shown instead. */
  readonly trash: Signal<boolean>;
  /** Ids of the groups whose runs are shown. */
  readonly open: Signal<ReadonlySet<string>>;
  /** Drawn in the charts; null until the user chose. */
  readonly chosen: Signal<ReadonlySet<string> | null>;
  readonly selected: ReadonlySignal<ReadonlySet<string>>;
  /** The run whose details are shown. */
  readonly current: Signal<string | null>;
  /** Something a command asks the card of the current run to start. */
  readonly intent: Signal<Intent | null>;
  /** Said to screen readers. */
  readonly status: Signal<string>;
  readonly columns: ReadonlySignal<ShownColumn[]>;
  /** Indexes into `runs`, filtered and sorted. */
  readonly rows: ReadonlySignal<number[]>;
  /** How many rows the grid has: runs and heads of groups. */
  readonly count: ReadonlySignal<number>;
  /** How many runs there are before any filter. */
  readonly total: ReadonlySignal<number>;
  /** How many runs fit all filters. */
  readonly fitting: ReadonlySignal<number>;
  /** What stands at a place of the grid; null while it is on its way. */
  itemAt(place: number): Item | null;
  /** Say what is in sight, so that a large table fetches it. */
  look(seen: Seen): void;
  toggle(run_id: string): void;
  /** Name and colour of a run that was seen at any time; null of one that never was. */
  known(run_id: string): { name: string; color: number } | null;
  /** What the store is asked, for those who ask about the same runs. */
  asked(): {
    filter: string;
    experiment: string | null;
    run_ids: string[] | null;
    deleted: boolean;
    order_by: string[];
  };
  saved(): SavedTable;
  restore(view: SavedTable): void;
  /** Ask the store again, now. */
  refresh(): void;
  /** Watch the store until the returned function is called. Views that share a state may each do so. */
  watch(): () => void;
}

/** The signals that only the user changes. */
function choices() {
  return {
    failure: signal<Failure | null>(null),
    loading: signal(false),
    revision: signal(0),
    filter: signal(""),
    filterFailure: signal<Failure | null>(null),
    brush: signal(""),
    showAll: signal(false),
    sort: signal<SortKey[]>([]),
    layout: signal<Layout>(PLAIN),
    trash: signal(false),
    open: signal<ReadonlySet<string>>(new Set()),
    chosen: signal<ReadonlySet<string> | null>(null),
    current: signal<string | null>(null),
    intent: signal<Intent | null>(null),
    status: signal(""),
  };
}

export type Choices = ReturnType<typeof choices>;

/** A computed list that stays the same object as long as the same things are in it: what is drawn of it stays, too. */
function steadyList<T>(compute: () => T[], same: (a: T, b: T) => boolean = Object.is): ReadonlySignal<T[]> {
  let kept: T[] = [];
  return computed(() => {
    const now = compute();
    if (now.length !== kept.length || now.some((one, i) => !same(one, kept[i] as T))) {
      kept = now;
    }
    return kept;
  });
}

/** The rows that fit, in the order of the store. */
function fittingRows(my: Choices, { runs, fits }: Loader): ReadonlySignal<number[]> {
  return steadyList(() => {
    const table = runs.value;
    if (table?.whole !== true) {
      return table?.run_ids.map((_, row) => row) ?? []; // of a large table, the store did it all
    }
    const words = isQuery(my.filter.value) ? "" : my.filter.value;
    return filterRows(table, words).filter((row) => fits.value?.has(table.run_ids[row] ?? "") !== false);
  });
}

/** Of columns that say where runs differ, those that any of the rows has; what the user asked for stays. */
function columnsWithin(columns: ShownColumn[], rows: readonly number[], my: Choices): ShownColumn[] {
  const asked = new Set([...my.layout.value.added, ...my.sort.value.map((key) => key.column)]);
  const says = ({ id, key, kind, values }: ShownColumn): boolean =>
    values.length === 0 ||
    asked.has(kind === "delta" ? `metric:${key}` : id) ||
    rows.some((row) => values[row] !== null && values[row] !== undefined);
  return columns.filter(says);
}

/** The rows in the order asked for: sorted again only if what they are sorted by is another. */
function sortedRows(
  my: Choices,
  { runs }: Loader,
  found: ReadonlySignal<number[]>,
  columns: ReadonlySignal<ShownColumn[]>,
): ReadonlySignal<number[]> {
  const sortedBy = steadyList(
    () => {
      const ids = new Set(my.sort.value.map((key) => key.column));
      const all = runs.value?.whole === true ? [nameColumn(runs.value), ...columns.value] : [];
      return all.filter((column) => ids.has(column.id));
    },
    (a, b) => a.id === b.id && a.values === b.values && a.numeric === b.numeric,
  );
  const sorted = computed(() => sortRows(found.value, sortedBy.value, my.sort.value));
  return steadyList(() => {
    const pinned = runs.value?.whole === true ? runs.value.run_ids.indexOf(my.layout.value.baseline ?? "") : -1;
    return pinned < 0 ? sorted.value : [pinned, ...sorted.value.filter((row) => row !== pinned)];
  });
}

/** What follows from the runs at hand and the user's choices. */
function derive(my: Choices, loader: Loader) {
  const { runs, base, large, all, groups: told } = loader;
  const baseline = computed(() => {
    const run_id = my.layout.value.baseline;
    const at = [runs.value, base.value].find((one) => run_id !== null && one?.run_ids.includes(run_id));
    if (!at || run_id === null) {
      return null;
    }
    const row = at.run_ids.indexOf(run_id);
    const values = new Map(at.columns.map((column) => [columnId(column), column.values[row]]));
    return (id: string): Value => values.get(id);
  });
  const found = fittingRows(my, loader);
  const columns = computed(() => {
    const table = runs.value;
    const all = table === null ? [] : shownColumns(table, my.showAll.value, my.layout.value, baseline.value);
    const narrowed = table?.whole === true && found.value.length > 0 && found.value.length < table.run_ids.length;
    return narrowed && !my.showAll.value ? columnsWithin(all, found.value, my) : all;
  });
  const rows = sortedRows(my, loader, found, columns);
  const groups = computed<GroupRow[] | null>(() => {
    const by = my.layout.value.group;
    const column = runs.value?.columns.find((one) => columnId(one) === by);
    if (runs.value?.whole !== true || by === null || column === undefined) {
      return null;
    }
    return groupRows(rows.value, { ...column, id: by }, columns.value);
  });
  const heads = computed(() => (large.value ? told.value : groups.value));
  const items = computed<Item[] | null>(() => (heads.value === null ? null : itemsOf(heads.value, my.open.value)));
  const fitting = computed(() => (large.value ? (runs.value?.total ?? 0) : rows.value.length));
  const count = computed(() => items.value?.length ?? fitting.value);
  const first = steadyList(() =>
    large.value
      ? [...loader.first.value]
      : rows.value.slice(0, FIRST_DRAWN).map((row) => runs.value?.run_ids[row] ?? ""),
  );
  const marked = computed<ReadonlySet<string>>(() => new Set(first.value));
  const selected = computed<ReadonlySet<string>>(() => my.chosen.value ?? marked.value);
  const total = computed(() => (large.value ? Math.max(all.value, fitting.value) : (runs.value?.run_ids.length ?? 0)));
  return { columns, rows, items, fitting, total, count, selected };
}

/** Names and colours of all runs that were ever at hand: a large table holds few of them at a time. */
function remembered(runs: Signal<Runs | null>): State["known"] {
  const seen = new Map<string, { name: string; color: number }>();
  let last: readonly unknown[] = [];
  effect(() => {
    const { run_ids = [], colors = [], columns = [] } = runs.value ?? {};
    const names = columns.find((column) => columnId(column) === NAME_ID)?.values ?? [];
    const now = [run_ids, colors, names];
    if (now.some((one, i) => one !== last[i])) {
      last = now;
      run_ids.forEach((run_id, row) => {
        seen.set(run_id, { name: String(names[row] ?? ""), color: colors[row] ?? 0 });
      });
    }
  });
  return (run_id) => seen.get(run_id) ?? null;
}

/** Start once for all who watch, stop with the last of them. */
function shared(start: () => () => void): () => () => void {
  let watchers = 0;
  let stop: () => void = () => undefined;
  return () => {
    watchers += 1;
    if (watchers === 1) {
      stop = start();
    }
    let done = false;
    return () => {
      if (!done) {
        done = true;
        watchers -= 1;
        if (watchers === 0) {
          stop();
        }
      }
    };
  };
}

export function createState(client: Client, options: ViewOptions = {}): State {
  const my = choices();
  const loader = new Loader(client, options, my);
  const { runs, large } = loader;
  const { items, ...derived } = derive(my, loader);
  const restore = (view: SavedTable): void => {
    my.layout.value = view.layout;
    my.sort.value = view.sort;
    my.filter.value = view.filter;
    my.showAll.value = view.showAll;
  };
  return {
    options,
    ...my,
    runs,
    ...derived,
    itemAt(place) {
      if (items.value !== null) {
        return items.value[place] ?? null;
      }
      const row = large.value ? place - (runs.value?.offset ?? 0) : derived.rows.value[place];
      return row === undefined || row < 0 || row >= (runs.value?.run_ids.length ?? 0) ? null : { run: row };
    },
    look: (seen) => loader.look(seen),
    toggle(run_id) {
      const next = new Set(derived.selected.value);
      if (!next.delete(run_id)) {
        next.add(run_id);
      }
      my.chosen.value = next;
    },
    known: remembered(runs),
    asked: () => loader.asked(),
    saved: () => ({
      version: 1,
      layout: my.layout.value,
      sort: my.sort.value,
      filter: my.filter.value,
      showAll: my.showAll.value,
    }),
    restore,
    refresh() {
      my.revision.value += 1;
    },
    watch: shared(() => loader.watch(derived.columns, restore)),
  };
}
