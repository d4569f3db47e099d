/** The numbers behind a plot, and logged tables: plain rows and columns. */
import { formatNumber, toNumber } from "../format";
import { trans } from "../i18n";
import type { DataTable as Data } from "../wire";

const said = (value: number | string | null): string => {
  if (value === null) {
    return "–";
  }
  return typeof value === "number" ? formatNumber(value) : value;
};

/** `visible`: whether it is on screen, or only there for screen readers. */
export function DataTable({ data, caption, visible = true }: { data: Data; caption: string; visible?: boolean }) {
  const numeric = data.columns.map((_, c) =>
    data.rows.some((row) => typeof row[c] === "number" && toNumber(row[c]) !== null),
  );
  return (
    // biome-ignore lint/a11y: what scrolls must be reachable without a mouse.
    <div
      class={visible ? "nbt-data-frame" : "nbt-hidden"}
      tabIndex={visible ? 0 : undefined}
      role="group"
      aria-label={caption}
    >
      <table class="nbt-data" data-nbt="data-table">
        <caption class="nbt-hidden">{caption}</caption>
        <thead>
          <tr>
            {data.columns.map((name, c) => (
              <th key={c} scope="col" class={numeric[c] ? "nbt-num-cell" : ""}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {data.rows.map((row, r) => (
            <tr key={r}>
              {row.map((value, c) => (
                <td key={c} class={numeric[c] ? "nbt-num-cell" : ""} title={String(value ?? "")}>
                  {said(value)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {data.total > data.rows.length && (
        <p class="nbt-note">{trans.__("The first %1 of %2 rows.", data.rows.length, data.total)}</p>
      )}
    </div>
  );
}
