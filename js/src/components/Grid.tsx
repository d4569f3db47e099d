/** The grid itself: sticky head and names, keys, and only the rows on screen in the page. */
import type { RefObject } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { trans } from "../i18n";
import { bestRows, findColumn, nextSort } from "../rows";
import type { State } from "../state";
import type { Runs } from "../wire";
import { Band, BodyCell, Header } from "./GridCells";
import { type GridColumns, useColumns } from "./GridColumns";
import { type GridKeys, ROW_PX, useGridKeys } from "./GridKeys";

const SPARE_ROWS = 8;

export interface GridLook {
  /** A narrow place such as the sidebar: fewer controls, no group band. */
  compact: boolean;
  /** Whether runs can be chosen for charts. */
  choose: boolean;
}

interface GridProps extends GridLook {
  state: State;
  runs: Runs;
}

interface Part extends GridProps {
  columns: GridColumns;
  keys: GridKeys;
}

function Head({ state, compact, columns: { columns, widths }, keys }: Part) {
  return (
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
            focused={keys.focus.row === -1 && keys.focus.column === i}
          />
        ))}
      </div>
    </div>
  );
}

interface RowProps extends Part {
  /** Where the row stands in the grid, and which of the runs it is. */
  place: number;
  row: number;
  best: ReadonlySet<number>[];
  tabRow: number;
}

function Row({ state, runs, choose, columns: { columns, formats, widths }, keys, place, row, best, tabRow }: RowProps) {
  const run_id = runs.run_ids[row] ?? "";
  const chosen = choose && state.selected.value.has(run_id);
  const current = state.current.value === run_id;
  const status = String(findColumn(runs, "attribute", "status")?.values[row] ?? "");
  const open = (): void => {
    state.current.value = current ? null : run_id;
  };
  return (
    <div
      role="row"
      class={`nbt-row${current ? " nbt-current" : ""}`}
      style={{ top: `${place * ROW_PX}px` }}
      aria-rowindex={place + 2}
      aria-selected={choose ? chosen : current}
      data-run={run_id}
    >
      {columns.map((column, c) => (
        <BodyCell
          key={column.id}
          column={column}
          place={{ row: place, column: c }}
          text={formats[c]?.(column.values[row]) ?? ""}
          value={column.values[row]}
          best={best[c]?.has(row) === true}
          width={widths[c] ?? ""}
          focused={tabRow === place && keys.focus.column === c}
          onFocus={keys.setFocus}
          name={c === 0 ? { run_id, color: runs.colors[row] ?? 0, chosen, choose, status, state } : null}
          open={open}
        />
      ))}
    </div>
  );
}

interface Scroll {
  top: number;
  height: number;
}

/** Where the frame is scrolled to and how high it is. */
function useScroll(frame: RefObject<HTMLDivElement>): [Scroll, () => void] {
  const [scroll, setScroll] = useState<Scroll>({ top: 0, height: 400 });
  const measure = (): void => {
    const element = frame.current;
    if (element !== null) {
      setScroll({ top: element.scrollTop, height: element.clientHeight });
    }
  };
  useEffect(() => {
    measure();
    const observer = new ResizeObserver(measure);
    if (frame.current !== null) {
      observer.observe(frame.current);
    }
    return () => observer.disconnect();
  }, []);
  return [scroll, measure];
}

export function Grid(props: GridProps) {
  const { state, runs, choose } = props;
  const frame = useRef<HTMLDivElement>(null);
  const [scroll, measure] = useScroll(frame);
  const rows = state.rows.value;
  const columns = useColumns(runs, state.columns.value);
  const best = useMemo(() => columns.columns.map((column) => bestRows(column, rows)), [columns, rows]);
  const idAt = (row: number): string | undefined => runs.run_ids[rows[row] ?? -1];
  const keys = useGridKeys(frame, {
    rows: rows.length,
    columns: columns.columns.length,
    sort(at, add) {
      const column = columns.columns[at];
      if (column !== undefined) {
        state.sort.value = nextSort(state.sort.value, column, add);
      }
    },
    open(row) {
      state.current.value = idAt(row) ?? null;
    },
    toggle(row) {
      const run_id = idAt(row);
      if (choose && run_id !== undefined) {
        state.toggle(run_id);
      }
    },
  });
  const first = Math.max(0, Math.floor(scroll.top / ROW_PX) - SPARE_ROWS);
  const last = Math.min(rows.length, Math.ceil((scroll.top + scroll.height) / ROW_PX) + SPARE_ROWS);
  // Tab must always find a way in, also when the focused row has been scrolled out of the page.
  const tabRow = keys.focus.row < 0 ? -1 : Math.max(first, Math.min(keys.focus.row, last - 1));
  const part: Part = { ...props, columns, keys };
  return (
    <div class="nbt-grid-frame" ref={frame} onScroll={measure}>
      <div
        role="grid"
        class="nbt-grid"
        data-nbt="runs"
        // JupyterLab takes arrow keys before the page does, unless told not to.
        data-lm-suppress-shortcuts="true"
        aria-label={trans.__("Runs")}
        aria-rowcount={rows.length + 1}
        aria-colcount={columns.columns.length}
        aria-multiselectable={choose}
        onKeyDown={keys.onKeyDown}
      >
        <Head {...part} />
        <div class="nbt-grid-body" role="rowgroup" style={{ height: `${rows.length * ROW_PX}px` }}>
          {rows.slice(first, last).map((row, i) => (
            <Row {...part} key={runs.run_ids[row]} place={first + i} row={row} best={best} tabRow={tabRow} />
          ))}
        </div>
      </div>
    </div>
  );
}
