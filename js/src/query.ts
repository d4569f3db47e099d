/** The filter above the table: what is words, what is the language of `search_runs`, and how it goes on. Pure. */
import type { Value } from "./format";
import { fieldOf } from "./layout";
import type { CatalogColumn } from "./wire";

const FIELD = String.raw`(?:metrics?|params?|parameters?|tags?|attributes?|attr|run)\s*\.`;
const CALL = String.raw`(?:last|min|max|count|step|min_step|max_step|number|at_min|at_max)\s*\(`;
const ATTRIBUTE = String.raw`(?:run_id|run_name|name|status|experiment_id|start_time|end_time|duration|user_id|user|store)\s*(?:[=!<>]|like\b|ilike\b|in\b|is\b|not\b)`;
const QUERY = new RegExp(String.raw`^[\s(]*(?:not[\s(]+)*(?:${FIELD}|${CALL}|${ATTRIBUTE})`, "i");

/** Whether a filter is written in the language of `search_runs`, rather than as words. */
export const isQuery = (text: string): boolean => QUERY.test(text);

export const quoted = (text: string): string => `'${text.replace(/\\/g, "\\\\").replace(/'/g, "''")}'`;

const ATTRIBUTES: readonly string[] = ["run_name", "status", "start_time", "end_time", "duration", "user_id"];
/** What a run lies in; only several stores together know it. */
const STORE = "store";
const ofStores = (columns: readonly CatalogColumn[]): readonly string[] =>
  columns.some((one) => one.kind === "attribute" && one.key === STORE) ? [STORE] : [];
const OPERATORS = ["=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE", "IN", "IS NOT NULL", "IS NULL"] as const;
const STATUSES = ["RUNNING", "FINISHED", "FAILED", "KILLED", "CRASHED"] as const;
const MOST_OFFERED = 12;
/** So many columns are looked through for a word where the store must do it. */
const MOST_SEARCHED = 24;

/** The parts of a query before the cursor, as far as offering how to go on needs them. */
const TOKEN =
  /'(?:[^'\\]|\\.|'')*'?|`[^`]*`?|(?:[A-Za-z_][\w/:@-]*)(?:\.(?:`[^`]*`?|[\w/:@-]*))*|[-+]?\d[\d.eE+-]*|<=|>=|!=|[=<>(),]/gy;

interface Piece {
  text: string;
  at: number;
}

function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let at = 0;
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (match === null) {
      at += 1;
    } else {
      found.push({ text: match[0], at });
      at += match[0].length;
    }
  }
  return found;
}

export interface Offer {
  text: string;
  /** What it is, in a word. */
  hint: string;
}

export interface Completion {
  /** Where in the filter the offered texts begin; they end at the cursor. */
  from: number;
  offers: Offer[];
}

export interface Known {
  columns: readonly CatalogColumn[];
  /** The different values of a column, as far as they are known. */
  values: (kind: string, key: string) => readonly Value[];
}

const isField = (text: string): boolean =>
  /^(metrics?|params?|tags?|attributes?)\./i.test(text) || [...ATTRIBUTES, STORE].includes(text);
const isOperator = (text: string): boolean => /^(=|!=|<=|>=|<|>|like|ilike|in|null)$/i.test(text);
const isJoin = (text: string): boolean => /^(and|or|not|\(|,)$/i.test(text);

function fields(known: Known): Offer[] {
  const rank = (column: CatalogColumn): number => (column.varies ? 0 : 1);
  const columns = [...known.columns]
    .filter((column) => column.kind !== "attribute" && !column.key.includes("`"))
    .sort((a, b) => rank(a) - rank(b));
  return [
    ...columns.map((column) => ({ text: fieldOf(column.kind, column.key), hint: column.kind as string })),
    ...[...ATTRIBUTES, ...ofStores(known.columns)].map((text) => ({ text, hint: "run" })),
  ];
}

function valuesOf(field: string, known: Known): Offer[] {
  if (field === "status") {
    return STATUSES.map((status) => ({ text: quoted(status), hint: "" }));
  }
  const column = known.columns.find((one) => fieldOf(one.kind, one.key) === field);
  const values =
    field === "run_name" ? known.values("attribute", "run_name") : column ? known.values(column.kind, column.key) : [];
  const different = [...new Set(values.filter((value) => value !== null && value !== undefined).map(String))];
  const number = column?.kind === "metric";
  return different.slice(0, 200).map((value) => ({ text: number ? value : quoted(value), hint: "" }));
}

/** What could stand at the cursor. */
export function complete(text: string, cursor: number, known: Known): Completion {
  const before = text.slice(0, cursor);
  const found = pieces(before);
  const last = found[found.length - 1];
  const typing = last !== undefined && last.at + last.text.length === before.length && !/^[(),]$/.test(last.text);
  const word = typing ? last.text : "";
  const previous = found[found.length - (typing ? 2 : 1)]?.text ?? "";
  const earlier = found[found.length - (typing ? 3 : 2)]?.text ?? "";
  let offers: Offer[];
  if (isOperator(previous)) {
    offers = valuesOf(earlier, known);
  } else if (isField(previous)) {
    offers = OPERATORS.map((operator) => ({ text: operator, hint: "" }));
  } else if (previous === "" || isJoin(previous)) {
    offers = fields(known);
  } else {
    offers = ["AND", "OR"].map((join) => ({ text: join, hint: "" }));
  }
  const wanted = word.toLowerCase().replace(/^'|`/g, "");
  const starts = (offer: Offer): boolean => offer.text.toLowerCase().replace(/^'|`/g, "").startsWith(wanted);
  const fits = offers.filter((offer) => {
    const plain = offer.text.toLowerCase().replace(/`/g, "");
    return plain.includes(wanted) && offer.text !== word;
  });
  fits.sort((a, b) => Number(starts(b)) - Number(starts(a)));
  return { from: before.length - word.length, offers: fits.slice(0, MOST_OFFERED) };
}

export interface Comparison {
  key: string;
  operator: string;
  value: number;
}

const COMPARISON = /^([^<>=!]+)(<=|>=|<|>)(-?[\d.]+(?:e[-+]?\d+)?)$/i;

/** A filter of words: all must occur; `accuracy>0.9` compares. */
export function parseWords(filter: string): { words: string[]; comparisons: Comparison[] } {
  const words: string[] = [];
  const comparisons: Comparison[] = [];
  for (const word of filter.trim().toLowerCase().split(/\s+/)) {
    const [, key, operator, value] = COMPARISON.exec(word) ?? [];
    if (key !== undefined && operator !== undefined && value !== undefined) {
      comparisons.push({ key: key.replace(/^(metrics|params|tags|attributes)\./, ""), operator, value: Number(value) });
    } else if (word !== "") {
      words.push(word);
    }
  }
  return { words, comparisons };
}

/** Words in the language of `search_runs`, for a table that only its store can look through. */
export function wordsAsQuery(filter: string, columns: readonly CatalogColumn[]): string {
  const { words, comparisons } = parseWords(filter);
  const like = (field: string, word: string): string => `${field} ILIKE ${quoted(`%${word.replace(/[%_]/g, "_")}%`)}`;
  const texts = columns
    .filter(
      (column) => (column.kind === "param" || column.kind === "tag") && column.varies && !column.key.includes("`"),
    )
    .slice(0, MOST_SEARCHED)
    .map((column) => fieldOf(column.kind, column.key));
  const parts = words.map(
    (word) => `(${["run_name", "status", ...ofStores(columns), ...texts].map((one) => like(one, word)).join(" OR ")})`,
  );
  for (const { key, operator, value } of comparisons) {
    const column = columns.find((one) => one.key.toLowerCase() === key && one.numeric);
    if (column === undefined) {
      parts.push("run_id = 'none'"); // nothing has such a key
    } else {
      parts.push(`${fieldOf(column.kind, column.key)} ${operator} ${value}`);
    }
  }
  return parts.join(" AND ");
}

/** Two filters of the store, of which both must hold. */
export function both(a: string, b: string): string {
  return a.trim() === "" ? b : b.trim() === "" ? a : `(${a}) AND (${b})`;
}
