/** What one view shows and has selected, as signals; and when it asks again. */
import { computed, effect, type ReadonlySignal, type Signal, signal, untracked } from "@preact/signals";
import { type Client, failureOf } from "./client";
import { filterRows, type ShownColumn, type SortKey, shownColumns, sortRows } from "./rows";
import type { Failure, Runs } from "./wire";

export interface ViewOptions {
  /** Only these runs, or null for all. */
  run_ids?: string[] | null;
  experiment?: string | null;
  /** The language of `search_runs`, applied by the store before anything is shown. */
  query?: string;
  limit?: number;
  /** Whether the view shows a table at all; without one, the runs are not asked for. */
  table?: boolean;
}

export type Intent = "register" | "promote" | "serve";

/** How many runs are drawn before the user has chosen any. */
const FIRST_DRAWN = 8;

export interface State {
  readonly options: ViewOptions;
  readonly runs: Signal<Runs | null>;
  readonly failure: Signal<Failure | null>;
  readonly loading: Signal<boolean>;
  /** Grows whenever the store changed; components ask again when it does. */
  readonly revision: Signal<number>;
  readonly filter: Signal<string>;
  /** What is brushed in a plot, in the language of `search_runs`; "" for nothing. Rows must fit it as well. */
  readonly brush: Signal<string>;
  readonly showAll: Signal<boolean>;
  readonly sort: Signal<SortKey[]>;
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
  toggle(run_id: string): void;
  /** Ask the store again, now. */
  refresh(): void;
  /** Watch the store until the returned function is called. Views that share a state may each do so. */
  watch(): () => void;
}

export function createState(client: Client, options: ViewOptions = {}): State {
  const runs = signal<Runs | null>(null);
  const failure = signal<Failure | null>(null);
  const loading = signal(false);
  const revision = signal(0);
  const filter = signal("");
  const showAll = signal(false);
  const sort = signal<SortKey[]>([]);
  const chosen = signal<ReadonlySet<string> | null>(null);
  const current = signal<string | null>(null);
  const columns = computed(() => (runs.value === null ? [] : shownColumns(runs.value, showAll.value)));
  const rows = computed(() => {
    if (runs.value === null) {
      return [];
    }
    const name: ShownColumn = {
      id: "attribute:run_name",
      kind: "attribute",
      key: "run_name",
      values: runs.value.columns.find((column) => column.key === "run_name")?.values ?? [],
      numeric: false,
      better: null,
    };
    return sortRows(filterRows(runs.value, filter.value), [name, ...columns.value], sort.value);
  });
  const selected = computed<ReadonlySet<string>>(
    () => chosen.value ?? new Set(runs.value?.run_ids.slice(0, FIRST_DRAWN) ?? []),
  );

  let latest = 0;
  const load = async (): Promise<void> => {
    if (options.table === false) {
      return;
    }
    latest += 1;
    const mine = latest;
    loading.value = true;
    try {
      const answer = await client.call({
        op: "runs",
        run_ids: options.run_ids ?? null,
        experiment: options.experiment ?? null,
        filter: options.query ?? "",
        limit: options.limit ?? 1000,
      });
      if (mine === latest) {
        runs.value = answer;
        failure.value = null;
      }
    } catch (error) {
      if (mine === latest) {
        failure.value = failureOf(error);
      }
    } finally {
      if (mine === latest) {
        loading.value = false;
      }
    }
  };

  let watchers = 0;
  let stop: () => void = () => undefined;
  const start = (): (() => void) => {
    const unsubscribe = client.subscribe((now) => {
      if (now !== runs.value?.revision) {
        revision.value += 1;
      }
    });
    const dispose = effect(() => {
      void revision.value;
      untracked(() => void load());
    });
    return () => {
      unsubscribe();
      dispose();
    };
  };

  return {
    options,
    runs,
    failure,
    loading,
    revision,
    filter,
    brush: signal(""),
    showAll,
    sort,
    chosen,
    selected,
    current,
    intent: signal<Intent | null>(null),
    status: signal(""),
    columns,
    rows,
    toggle(run_id) {
      const next = new Set(selected.value);
      if (!next.delete(run_id)) {
        next.add(run_id);
      }
      chosen.value = next;
    },
    refresh() {
      revision.value += 1;
    },
    watch() {
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
    },
  };
}
