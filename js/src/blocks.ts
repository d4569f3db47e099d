/** A table too large for one answer: its columns known by name, its rows fetched block by block around what is seen. */
import { type Signal, signal } from "@preact/signals";
import { ALERTS_ID } from "./alerts";
import type { Client } from "./client";
import { fieldOf } from "./layout";
import { merged } from "./merge";
import { columnId, type SortKey } from "./rows";
import type { Catalog, Column, Runs } from "./wire";

/** What is asked for at once, in rows; what is seen lies in its middle, or will when the answer is there. */
const BLOCK_ROWS = 200;
/** The same while one scrolls so fast that more rows go by than that. */
const MOST_ROWS = 1000;
/** After so long without a step, nobody scrolls any more. */
const REST_MS = 120;
/** The next block is asked for when fewer rows than this are left before what is seen ends. */
const SPARE_ROWS = 40;
const CATALOG_MS = 10_000;

export interface Question {
  filter: string;
  experiment: string | null;
  run_ids: string[] | null;
  deleted: boolean;
  sort: readonly SortKey[];
}

export interface Seen {
  first: number;
  last: number;
  /** Ids of the columns in sight, and of those that the order and the groups need. */
  columns: readonly string[];
}

/** A column's place in the order of the store. */
export function orderBy(sort: readonly SortKey[], numeric: (id: string) => boolean): string[] {
  return sort.flatMap(({ column, descending }) => {
    const [kind = "", ...rest] = column.split(":");
    const key = rest.join(":");
    if (kind === "curve") {
      return [];
    }
    let field = kind === "derived" ? key : fieldOf(kind === "delta" ? "metric" : kind, key);
    if ((kind === "param" || kind === "tag") && numeric(column)) {
      field = `number(${field})`;
    }
    return [`${field} ${descending ? "DESC" : "ASC"}`];
  });
}

const isLoadable = (id: string): boolean => /^(metric|param|tag):/.test(id);

const fieldOfId = (id: string): string => fieldOf(id.slice(0, id.indexOf(":")), id.slice(id.indexOf(":") + 1));

type Known = Pick<Catalog, "columns"> | Pick<Runs, "columns">;

/** How far one will have scrolled on when an answer comes: how fast rows go by, times how long answers take. */
export class Motion {
  private at = 0;
  private row = 0;
  /** Rows a ms, of the last two steps. */
  private speeds: [number, number] = [0, 0];
  private took = 50;

  moved(row: number, now: number): void {
    const past = now - this.at;
    if (row !== this.row) {
      this.speeds = past > REST_MS ? [0, 0] : [this.speeds[1], (row - this.row) / Math.max(past, 1)];
      [this.at, this.row] = [now, row];
    }
  }

  answered(ms: number): void {
    this.took = 0.6 * this.took + 0.4 * ms;
  }

  /** In rows; 0 at rest and for a mere jump, after which one looks. */
  ahead(now: number): number {
    const [before, last] = this.speeds;
    if (now - this.at > REST_MS || before * last <= 0) {
      return 0;
    }
    const rows = Math.min(Math.abs(before), Math.abs(last)) * this.took;
    return Math.sign(last) * Math.min(Math.round(rows), MOST_ROWS - BLOCK_ROWS);
  }
}

/** Which rows to ask for: those that one sees from the answer on until the next could be there. */
export function rowsToAsk(seen: Pick<Seen, "first" | "last">, ahead: number, total: number): [number, number] {
  const middle = Math.floor((seen.first + seen.last) / 2) + Math.round(1.5 * ahead);
  const rows = Math.min(MOST_ROWS, BLOCK_ROWS + Math.ceil(Math.abs(ahead) / 100) * 100);
  return [Math.max(0, Math.min(middle - rows / 2, (total || Number.POSITIVE_INFINITY) - rows)), rows];
}

export class Blocks {
  /** The runs at hand: all columns, of which those that were fetched have values. */
  readonly runs: Signal<Runs | null> = signal(null);
  private seen: Seen = { first: 0, last: 40, columns: [] };
  private catalog: Known = { columns: [] };
  private catalogAt = 0;
  /** What the catalog at hand is about. */
  private about = "";
  private block: { question: string; block: Runs; columns: readonly string[] } | null = null;
  private learning = false;
  /** Which columns of the runs at hand have values. */
  private filled: { runs: Runs; ids: ReadonlySet<string> } | null = null;
  private stale = true;
  private loading: Promise<void> | null = null;
  private readonly motion = new Motion();

  constructor(
    private readonly client: Client,
    private readonly question: () => Question,
  ) {}

  /** Start with the columns that a refused question told of. */
  begin(refused: Runs): void {
    this.catalog = refused;
    this.catalogAt = Date.now();
    this.about = this.subject();
  }

  /** Say what is in sight; asks for what is missing. */
  async look(seen: Seen): Promise<void> {
    this.seen = seen;
    this.motion.moved(seen.first, performance.now());
    await this.fetch();
  }

  /** Ask again: the question has changed, or the store has. */
  async load(): Promise<void> {
    this.stale = true;
    await this.fetch();
  }

  private subject(): string {
    const { filter, experiment, run_ids, deleted } = this.question();
    return JSON.stringify([filter, experiment, run_ids, deleted]);
  }

  /** One question at a time, and after each the next if what is in sight is another by now: fast scrolling queues nothing. */
  private fetch(): Promise<void> {
    this.loading ??= this.run().finally(() => {
      this.loading = null;
    });
    return this.loading;
  }

  private async run(): Promise<void> {
    let asked = "";
    while (this.stale || !this.covers()) {
      const rows = rowsToAsk(this.seen, this.motion.ahead(performance.now()), this.runs.value?.total ?? 0);
      const wanted = JSON.stringify([this.seen, rows, this.subject(), this.question().sort]);
      if (!this.stale && wanted === asked) {
        return; // the store has no more than that
      }
      asked = wanted;
      this.stale = false;
      try {
        await this.once(...rows);
      } catch (error) {
        this.stale = true; // the next look tries again
        throw error;
      }
    }
  }

  /** Whether the rows and columns in sight are at hand, and some rows on either side: one goes on scrolling. */
  private covers(): boolean {
    const runs = this.runs.value;
    if (runs === null) {
      return false;
    }
    if (this.filled?.runs !== runs) {
      const columns = runs.columns.filter((column) => column.values.length > 0);
      this.filled = { runs, ids: new Set(columns.map(columnId)) };
    }
    const { ids } = this.filled;
    const { first, last, columns } = this.seen;
    const end = runs.offset + runs.run_ids.length;
    return (
      runs.offset <= Math.max(0, first - SPARE_ROWS) &&
      end >= Math.min(last + SPARE_ROWS, runs.total) &&
      columns.every((id) => !isLoadable(id) || ids.has(id) || runs.run_ids.length === 0)
    );
  }

  private async once(offset: number, limit: number): Promise<void> {
    const { filter, experiment, run_ids, deleted, sort } = this.question();
    const about = this.subject();
    const marked = this.catalog.columns.some((one) => columnId(one) === ALERTS_ID) ? [ALERTS_ID] : [];
    const columns = [...new Set([...this.seen.columns.filter(isLoadable), ...marked].map(fieldOfId))];
    const asked = { filter, experiment, run_ids, deleted };
    const known = this.catalog;
    const numeric = (id: string): boolean => known.columns.some((one) => columnId(one) === id && one.numeric);
    const order_by = orderBy(sort, numeric);
    const question = { op: "runs", ...asked, order_by, limit, offset, columns } as const;
    const same = this.block?.question === JSON.stringify(question) ? this.block.block : null;
    const from = performance.now();
    let block = await this.client.call(same === null ? question : { ...question, since: same.revision });
    if (same !== null && block.changed !== null) {
      block = merged(same, block, new Set(columns)) ?? (await this.client.call(question));
    }
    this.motion.answered(performance.now() - from);
    this.block = { question: JSON.stringify(question), block, columns };
    this.runs.value = joined(this.catalog, block, columns);
    if (this.about !== about || Date.now() - this.catalogAt >= CATALOG_MS) {
      void this.learn();
    }
  }

  /** Ask which columns there are now; the rows do not wait for that. */
  private async learn(): Promise<void> {
    if (this.learning) {
      return;
    }
    this.learning = true;
    const about = this.subject();
    const { sort: _, ...asked } = this.question();
    try {
      this.catalog = await this.client.call({ op: "catalog", ...asked });
      this.catalogAt = Date.now();
      this.about = about;
      if (this.block !== null) {
        this.runs.value = joined(this.catalog, this.block.block, this.block.columns);
      }
    } catch {
      return; // the rows say what is wrong; the next block asks again
    } finally {
      this.learning = false;
    }
    if (about !== this.subject()) {
      await this.learn();
    }
  }
}

/** A block with a column for everything the catalog knows. */
function joined(catalog: Known, block: Runs, asked: readonly string[]): Runs {
  const loaded = new Map(block.columns.map((column) => [columnId(column), column]));
  const attributes = block.columns.filter((column) => column.kind === "attribute");
  const nothing = block.run_ids.map(() => null);
  const wanted = new Set(asked);
  const known = catalog.columns.flatMap((one): Column[] => {
    const { kind, key, varies, numeric, better } = one;
    const id = columnId(one);
    const found = loaded.get(id);
    loaded.delete(id);
    // One that was asked for, but that no run of this block has, is loaded too: with nothing in it.
    const values = found?.values ?? (wanted.has(fieldOf(kind, key)) ? nothing : []);
    return kind === "attribute" ? [] : [{ kind, key, varies, numeric, better, values }];
  });
  const computed = [...loaded.values()].filter((column) => column.kind !== "attribute");
  return { ...block, columns: [...attributes, ...known, ...computed], whole: false };
}
