/** A table too large for one answer: its columns known by name, its rows fetched block by block around what is seen. */
import { type Signal, signal } from "@preact/signals";
import type { Client } from "./client";
import { fieldOf } from "./layout";
import { columnId, type SortKey } from "./rows";
import type { Catalog, Column, Runs } from "./wire";

/** What is asked for at once, in rows; what is seen lies in its middle. */
const BLOCK_ROWS = 200;
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

export class Blocks {
  /** The runs at hand: all columns, of which those that were fetched have values. */
  readonly runs: Signal<Runs | null> = signal(null);
  private seen: Seen = { first: 0, last: 40, columns: [] };
  private catalog: Catalog | null = null;
  private catalogAt = 0;
  private asked = "";
  private turn = 0;

  constructor(
    private readonly client: Client,
    private readonly question: () => Question,
  ) {}

  /** Whether the rows and columns in sight are at hand. */
  private covers(): boolean {
    const runs = this.runs.value;
    if (runs === null) {
      return false;
    }
    const loaded = new Set(runs.columns.filter((column) => column.values.length > 0).map(columnId));
    const known = new Set(runs.columns.map(columnId));
    const { first, last, columns } = this.seen;
    const top = Math.min(last, runs.total);
    return (
      runs.offset <= first &&
      runs.offset + runs.run_ids.length >= top &&
      columns.every((id) => !isLoadable(id) || loaded.has(id) || (!known.has(id) && !id.endsWith(")")))
    );
  }

  /** Say what is in sight; asks for what is missing. */
  async look(seen: Seen): Promise<void> {
    this.seen = seen;
    if (!this.covers()) {
      await this.load(false);
    }
  }

  /** Ask again, `anew` if the question has changed or the store has. */
  async load(anew: boolean): Promise<void> {
    const question = this.question();
    const { filter, experiment, run_ids, deleted, sort } = question;
    const about = JSON.stringify({ filter, experiment, run_ids, deleted });
    const middle = Math.floor((this.seen.first + this.seen.last) / 2);
    const offset = Math.max(0, middle - BLOCK_ROWS / 2);
    const columns = this.seen.columns.filter(isLoadable).map((id) => {
      const at = id.indexOf(":");
      return fieldOf(id.slice(0, at), id.slice(at + 1));
    });
    const key = JSON.stringify([about, sort, offset, columns]);
    if (!anew && key === this.asked) {
      return; // it is on its way
    }
    this.asked = key;
    this.turn += 1;
    const { turn } = this;
    if (this.catalog === null || this.about !== about || Date.now() - this.catalogAt > CATALOG_MS) {
      const catalog = await this.client.call({ op: "catalog", filter, experiment, run_ids, deleted });
      if (turn !== this.turn) {
        return;
      }
      this.catalog = catalog;
      this.catalogAt = Date.now();
      this.about = about;
    }
    const { catalog } = this;
    const numeric = (id: string): boolean => catalog.columns.some((one) => columnId(one) === id && one.numeric);
    const block = await this.client.call({
      op: "runs",
      filter,
      experiment,
      run_ids,
      deleted,
      order_by: orderBy(sort, numeric),
      limit: BLOCK_ROWS,
      offset,
      columns: [...new Set(columns)],
    });
    if (turn === this.turn) {
      this.asked = "";
      this.runs.value = joined(catalog, block);
    }
  }

  private about = "";
}

/** A block with a column for everything the catalog knows. */
function joined(catalog: Catalog, block: Runs): Runs {
  const loaded = new Map(block.columns.map((column) => [columnId(column), column]));
  const attributes = block.columns.filter((column) => column.kind === "attribute");
  const known = catalog.columns.map((one): Column => {
    const id = columnId(one);
    const found = loaded.get(id);
    loaded.delete(id);
    const { kind, key, varies, numeric, better } = one;
    // A column that was asked for but that no run of this block has is loaded too: with nothing in it.
    return { kind, key, varies, numeric, better, values: found?.values ?? [] };
  });
  const computed = [...loaded.values()].filter((column) => column.kind !== "attribute");
  return { ...block, columns: [...attributes, ...known, ...computed], whole: false };
}
