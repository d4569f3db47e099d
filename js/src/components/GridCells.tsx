/** The cells of the grid: headers, names with their marks, values. */
import { statusText, type Value } from "../format";
import { trans } from "../i18n";
import { nextSort, type ShownColumn, type SortKey } from "../rows";
import type { State } from "../state";
import { groupName, label, titleOf } from "./GridColumns";
import type { Cell } from "./GridKeys";
import { Mark } from "./kit";

export function Header(props: { column: ShownColumn; index: number; width: string; state: State; focused: boolean }) {
  const { column, state } = props;
  const place = state.sort.value.findIndex((key) => key.column === column.id);
  const sorted: SortKey | undefined = state.sort.value[place];
  const direction = sorted === undefined ? "none" : sorted.descending ? "descending" : "ascending";
  const hint =
    column.better === "higher"
      ? trans.__("higher is better")
      : column.better === "lower"
        ? trans.__("lower is better")
        : "";
  return (
    <div
      role="columnheader"
      class={`nbt-cell nbt-head nbt-kind-${column.kind}${column.numeric ? " nbt-num" : ""}${props.index === 0 ? " nbt-name" : ""}`}
      style={{ width: props.width }}
      aria-sort={direction}
      aria-colindex={props.index + 1}
      tabIndex={props.focused ? 0 : -1}
      data-row={-1}
      data-column={props.index}
      data-key={column.key}
      title={[
        `${groupName(column.kind)}: ${label(column)}`,
        hint,
        trans.__("Click to sort, Shift-click for a further key"),
      ]
        .filter(Boolean)
        .join(" · ")}
      onClick={(event) => {
        state.sort.value = nextSort(state.sort.value, column, event.shiftKey);
      }}
    >
      <span class="nbt-head-text">{props.index === 0 ? trans.__("run") : label(column)}</span>
      {sorted && (
        <span class="nbt-sort" aria-hidden="true">
          {sorted.descending ? "↓" : "↑"}
          {state.sort.value.length > 1 && <sub>{place + 1}</sub>}
        </span>
      )}
    </div>
  );
}

/** The band that says what kind of columns stand below it. */
export function Band({ columns, widths }: { columns: ShownColumn[]; widths: string[] }) {
  const groups: { kind: ShownColumn["kind"]; widths: string[] }[] = [];
  columns.forEach((column, i) => {
    const last = groups[groups.length - 1];
    if (last?.kind === column.kind) {
      last.widths.push(widths[i] ?? "0px");
    } else {
      groups.push({ kind: column.kind, widths: [widths[i] ?? "0px"] });
    }
  });
  return (
    <div class="nbt-band" aria-hidden="true">
      {groups.map((group) => (
        <div
          key={group.kind}
          class={`nbt-band-cell nbt-kind-${group.kind}`}
          style={{ width: `calc(${group.widths.join(" + ")})` }}
        >
          <span>{group.kind === "attribute" ? "" : groupName(group.kind)}</span>
        </div>
      ))}
    </div>
  );
}

interface BodyCellProps {
  column: ShownColumn;
  place: Cell;
  text: string;
  value: Value;
  best: boolean;
  width: string;
  focused: boolean;
  onFocus: (cell: Cell) => void;
  open: () => void;
  name: { run_id: string; color: number; chosen: boolean; choose: boolean; status: string; state: State } | null;
}

export function BodyCell({ column, place, text, value, best, width, focused, onFocus, open, name }: BodyCellProps) {
  const classes = `nbt-cell nbt-kind-${column.kind}${column.numeric ? " nbt-num" : ""}${best ? " nbt-best" : ""}${name ? " nbt-name" : ""}`;
  return (
    <div
      role={name ? "rowheader" : "gridcell"}
      class={classes}
      style={{ width }}
      title={titleOf(column, value)}
      tabIndex={focused ? 0 : -1}
      aria-colindex={place.column + 1}
      data-row={place.row}
      data-column={place.column}
      onFocus={() => onFocus(place)}
      onClick={open}
    >
      {name && <RowMark {...name} title={text} />}
      {best && (
        <span class="nbt-star" title={trans.__("best")}>
          ★<span class="nbt-hidden">{trans.__("best")} </span>
        </span>
      )}
      <span class="nbt-text">
        {text === "" && !name ? <span class="nbt-none">–</span> : text || trans.__("(no name)")}
      </span>
      {name && name.status !== "FINISHED" && name.status !== "" && (
        <span class={`nbt-flag nbt-status-${name.status.toLowerCase()}`}>{statusText(name.status)}</span>
      )}
    </div>
  );
}

function RowMark(props: NonNullable<BodyCellProps["name"]> & { title: string }) {
  if (!props.choose) {
    return <Mark color={props.color} />;
  }
  return (
    <span
      role="checkbox"
      aria-checked={props.chosen}
      aria-label={trans.__("Draw %1", props.title)}
      tabIndex={-1}
      class="nbt-choose"
      data-nbt="choose"
      title={
        props.chosen
          ? trans.__("Drawn; click to take it out of the charts")
          : trans.__("Click to draw it in the charts")
      }
      onClick={(event) => {
        event.stopPropagation();
        props.state.toggle(props.run_id);
      }}
    >
      <Mark color={props.color} hollow={!props.chosen} />
    </span>
  );
}
