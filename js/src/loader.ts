/** Asks the store for what a table shows: all at once, or of a large one block by block. */
import { computed, effect, type ReadonlySignal, type Signal, signal, untracked } from "@preact/signals";
import { Blocks, orderBy, type Question, type Seen } from "./blocks";
import { type Client, failureOf } from "./client";
import { type GroupRow, groupsOf } from "./groups";
import { fieldOf, parseSaved, type SavedTable } from "./layout";
import { merged } from "./merge";
import { both, isQuery, wordsAsQuery } from "./query";
import { columnId, type ShownColumn } from "./rows";
import { type Choices, FIRST_DRAWN, notebookView, type ViewOptions } from "./state";
import type { Runs } from "./wire";

/** A table with more runs or cells is fetched block by block; `nbtrack/widget/view.py` knows both numbers. */
const MOST_RUNS = 1000;
const MOST_CELLS = 50_000;
const MOST_GROUPED = 12;
const TYPING_MS = 120;

const computedKeys = (added: readonly string[]): string[] =>
  added.flatMap((id) => (id.endsWith(")") ? [id.slice(id.indexOf(":") + 1)] : []));

/** Do something whenever a signal has another value than before. */
function onChange(value: ReadonlySignal<string>, act: () => void): () => void {
  let before: string | null = null;
  return effect(() => {
    const now = value.value;
    if (before !== null && before !== now) {
      untracked(act);
    }
    before = now;
  });
}

/** `act`, one at a time: what was asked for meanwhile is done once, after it. */
function latest(act: () => Promise<void>): () => void {
  let [busy, wanted] = [false, false];
  const go = async (): Promise<void> => {
    busy = true;
    do {
      wanted = false;
      await act();
    } while (wanted);
    busy = false;
  };
  return () => {
    wanted = true;
    if (!busy) {
      void go();
    }
  };
}

export class Loader {
  readonly runs: Signal<Runs | null> = signal(null);
  /** Whether the table is fetched block by block. */
  readonly large = signal(false);
  /** The first runs of a large table: what is drawn until the user chooses, wherever the table is scrolled to. */
  readonly first: Signal<readonly string[]> = signal([]);
  /** How many runs a large table has before any filter. */
  readonly all = signal(0);
  /** The runs that fit the query; null for all. */
  readonly fits: Signal<ReadonlySet<string> | null> = signal(null);
  /** The baseline, where it is not among the runs at hand. */
  readonly base: Signal<Runs | null> = signal(null);
  /** Groups of a large table. */
  readonly groups: Signal<GroupRow[] | null> = signal(null);
  private readonly blocks: Blocks;
  /** The whole table as it was told last, and the question that it answers. */
  private held: { about: string; runs: Runs } | null = null;
  private latest = 0;

  constructor(
    private readonly client: Client,
    private readonly options: ViewOptions,
    private readonly my: Choices,
  ) {
    this.blocks = new Blocks(client, () => this.question());
    effect(() => {
      this.runs.value = this.blocks.runs.value ?? this.runs.peek(); // each block as soon as it is there
    });
  }

  /** What is asked of the store beside the words of the filter, which a small table looks for itself. */
  private question(): Question {
    const { my, options } = this;
    const text = my.filter.value;
    const known = (this.runs.value?.columns ?? []).map((column) => ({ ...column, count: 0 }));
    const query = isQuery(text) ? text : this.large.value ? wordsAsQuery(text, known) : "";
    return {
      filter: both(both(options.query ?? "", my.brush.value), query),
      experiment: options.experiment ?? null,
      run_ids: options.run_ids ?? null,
      deleted: my.trash.value,
      sort: my.sort.value,
    };
  }

  /** The question in the words of the wire. */
  asked() {
    const { sort, ...rest } = this.question();
    const numeric = (id: string): boolean =>
      this.runs.value?.columns.some((column) => columnId(column) === id && column.numeric) === true;
    return { ...rest, order_by: orderBy(sort, numeric) };
  }

  private async whole(): Promise<Runs | null> {
    const { deleted, run_ids, experiment } = this.question();
    const also = computedKeys(this.my.layout.value.added);
    const question = {
      op: "runs",
      run_ids,
      experiment,
      filter: this.options.query ?? "",
      limit: MOST_RUNS,
      max_cells: MOST_CELLS,
      ...(deleted ? { deleted } : {}),
      ...(also.length > 0 ? { also } : {}),
    } as const;
    const about = JSON.stringify(question);
    const held = this.held?.about === about ? this.held.runs : null;
    let answer = await this.client.call(held === null ? question : { ...question, since: held.revision });
    if (held !== null && answer.changed !== null) {
      answer = merged(held, answer, new Set(also)) ?? (await this.client.call(question));
    }
    this.held = answer.whole ? { about, runs: answer } : null;
    if (!answer.whole && answer.run_ids.length === 0 && answer.total > 0) {
      this.blocks.begin(answer);
      this.large.value = true;
      return null;
    }
    return answer;
  }

  /** Which of the runs at hand fit the query; of a large table the store tells no others anyway. */
  private async fitting(): Promise<ReadonlySet<string> | null> {
    const { my } = this;
    if (this.large.value || both(my.brush.value, isQuery(my.filter.value) ? my.filter.value : "") === "") {
      my.filterFailure.value = null;
      return null;
    }
    const { filter, experiment, deleted } = this.question();
    try {
      const shown = deleted ? { deleted } : {};
      const found = await this.client.call({ op: "runs", filter, experiment, columns: [], limit: 100_000, ...shown });
      my.filterFailure.value = null;
      return new Set(found.run_ids);
    } catch (error) {
      my.filterFailure.value = failureOf(error); // a query half typed: what was shown stays
      return this.fits.value;
    }
  }

  private async block(): Promise<Runs | null> {
    try {
      await this.blocks.load();
      if (this.question().filter === (this.options.query ?? "")) {
        this.all.value = this.blocks.runs.value?.total ?? 0;
      }
      if (this.blocks.runs.value?.offset === 0) {
        this.first.value = this.blocks.runs.value.run_ids.slice(0, FIRST_DRAWN);
      }
      this.my.filterFailure.value = null;
    } catch (error) {
      if (this.runs.value === null || !isQuery(this.my.filter.value)) {
        throw error;
      }
      this.my.filterFailure.value = failureOf(error);
    }
    return this.blocks.runs.value;
  }

  private async grouped(columns: readonly ShownColumn[]): Promise<GroupRow[] | null> {
    const by = this.my.layout.value.group;
    if (!this.large.value || by === null) {
      return null;
    }
    const field = (id: string): string => fieldOf(id.slice(0, id.indexOf(":")), id.slice(id.indexOf(":") + 1));
    const ids = columns.flatMap((column) => (column.kind === "metric" ? [column.id] : [])).slice(0, MOST_GROUPED);
    const { filter, experiment, deleted } = this.question();
    const metrics = ids.map(field);
    return groupsOf(await this.client.call({ op: "groups", by: field(by), metrics, filter, experiment, deleted }), ids);
  }

  async load(columns: ReadonlySignal<ShownColumn[]>): Promise<void> {
    if (this.options.table === false) {
      return;
    }
    this.latest += 1;
    const mine = this.latest;
    this.my.loading.value = true;
    try {
      let answer = this.large.value ? null : await this.whole();
      const fits = await this.fitting();
      if (this.large.value) {
        answer = await this.block();
      }
      const groups = await this.grouped(columns.value);
      if (mine === this.latest) {
        this.runs.value = answer;
        this.fits.value = fits;
        this.groups.value = groups;
        this.my.failure.value = null;
      }
    } catch (error) {
      if (mine === this.latest) {
        this.my.failure.value = failureOf(error);
      }
    } finally {
      if (mine === this.latest) {
        this.my.loading.value = false;
      }
    }
  }

  /** Say what is in sight, so that a large table fetches it. */
  look(seen: Seen): void {
    if (this.large.value) {
      void this.blocks.look(seen).catch(() => undefined); // what could not be had stays blank; the next look asks again
    }
  }

  private async findBase(): Promise<void> {
    const run_id = this.my.layout.value.baseline;
    const known = [this.runs.value, this.base.value].some((runs) => run_id !== null && runs?.run_ids.includes(run_id));
    if (run_id !== null && this.runs.value !== null && !known) {
      this.base.value = await this.client.call({ op: "runs", run_ids: [run_id], limit: 1 }).catch(() => null);
    }
  }

  private async remember(restore: (view: SavedTable) => void): Promise<void> {
    const { notebook } = this.options;
    if (notebook) {
      const { views } = await this.client.call({ op: "views" });
      const found = parseSaved(views.find((view) => view.name === notebookView(notebook))?.view);
      if (found !== null) {
        restore(found);
      }
    }
  }

  /** Follow the store and the user's questions until the returned function is called. */
  watch(columns: ReadonlySignal<ShownColumn[]>, restore: (view: SavedTable) => void): () => void {
    const { my, runs } = this;
    const unsubscribe = this.client.subscribe((now) => {
      if (now !== runs.value?.revision) {
        my.revision.value += 1;
      }
    });
    // What makes the store answer otherwise: of a small table's rows only queries do, and those only say which fit.
    const shape = computed(() => {
      const { group, added } = my.layout.value;
      const more = this.large.value ? [my.sort.value, group] : [];
      return JSON.stringify([my.trash.value, computedKeys(added), more]);
    });
    const words = computed(() => {
      const text = this.large.value || isQuery(my.filter.value) ? my.filter.value : "";
      return JSON.stringify([text, my.brush.value]);
    });
    const again = (): void => void this.load(columns);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const later = (): void => {
      clearTimeout(timer);
      timer = setTimeout(again, TYPING_MS);
    };
    const narrow = latest(async () => {
      this.fits.value = await this.fitting();
    });
    const disposals = [
      effect(() => {
        void my.revision.value;
        untracked(() => void this.load(columns));
      }),
      onChange(shape, again),
      // A group is counted over all runs that fit: not for every key.
      onChange(words, () => (!this.large.value ? narrow() : my.layout.value.group === null ? again() : later())),
      effect(() => {
        void my.layout.value.baseline;
        void runs.value;
        untracked(() => void this.findBase());
      }),
    ];
    void this.remember(restore).catch(() => undefined); // without its own view, the notebook has the usual one
    return () => {
      clearTimeout(timer);
      unsubscribe();
      for (const dispose of disposals) {
        dispose();
      }
    };
  }
}
