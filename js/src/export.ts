/** A table as text: for a document, a spreadsheet, a paper, a cell. Pure. */
import type { Value } from "./format";

export interface Sheet {
  /** Names of the columns; each stands once. */
  heads: string[];
  numeric: boolean[];
  /** Row by row, the values as they are. */
  rows: Value[][];
  /** Writes a value of a column as a person reads it. */
  format: (value: Value, column: number) => string;
}

export type SheetKind = "markdown" | "csv" | "latex" | "dataframe";

const oneLine = (text: string): string => text.replace(/\s*[\r\n]+\s*/g, " ");

function markdown({ heads, numeric, rows, format }: Sheet): string {
  const cell = (text: string): string => oneLine(text).replace(/[\\|<>&`*_[\]]/g, (one) => `\\${one}`);
  const line = (cells: string[]): string => `| ${cells.join(" | ")} |`;
  const rule = numeric.map((right) => (right ? "---:" : "---"));
  return [
    line(heads.map(cell)),
    line(rule),
    ...rows.map((row) => line(row.map((value, i) => cell(format(value, i))))),
  ].join("\n");
}

const isNumber = (text: string): boolean => text.trim() !== "" && !Number.isNaN(Number(text));

function csv({ heads, rows }: Sheet): string {
  const cell = (value: Value): string => {
    const raw = value === null || value === undefined ? "" : String(value);
    // A spreadsheet would run a text that begins like a formula.
    const text = /^[=+\-@\t\r]/.test(raw) && !isNumber(raw) ? `'${raw}` : raw;
    return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  return [heads, ...rows].map((row) => row.map(cell).join(",")).join("\n");
}

const LATEX: Readonly<Record<string, string>> = {
  "\\": "\\textbackslash{}",
  "~": "\\textasciitilde{}",
  "^": "\\textasciicircum{}",
  "−": "$-$",
  "∞": "$\\infty$",
};

function latex({ heads, numeric, rows, format }: Sheet): string {
  const cell = (text: string): string => oneLine(text).replace(/[\\~^−∞&%$#_{}]/g, (one) => LATEX[one] ?? `\\${one}`);
  const line = (cells: string[]): string => `  ${cells.map(cell).join(" & ")} \\\\`;
  return [
    `\\begin{tabular}{${numeric.map((right) => (right ? "r" : "l")).join("")}}`,
    "  \\hline",
    line(heads),
    "  \\hline",
    ...rows.map((row) => line(row.map((value, i) => format(value, i)))),
    "  \\hline",
    "\\end{tabular}",
  ].join("\n");
}

function python(value: Value, numeric: boolean): string {
  if (value === null || value === undefined) {
    return "None";
  }
  const text = String(value);
  if (numeric && (typeof value === "number" || isNumber(text)) && Number.isFinite(Number(text))) {
    return text;
  }
  const special: Readonly<Record<string, string>> = {
    NaN: 'float("nan")',
    Infinity: 'float("inf")',
    "-Infinity": 'float("-inf")',
  };
  // JSON's way of writing a text is one of Python's.
  return (numeric ? special[text] : undefined) ?? JSON.stringify(text);
}

function dataframe({ heads, numeric, rows }: Sheet): string {
  const columns = heads.map((head, i) => {
    const values = rows.map((row) => python(row[i], numeric[i] === true));
    return `    ${JSON.stringify(head)}: [${values.join(", ")}],`;
  });
  return ["import pandas as pd", "", "runs = pd.DataFrame({", ...columns, "})"].join("\n");
}

export function asText(sheet: Sheet, kind: SheetKind): string {
  return { markdown, csv, latex, dataframe }[kind](sheet);
}
