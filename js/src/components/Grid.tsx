/** The grid itself: sticky head and names, keys, and only the rows on screen in the page. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { columnFormat, formatAgo, formatDuration, formatTime, statusText, type Value } from "../format";
import { trans } from "../i18n";
import { bestRows, findColumn, nextSort, type ShownColumn, type SortKey } from "../rows";
import type { State } from "../state";
import type { Runs } from "../wire";
import { Mark } from "./kit";

const ROW_PX = 28;
const SPARE_ROWS = 8;

export interface GridLook {
  /** A narrow place such as the sidebar: fewer controls, no group band. */
  compact: boolean;
  /** Whether runs can be chosen for charts. */
  choose: boolean;
}

function groupName(kind: ShownColumn["kind"]): string {
  switch (kind) {
    case "metric":
      return trans.__("Metrics");
    case "param":
      return trans.__("Params");
    case "tag":
      return trans.__("Tags");
    default:
      return trans.__("Run");
  }
}

function label(column: ShownColumn): string {
  switch (column.id) {
    case "derived:start_time":
      return trans.__("started");
    case "derived:duration":
      return trans.__("duration");
    default:
      return column.key;
  }
}

type Format = (value: Value) => string;

function formatFor(column: ShownColumn): Format {
  switch (column.id) {
    case "derived:start_time":
      return (value) => (typeof value === "number" ? formatAgo(value) : "");
    case "derived:duration":
      return (value) => (typeof value === "number" ? formatDuration(value) : "");
    default:
      return columnFormat(column.values, column.kind !== "metric");
  }
}

function titleOf(column: ShownColumn, value: Value): string | undefined {
  if (value === null || value === undefined) {
    return undefined;
  }
  return column.id === "derived:start_time" && typeof value === "number"
    ? formatTime(value)
    : `${label(column)}: ${value}`;
}

/** The width of a column in `ch`: what its longest text needs, within reason. */
function widthOf(column: ShownColumn, format: Format): number {
  let longest = label(column).length + 2;
  const step = Math.max(1, Math.floor(column.values.length / 200)); // a sample is enough for a width
  for (let row = 0; row < column.values.length; row += step) {
    longest = Math.max(longest, format(column.values[row]).length + (column.better === null ? 0 : 2));
  }
  return Math.min(Math.max(longest, 6), 24);
}

interface Cell {
  row: number;
  column: number;
}

/** Arrow keys and the like: where the focus goes from a cell. Row −1 is the header. */
function move(key: string, at: Cell, rows: number, columns: number, page: number): Cell | null {
  const row = (to: number): Cell => ({ row: Math.max(-1, Math.min(rows - 1, to)), column: at.column });
  const column = (to: number): Cell => ({ row: at.row, column: Math.max(0, Math.min(columns - 1, to)) });
  switch (key) {
    case "ArrowUp":
      return row(at.row - 1);
    case "ArrowDown":
      return row(at.row + 1);
    case "PageUp":
      return row(at.row - page);
    case "PageDown":
      return row(at.row + page);
    case "ArrowLeft":
      return column(at.column - 1);
    case "ArrowRight":
      return column(at.column + 1);
    case "Home":
      return column(0);
    case "End":
      return column(columns - 1);
    default:
      return null;
  }
}

interface GridProps extends GridLook {
  state: State;
  runs: Runs;
}

function Header(props: { column: ShownColumn; index: number; width: string; state: State; focused: boolean }) {
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
function Band({ columns, widths }: { columns: ShownColumn[]; widths: string[] }) {
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

export function Grid({ state, runs, compact, choose }: GridProps) {
  const frame = useRef<HTMLDivElement>(null);
  const [scroll, setScroll] = useState({ top: 0, height: 400 });
  const [focus, setFocus] = useState<Cell>({ row: 0, column: 0 });
  const moved = useRef(false);
  const rows = state.rows.value;
  const shown = state.columns.value;
  const columns = useMemo<ShownColumn[]>(() => {
    const name = findColumn(runs, "attribute", "run_name")?.values ?? [];
    return [
      { id: "attribute:run_name", kind: "attribute", key: "run_name", values: name, numeric: false, better: null },
      ...shown,
    ];
  }, [runs, shown]);
  const formats = useMemo(() => columns.map(formatFor), [columns]);
  const widths = useMemo(
    () =>
      columns.map((column, i) =>
        i === 0 ? "var(--nbt-name-width)" : `calc(${widthOf(column, formats[i] ?? String)}ch + 20px)`,
      ),
    [columns, formats],
  );
  const best = useMemo(() => columns.map((column) => bestRows(column, rows)), [columns, rows]);
  const status = findColumn(runs, "attribute", "status")?.values ?? [];

  useEffect(() => {
    const element = frame.current;
    if (element === null) {
      return;
    }
    const measure = (): void => setScroll((before) => ({ ...before, height: element.clientHeight }));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  // In the same breath as the rendering: a late effect would take the focus back while the user is already further.
  useLayoutEffect(() => {
    if (moved.current) {
      const cell = frame.current?.querySelector<HTMLElement>(
        `[data-row="${focus.row}"][data-column="${focus.column}"]`,
      );
      if (cell) {
        moved.current = false; // else its row is about to be scrolled in
        cell.focus({ preventScroll: true });
      }
    }
  });

  const reveal = (cell: Cell): void => {
    const element = frame.current;
    if (element === null || cell.row < 0) {
      return;
    }
    const head = element.querySelector<HTMLElement>(".nbt-grid-head")?.offsetHeight ?? 0;
    const top = cell.row * ROW_PX;
    const room = element.clientHeight - head;
    if (top < element.scrollTop) {
      element.scrollTop = top;
    } else if (top + ROW_PX > element.scrollTop + room) {
      element.scrollTop = top + ROW_PX - room;
    }
    element
      .querySelector<HTMLElement>(`[data-row="-1"][data-column="${cell.column}"]`)
      ?.scrollIntoView?.({ block: "nearest", inline: "nearest" });
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    const at: Cell = { row: Math.min(focus.row, rows.length - 1), column: Math.min(focus.column, columns.length - 1) };
    const page = Math.max(1, Math.floor(scroll.height / ROW_PX) - 2);
    const to =
      event.ctrlKey && (event.key === "Home" || event.key === "End")
        ? { row: event.key === "Home" ? 0 : rows.length - 1, column: event.key === "Home" ? 0 : columns.length - 1 }
        : event.ctrlKey || event.metaKey || event.altKey
          ? null
          : move(event.key, at, rows.length, columns.length, page);
    const row = rows[at.row];
    const run_id = row === undefined ? undefined : runs.run_ids[row];
    if (to !== null) {
      moved.current = true;
      setFocus(to);
      reveal(to);
    } else if (event.key === "Enter" && at.row < 0) {
      const column = columns[at.column];
      if (column !== undefined) {
        state.sort.value = nextSort(state.sort.value, column, event.shiftKey);
      }
    } else if (event.key === "Enter" && run_id !== undefined) {
      state.current.value = run_id;
    } else if (event.key === " " && run_id !== undefined && at.row >= 0 && choose) {
      state.toggle(run_id);
    } else if (event.key === "Escape") {
      (event.target as HTMLElement).blur();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };

  const first = Math.max(0, Math.floor(scroll.top / ROW_PX) - SPARE_ROWS);
  const last = Math.min(rows.length, Math.ceil((scroll.top + scroll.height) / ROW_PX) + SPARE_ROWS);
  const focusRow = Math.min(focus.row, rows.length - 1);
  return (
    <div
      class="nbt-grid-frame"
      ref={frame}
      onScroll={(event) => {
        const { scrollTop, clientHeight } = event.currentTarget;
        setScroll({ top: scrollTop, height: clientHeight });
      }}
    >
      <div
        role="grid"
        class="nbt-grid"
        data-nbt="runs"
        // JupyterLab takes arrow keys before the page does, unless told not to.
        data-lm-suppress-shortcuts="true"
        aria-label={trans.__("Runs")}
        aria-rowcount={rows.length + 1}
        aria-colcount={columns.length}
        aria-multiselectable={choose}
        onKeyDown={onKeyDown}
      >
        <div class="nbt-grid-head">
          {!compact && <Band columns={columns} widths={widths} />}
          <div role="row" class="nbt-row-head" aria-rowindex={1}>
            {columns.map((column, i) => (
              <Header
                key={column.id}
                column={column}
                index={i}
                width={widths[i] ?? ""}
                state={state}
                focused={focusRow === -1 && focus.column === i}
              />
            ))}
          </div>
        </div>
        <div class="nbt-grid-body" role="rowgroup" style={{ height: `${rows.length * ROW_PX}px` }}>
          {rows.slice(first, last).map((row, i) => {
            const run_id = runs.run_ids[row] ?? "";
            const chosen = choose && state.selected.value.has(run_id);
            return (
              <div
                key={run_id}
                role="row"
                class={`nbt-row${state.current.value === run_id ? " nbt-current" : ""}`}
                style={{ top: `${(first + i) * ROW_PX}px` }}
                aria-rowindex={first + i + 2}
                aria-selected={choose ? chosen : state.current.value === run_id}
                data-run={run_id}
              >
                {columns.map((column, c) => (
                  <BodyCell
                    key={column.id}
                    column={column}
                    place={{ row: first + i, column: c }}
                    text={formats[c]?.(column.values[row]) ?? ""}
                    value={column.values[row]}
                    best={best[c]?.has(row) === true}
                    width={widths[c] ?? ""}
                    focused={focusRow === first + i && focus.column === c}
                    onFocus={setFocus}
                    name={
                      c === 0
                        ? {
                            run_id,
                            color: runs.colors[row] ?? 0,
                            chosen,
                            choose,
                            status: String(status[row] ?? ""),
                            state,
                          }
                        : null
                    }
                    open={() => {
                      state.current.value = state.current.value === run_id ? null : run_id;
                    }}
                  />
                ))}
              </div>
            );
          })}
        </div>
      </div>
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

function BodyCell({ column, place, text, value, best, width, focused, onFocus, open, name }: BodyCellProps) {
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
