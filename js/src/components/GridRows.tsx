/** The rows of the grid: a run, the head of a group, and a place whose run is still on its way. */
import type { ComponentChildren } from "preact";
import { ALERTS_TAG } from "../alerts";
import { toNumber, type Value } from "../format";
import type { GroupRow } from "../groups";
import { trans } from "../i18n";
import { findColumn, type ShownColumn } from "../rows";
import type { State } from "../state";
import type { Runs } from "../wire";
import { type Curves, curveKey, RowCurve } from "./Curves";
import { BodyCell, CellInput, isEditable, spreadText } from "./GridCells";
import { type GridColumns, label } from "./GridColumns";
import { type GridKeys, ROW_PX } from "./GridKeys";
import { sameIn, steady } from "./steady";

export interface Writing {
  run_id: string;
  column: string;
}

export interface Part {
  state: State;
  runs: Runs;
  choose: boolean;
  lay: GridColumns;
  keys: GridKeys;
  /** The columns in sight. */
  range: [number, number];
  /** Where Tab enters. */
  tabRow: number;
  /** The rows with the best value of a column. */
  best: (column: number) => ReadonlySet<number>;
  curves: Curves;
  writing: Writing | null;
  write: (at: Writing | null) => void;
  keep: (at: Writing, text: string) => void;
  menu: (run_id: string, event: MouseEvent) => void;
}

/** The cells in sight, the name first, with the room of those that are not. */
function Cells({ lay, range, cell }: Pick<Part, "lay" | "range"> & { cell: (index: number) => ComponentChildren }) {
  const [first, last] = range;
  const gap = (lay.lefts[first] ?? lay.total) - (lay.widths[0] ?? 0);
  const found: ComponentChildren[] = [cell(0)];
  if (gap > 0) {
    found.push(<div key="gap" class="nbt-gap" role="none" style={{ width: `${gap}px` }} />);
  }
  for (let index = first; index < last; index++) {
    found.push(cell(index));
  }
  return <>{found}</>;
}

interface RunRowProps extends Part {
  place: number;
  row: number;
  pinned: boolean;
}

const HELD: ReadonlySet<string> = new Set(["INPUT", "BUTTON"]);

const SAME = ["place", "pinned", "writing", "choose", "state"] as const;

const tagged = new WeakMap<Runs, readonly Value[]>();

/** The tags that hold the alerts of some runs; looked for once, as there may be a thousand columns. */
function alertTags(runs: Runs): readonly Value[] {
  const found = tagged.get(runs) ?? findColumn(runs, "tag", ALERTS_TAG)?.values ?? [];
  tagged.set(runs, found);
  return found;
}

/** What a row says of its run beside its cells. */
function markOf({ runs, row }: RunRowProps): string {
  const status = findColumn(runs, "attribute", "status")?.values[row];
  return `${runs.run_ids[row]} ${runs.colors[row]} ${status} ${alertTags(runs)[row]}`;
}

/** Whether a cell would be written as before. */
function isSameCell(before: RunRowProps, now: RunRowProps, index: number): boolean {
  const [old, column] = [before.lay.columns[index], now.lay.columns[index]];
  if (old === undefined || column === undefined || old.id !== column.id) {
    return old === column;
  }
  const [a, b] = [old.values[before.row], column.values[now.row]];
  const [as, bs] = [before.lay.formats[index], now.lay.formats[index]];
  const curve = column.kind === "curve" ? curveKey(now.runs.run_ids[now.row] ?? "", column.key) : null;
  return (
    a === b &&
    (as === bs || as?.(a) === bs?.(b)) &&
    old.numeric === column.numeric &&
    old.better === column.better &&
    before.lay.widths[index] === now.lay.widths[index] &&
    (curve === null || before.curves.get(curve) === now.curves.get(curve)) &&
    before.best(index).has(before.row) === now.best(index).has(now.row)
  );
}

/** A row is drawn anew only if something in it is another: while one scrolls or a run logs, most rows stay as they are. */
function isSameRow(before: RunRowProps, now: RunRowProps): boolean {
  const focused = (one: RunRowProps): number => (one.tabRow === one.place ? one.keys.focus.column : -1);
  const [first, last] = now.range;
  if (
    SAME.some((key) => now[key] !== before[key]) ||
    first !== before.range[0] ||
    last !== before.range[1] ||
    focused(now) !== focused(before)
  ) {
    return false;
  }
  if (before.runs === now.runs && before.lay === now.lay && before.best === now.best && before.curves === now.curves) {
    return before.row === now.row;
  }
  const left = (one: RunRowProps): number | undefined => one.lay.lefts[first];
  if (markOf(before) !== markOf(now) || left(before) !== left(now) || !isSameCell(before, now, 0)) {
    return false;
  }
  for (let index = first; index < last; index++) {
    if (!isSameCell(before, now, index)) {
      return false;
    }
  }
  return true;
}

export const RunRow = steady(RowCells, isSameRow);

function RowCells(props: RunRowProps) {
  const { state, runs, choose, lay, keys, place, row, writing } = props;
  const run_id = runs.run_ids[row] ?? "";
  const chosen = choose && state.selected.value.has(run_id);
  const current = state.current.value === run_id;
  const status = String(findColumn(runs, "attribute", "status")?.values[row] ?? "");
  const open = (): void => {
    state.current.value = current ? null : run_id;
  };
  const cell = (index: number) => {
    const column = lay.columns[index];
    if (column === undefined) {
      return null;
    }
    const value = column.values[row];
    const text = lay.formats[index]?.(value) ?? "";
    return (
      <BodyCell
        key={column.id}
        column={column}
        place={{ row: place, column: index }}
        text={text}
        value={value}
        best={props.best(index).has(row)}
        width={lay.widths[index] ?? 0}
        focused={props.tabRow === place && keys.focus.column === index}
        onFocus={keys.setFocus}
        open={open}
        edit={isEditable(column) ? () => props.write({ run_id, column: column.id }) : null}
        name={
          index === 0
            ? {
                run_id,
                color: runs.colors[row] ?? 0,
                chosen,
                choose,
                status,
                alerts: alertTags(runs)[row],
                baseline: state.layout.value.baseline === run_id,
                state,
              }
            : null
        }
      >
        {writing?.run_id === run_id && writing.column === column.id ? (
          <CellInput
            value={String(value ?? "")}
            label={index === 0 ? trans.__("Name of the run") : label(column)}
            keep={(said) => props.keep(writing, said)}
            leave={() => props.write(null)}
          />
        ) : column.kind === "curve" ? (
          <RowCurve points={props.curves.get(curveKey(run_id, column.key))} label={column.key} />
        ) : undefined}
      </BodyCell>
    );
  };
  return (
    <div
      role="row"
      class={`nbt-row${current ? " nbt-current" : ""}${props.pinned ? " nbt-pinned" : ""}${state.trash.value ? " nbt-trashed" : ""}`}
      style={props.pinned ? {} : { top: `${place * ROW_PX}px` }}
      aria-rowindex={place + 2}
      aria-selected={choose ? chosen : current}
      data-run={run_id}
      onContextMenu={(event) => {
        if (!HELD.has((event.target as HTMLElement).tagName)) {
          props.menu(run_id, event);
        }
      }}
    >
      <Cells lay={lay} range={props.range} cell={cell} />
    </div>
  );
}

interface GroupHeadProps extends Part {
  place: number;
  group: GroupRow;
  open: boolean;
  by: ShownColumn | null;
  toggle: () => void;
}

export function GroupHead(props: GroupHeadProps) {
  const { lay, keys, place, group, by } = props;
  const said = group.value === null || group.value === undefined ? trans.__("(none)") : String(group.value);
  const number = by?.numeric === true ? toNumber(group.value) : null;
  const name = by === null ? said : `${label(by)}: ${number ?? said}`;
  const cell = (index: number) => {
    const column = lay.columns[index];
    if (column === undefined) {
      return null;
    }
    const { text, title } = spreadText(group, column);
    const focused = props.tabRow === place && keys.focus.column === index;
    return (
      <div
        key={column.id}
        role={index === 0 ? "rowheader" : "gridcell"}
        class={`nbt-cell${index === 0 ? " nbt-name" : " nbt-num nbt-spread"}`}
        style={{ width: `${lay.widths[index] ?? 0}px` }}
        title={index === 0 ? name : title}
        tabIndex={focused ? 0 : -1}
        aria-colindex={index + 1}
        data-row={place}
        data-column={index}
        onFocus={() => keys.setFocus({ row: place, column: index })}
      >
        {index === 0 ? (
          <>
            <span class="nbt-unfold" aria-hidden="true">
              {props.open ? "▾" : "▸"}
            </span>
            <span class="nbt-text">{name}</span>
            <span class="nbt-badge nbt-flag">{trans._n("%1 run", "%1 runs", group.count)}</span>
          </>
        ) : (
          <span class="nbt-text">{text}</span>
        )}
      </div>
    );
  };
  return (
    <div
      role="row"
      class="nbt-row nbt-group"
      style={{ top: `${place * ROW_PX}px` }}
      aria-rowindex={place + 2}
      aria-expanded={props.open}
      data-nbt="group"
      onClick={props.toggle}
    >
      <Cells lay={lay} range={props.range} cell={cell} />
    </div>
  );
}

/** A row of a large table that has not come yet: the ground of the table shows the shapes of cells there. */
export const ComingRow = steady(Coming, sameIn<ComingProps>(["place"]));

interface ComingProps {
  place: number;
}

function Coming({ place }: ComingProps) {
  return (
    <div
      role="row"
      class="nbt-row nbt-coming"
      style={{ top: `${place * ROW_PX}px` }}
      aria-rowindex={place + 2}
      aria-busy="true"
    >
      <div role="rowheader" class="nbt-hidden">
        {trans.__("Reading…")}
      </div>
    </div>
  );
}
