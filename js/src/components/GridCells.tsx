/** The cells of the grid: headers, names with their marks, values, heads of groups. */
import { useRef } from "preact/hooks";
import { formatDelta, formatNumber, statusText, type Value } from "../format";
import type { GroupRow } from "../groups";
import { trans } from "../i18n";
import { movingTo } from "../layout";
import { NOTE_ID, nextSort, type ShownColumn, type SortKey } from "../rows";
import type { State } from "../state";
import { AlertMark } from "./Alerts";
import { type GridColumns, groupName, LEAST_PX, label, titleOf } from "./GridColumns";
import type { Cell } from "./GridKeys";
import { Mark } from "./kit";
import { steady } from "./steady";

/** Where the pointer is dragged while a header's edge is held. */
function dragWidth(event: PointerEvent, id: string, width: number, state: State): void {
  event.preventDefault();
  event.stopPropagation();
  const from = event.clientX;
  const handle = event.currentTarget as HTMLElement;
  handle.setPointerCapture?.(event.pointerId);
  const move = (moved: PointerEvent): void => {
    const { layout } = state;
    const now = Math.max(LEAST_PX, Math.round(width + moved.clientX - from));
    layout.value = { ...layout.value, widths: { ...layout.value.widths, [id]: now } };
  };
  const end = (): void => {
    handle.removeEventListener("pointermove", move);
    handle.removeEventListener("pointerup", end);
    handle.removeEventListener("pointercancel", end);
  };
  handle.addEventListener("pointermove", move);
  handle.addEventListener("pointerup", end);
  handle.addEventListener("pointercancel", end);
}

interface HeaderProps {
  column: ShownColumn;
  index: number;
  width: number;
  state: State;
  focused: boolean;
  /** Ids of all shown columns, in their order. */
  shown: () => string[];
}

const DRAGGED = "application/x-nbtrack-column";

function hintOf(column: ShownColumn): string {
  const direction =
    column.better === "higher"
      ? trans.__("higher is better")
      : column.better === "lower"
        ? trans.__("lower is better")
        : "";
  return [
    `${groupName(column.kind)}: ${label(column)}`,
    direction,
    column.kind === "curve" ? "" : trans.__("Click to sort, Shift-click for a further key"),
  ]
    .filter(Boolean)
    .join(" · ");
}

function isSameHeader(a: HeaderProps, b: HeaderProps): boolean {
  const [old, now] = [a.column, b.column];
  return (
    (["id", "kind", "key", "numeric", "better"] as const).every((part) => old[part] === now[part]) &&
    (["index", "width", "state", "focused"] as const).every((part) => a[part] === b[part])
  );
}

export const Header = steady(HeaderCell, isSameHeader);

function HeaderCell(props: HeaderProps) {
  const { column, state, index } = props;
  const place = state.sort.value.findIndex((key) => key.column === column.id);
  const sorted: SortKey | undefined = state.sort.value[place];
  const direction = sorted === undefined ? "none" : sorted.descending ? "descending" : "ascending";
  return (
    <div
      role="columnheader"
      class={`nbt-cell nbt-head nbt-kind-${column.kind}${column.numeric ? " nbt-num" : ""}${index === 0 ? " nbt-name" : ""}`}
      style={{ width: `${props.width}px` }}
      aria-sort={direction}
      aria-colindex={index + 1}
      tabIndex={props.focused ? 0 : -1}
      data-row={-1}
      data-column={index}
      data-key={column.key}
      data-id={column.id}
      title={hintOf(column)}
      draggable={index > 0 && column.kind !== "delta"}
      onDragStart={(event) => event.dataTransfer?.setData(DRAGGED, column.id)}
      onDragOver={(event) => {
        if (event.dataTransfer?.types.includes(DRAGGED) === true && index > 0) {
          event.preventDefault();
        }
      }}
      onDrop={(event) => {
        const id = event.dataTransfer?.getData(DRAGGED);
        if (id) {
          event.preventDefault();
          event.stopPropagation();
          state.layout.value = movingTo(state.layout.value, props.shown(), id, column.id);
        }
      }}
      onClick={(event) => {
        state.sort.value = nextSort(state.sort.value, column, event.shiftKey);
      }}
    >
      <span class="nbt-head-text">{index === 0 ? trans.__("run") : label(column)}</span>
      {sorted && (
        <span class="nbt-sort" aria-hidden="true">
          {sorted.descending ? "↓" : "↑"}
          {state.sort.value.length > 1 && <sub>{place + 1}</sub>}
        </span>
      )}
      <span
        class="nbt-edge"
        aria-hidden="true"
        title={trans.__("Drag to widen; double click for the usual width")}
        onPointerDown={(event) => dragWidth(event, column.id, props.width, state)}
        onClick={(event) => event.stopPropagation()}
        onDblClick={() => {
          const { [column.id]: _, ...widths } = state.layout.value.widths;
          state.layout.value = { ...state.layout.value, widths };
        }}
      />
    </div>
  );
}

/** The band that says what kind of columns stand below it. */
export function Band({ lay, range: [first, last] }: { lay: GridColumns; range: [number, number] }) {
  const groups: { name: string; kind: string; width: number }[] = [];
  for (let i = first; i < last; i++) {
    const kind = lay.columns[i]?.kind ?? "attribute";
    const name = groupName(kind);
    const before = groups[groups.length - 1];
    if (before?.name === name) {
      before.width += lay.widths[i] ?? 0;
    } else {
      groups.push({ name, kind, width: lay.widths[i] ?? 0 });
    }
  }
  return (
    <div class="nbt-band" aria-hidden="true">
      <div class="nbt-band-cell" style={{ width: `${lay.widths[0] ?? 0}px` }} />
      <div class="nbt-gap" style={{ width: `${(lay.lefts[first] ?? lay.total) - (lay.widths[0] ?? 0)}px` }} />
      {groups.map((group) => (
        <div key={group.name} class={`nbt-band-cell nbt-kind-${group.kind}`} style={{ width: `${group.width}px` }}>
          <span>{group.name}</span>
        </div>
      ))}
    </div>
  );
}

export interface NameParts {
  run_id: string;
  color: number;
  chosen: boolean;
  choose: boolean;
  status: string;
  alerts: Value | undefined;
  baseline: boolean;
  state: State;
}

interface BodyCellProps {
  column: ShownColumn;
  place: Cell;
  text: string;
  value: Value;
  best: boolean;
  width: number;
  focused: boolean;
  onFocus: (cell: Cell) => void;
  open: () => void;
  edit: (() => void) | null;
  name: NameParts | null;
  children?: preact.ComponentChildren;
}

/** Whether a cell can be written in: names, notes and tags may change after the fact, what was measured may not. */
export const isEditable = (column: ShownColumn): boolean =>
  column.id === "attribute:run_name" || column.id === NOTE_ID || column.kind === "tag";

export function BodyCell(props: BodyCellProps) {
  const { column, place, text, value, best, name } = props;
  const tone = column.kind === "delta" ? formatDelta(value, 0, column.better)?.tone : undefined;
  const classes = `nbt-cell nbt-kind-${column.kind}${column.numeric ? " nbt-num" : ""}${best ? " nbt-best" : ""}${name ? " nbt-name" : ""}${tone ? ` nbt-delta nbt-${tone}` : ""}`;
  return (
    <div
      role={name ? "rowheader" : "gridcell"}
      class={classes}
      style={{ width: `${props.width}px` }}
      title={titleOf(column, value)}
      tabIndex={props.focused ? 0 : -1}
      aria-colindex={place.column + 1}
      data-row={place.row}
      data-column={place.column}
      onFocus={() => props.onFocus(place)}
      onClick={props.open}
      onDblClick={(event) => {
        if (props.edit !== null) {
          event.preventDefault();
          props.edit();
        }
      }}
    >
      {name && <RowMark {...name} title={text} />}
      {best && (
        <span class="nbt-star" title={trans.__("best")}>
          ★<span class="nbt-hidden">{trans.__("best")} </span>
        </span>
      )}
      {props.children ?? (
        <span class="nbt-text">
          {text === "" && !name ? <span class="nbt-none">–</span> : text || trans.__("(no name)")}
          {tone === "better" && <span class="nbt-hidden"> {trans.__("better")}</span>}
          {tone === "worse" && <span class="nbt-hidden"> {trans.__("worse")}</span>}
        </span>
      )}
      {name?.baseline === true && <span class="nbt-flag nbt-chip">{trans.__("baseline")}</span>}
      {name && <AlertMark tag={name.alerts} />}
      {name && name.status !== "FINISHED" && name.status !== "" && (
        <span class={`nbt-flag nbt-status-${name.status.toLowerCase()}`}>{statusText(name.status)}</span>
      )}
    </div>
  );
}

/** The cell while it is written in: Enter keeps, Escape leaves; after either the focus is on the cell again. */
export function CellInput(props: { value: string; label: string; keep: (text: string) => void; leave: () => void }) {
  const done = useRef(false);
  const end = (input: HTMLElement, act: () => void): void => {
    done.current = true;
    input.closest<HTMLElement>("[role=gridcell], [role=rowheader]")?.focus();
    act();
  };
  return (
    <input
      class="nbt-cell-input"
      data-nbt="cell-input"
      aria-label={props.label}
      defaultValue={props.value}
      ref={(input) => {
        if (input !== null && input.dataset.met === undefined) {
          input.dataset.met = "1";
          input.focus();
          input.select();
        }
      }}
      onClick={(event) => event.stopPropagation()}
      onKeyDown={(event) => {
        event.stopPropagation();
        const input = event.currentTarget;
        if (event.key === "Enter" && !event.isComposing) {
          end(input, () => props.keep(input.value));
        } else if (event.key === "Escape") {
          end(input, props.leave);
        }
      }}
      onBlur={(event) => done.current || props.keep(event.currentTarget.value)}
    />
  );
}

function RowMark(props: NameParts & { title: string }) {
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

/** What a group's head says in a column: the mean of its numbers, with their range. */
export function spreadText(group: GroupRow, column: ShownColumn): { text: string; title: string } {
  const spread = group.spreads.get(column.id);
  if (spread === undefined) {
    return { text: "", title: "" };
  }
  const write = (value: number): string => formatNumber(Number(value.toPrecision(4)));
  return {
    text: `⌀ ${write(spread.mean)}`,
    title: trans.__(
      "%1: mean %2, from %3 to %4, of %5 runs",
      label(column),
      write(spread.mean),
      write(spread.min),
      write(spread.max),
      spread.count,
    ),
  };
}
