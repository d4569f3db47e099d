/** The grid itself: sticky head and names, keys, and only the rows and columns on screen in the page. */
import type { RefObject } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Client } from "../client";
import { trans } from "../i18n";
import { fieldOf, moving } from "../layout";
import { quoted } from "../query";
import { bestRows, columnId, findColumn, nextSort, type ShownColumn } from "../rows";
import type { State } from "../state";
import type { Runs } from "../wire";
import { useCurves } from "./Curves";
import { Band, Header, isEditable } from "./GridCells";
import { inSight, LEAST_PX, useColumns } from "./GridColumns";
import { type GridActs, ROW_PX, useGridKeys } from "./GridKeys";
import { ComingRow, GroupHead, type Part, RunRow, type Writing } from "./GridRows";
import { type Anchor, Menu } from "./Popup";
import { type RunActs, runMenu } from "./runActs";

const SPARE_ROWS = 8;
/** The width of a frame that has not been measured. */
const USUAL_PX = 1600;

export interface GridLook {
  /** A narrow place such as the sidebar: fewer controls, no group band. */
  compact: boolean;
  /** Whether runs can be chosen for charts. */
  choose: boolean;
}

interface GridProps extends GridLook {
  client: Client;
  state: State;
  runs: Runs;
  acts: RunActs;
}

interface Scroll {
  top: number;
  left: number;
  height: number;
  width: number;
}

/** Where the frame is scrolled to and how large it is. */
function useScroll(frame: RefObject<HTMLDivElement>): [Scroll, () => void] {
  const [scroll, setScroll] = useState<Scroll>({ top: 0, left: 0, height: 400, width: USUAL_PX });
  const measure = (): void => {
    const element = frame.current;
    if (element !== null) {
      const { scrollTop: top, scrollLeft: left, clientHeight: height, clientWidth: width } = element;
      setScroll((old) =>
        old.top === top && old.left === left && old.height === height && old.width === (width || USUAL_PX)
          ? old
          : { top, left, height, width: width || USUAL_PX },
      );
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

function Head({ state, lay, keys, range, compact }: Part & { compact: boolean }) {
  const [first, last] = range;
  const gap = (lay.lefts[first] ?? lay.total) - (lay.widths[0] ?? 0);
  const shown = (): string[] => state.columns.value.flatMap((one) => (one.kind === "delta" ? [] : [one.id]));
  const header = (column: ShownColumn, index: number) => (
    <Header
      key={column.id}
      column={column}
      index={index}
      width={lay.widths[index] ?? 0}
      state={state}
      shown={shown}
      focused={keys.focus.row === -1 && keys.focus.column === index}
    />
  );
  return (
    <div class="nbt-grid-head" role="rowgroup">
      {!compact && <Band lay={lay} range={range} />}
      <div role="row" class="nbt-row-head" aria-rowindex={1}>
        {lay.columns.slice(0, 1).map(header)}
        {gap > 0 && <div class="nbt-gap" role="none" style={{ width: `${gap}px` }} />}
        {lay.columns.slice(first, last).map((column, i) => header(column, first + i))}
      </div>
    </div>
  );
}

/** So many columns on either side of those in sight are fetched with them. */
const SPARE_COLUMNS = 12;

/** Tell the state what is in sight, whenever that changes: a large table fetches it. */
function useLook({ state, lay, range }: Pick<Part, "state" | "lay" | "range">, first: number, last: number): void {
  const near = lay.columns.slice(Math.max(0, range[0] - SPARE_COLUMNS), range[1] + SPARE_COLUMNS);
  const ids = near.map((column) => (column.kind === "delta" ? `metric:${column.key}` : column.id));
  const key = ids.join("\n");
  const total = state.fitting.value;
  useEffect(() => state.look({ first, last, columns: ids }), [state, first, last, key, total]);
}

/** What keys and clicks do to rows and columns. */
function useActs(
  props: GridProps,
  lay: Part["lay"],
  write: (at: Writing | null) => void,
  openMenu: (run: string) => void,
): GridActs {
  const { state, runs, choose, acts } = props;
  const idAt = (place: number): string | undefined => {
    const item = state.itemAt(place);
    return item !== null && "run" in item ? runs.run_ids[item.run] : undefined;
  };
  return {
    rows: state.count.value,
    columns: lay.columns.length,
    lay,
    sort(at, add) {
      const column = lay.columns[at];
      if (column !== undefined) {
        state.sort.value = nextSort(state.sort.value, column, add);
      }
    },
    open(place) {
      const item = state.itemAt(place);
      if (item !== null && "group" in item) {
        toggleGroup(state, item.group.id, item.group.value);
      } else {
        state.current.value = idAt(place) ?? null;
      }
    },
    toggle(place) {
      const run_id = idAt(place);
      if (choose && run_id !== undefined) {
        state.toggle(run_id);
      }
    },
    resize(at, by) {
      const { layout } = state;
      const id = lay.columns[at]?.id ?? "";
      const width = Math.max(LEAST_PX, (lay.widths[at] ?? 0) + by);
      layout.value = { ...layout.value, widths: { ...layout.value.widths, [id]: width } };
    },
    shift(at, by) {
      const shown = state.columns.value.flatMap((one) => (one.kind === "delta" ? [] : [one.id]));
      state.layout.value = moving(state.layout.value, shown, lay.columns[at]?.id ?? "", by);
    },
    edit({ row, column }) {
      const [run_id, found] = [idAt(row), lay.columns[column]];
      if (run_id !== undefined && found !== undefined && isEditable(found)) {
        write({ run_id, column: found.id });
      }
    },
    menu({ row }) {
      const run_id = idAt(row);
      if (run_id !== undefined) {
        openMenu(run_id);
      }
    },
    trash(place) {
      const run_id = idAt(place);
      if (run_id !== undefined) {
        void acts.trash([run_id], !state.trash.value);
      }
    },
    showAll() {
      state.showAll.value = !state.showAll.value;
    },
  };
}

/** Open or close a group; of a large table, whose groups hold no rows, narrow the table to it. */
function toggleGroup(state: State, id: string, value: unknown): void {
  const by = state.layout.value.group ?? "";
  if (state.runs.value?.whole === true) {
    const open = new Set(state.open.value);
    if (!open.delete(id)) {
      open.add(id);
    }
    state.open.value = open;
    return;
  }
  const field = fieldOf(by.slice(0, by.indexOf(":")), by.slice(by.indexOf(":") + 1));
  const wanted = typeof value === "number" ? String(value) : quoted(String(value));
  state.filter.value = value === null || value === undefined ? `${field} IS NULL` : `${field} = ${wanted}`;
  state.layout.value = { ...state.layout.value, group: null };
}

/** The best rows of a column, by its place; looked for once a column, when it comes into sight. */
function bestOf(columns: readonly ShownColumn[], rows: readonly number[]): Part["best"] {
  const found: ReadonlySet<number>[] = [];
  return (index) => {
    const column = columns[index];
    found[index] ??= column === undefined ? new Set<number>() : bestRows(column, rows);
    return found[index];
  };
}

export function Grid(props: GridProps) {
  const { client, state, runs, acts } = props;
  const frame = useRef<HTMLDivElement>(null);
  const [scroll, measure] = useScroll(frame);
  const [writing, write] = useState<Writing | null>(null);
  const [menu, setMenu] = useState<{ run_id: string; at: Anchor } | null>(null);
  const lay = useColumns(runs, state.columns.value, state.layout.value.widths, scroll.width);
  const rows = state.rows.value;
  const best = useMemo(() => bestOf(lay.columns, runs.whole ? rows : []), [lay.columns, rows]);
  const count = state.count.value;
  const range = inSight(lay, scroll.left, scroll.width);
  const first = Math.max(0, Math.floor(scroll.top / ROW_PX) - SPARE_ROWS);
  const last = Math.min(count, Math.ceil((scroll.top + scroll.height) / ROW_PX) + SPARE_ROWS);
  const openMenu = (run_id: string): void => {
    const cell = frame.current?.querySelector(`[data-run="${run_id}"] .nbt-name`);
    const { left, top, bottom } = cell?.getBoundingClientRect() ?? { left: 0, top: 0, bottom: 0 };
    setMenu({ run_id, at: { left: left + 24, top, bottom } });
  };
  const keys = useGridKeys(frame, useActs(props, lay, write, openMenu));
  useLook({ state, lay, range }, first, last);
  const items = Array.from({ length: Math.max(0, last - first) }, (_, i) => ({
    place: first + i,
    item: state.itemAt(first + i),
  }));
  const pinnedRow = runs.run_ids.indexOf(state.layout.value.baseline ?? "");
  const isPinned = pinnedRow >= 0 && runs.whole && state.layout.value.group === null && rows[0] === pinnedRow;
  if (isPinned && first > 0) {
    items.unshift({ place: 0, item: { run: pinnedRow } });
  }
  const status = findColumn(runs, "attribute", "status")?.values ?? [];
  const pictured = lay.columns.slice(...range).flatMap((column) => (column.kind === "curve" ? [column.key] : []));
  const curves = useCurves(
    client,
    items.flatMap(({ item }) =>
      item !== null && "run" in item
        ? [{ run_id: runs.run_ids[item.run] ?? "", live: status[item.run] === "RUNNING" }]
        : [],
    ),
    pictured,
    pictured.length > 0 ? state.revision.value : 0,
  );
  // Tab must always find a way in, also when the focused row has been scrolled out of the page.
  const tabRow = keys.focus.row < 0 ? -1 : Math.max(first, Math.min(keys.focus.row, last - 1));
  const part: Part = {
    state,
    runs,
    choose: props.choose,
    lay,
    keys,
    range,
    tabRow,
    best,
    curves,
    writing,
    write,
    keep: (at, text) => {
      write(null);
      void acts.write(at.run_id, at.column, text);
    },
    menu: (run_id, event) => {
      if (event.currentTarget instanceof Element && event.currentTarget.closest("[data-nbt-menus=host]")) {
        return; // JupyterLab has its own menu for runs
      }
      event.preventDefault();
      setMenu({ run_id, at: { left: event.clientX, top: event.clientY, bottom: event.clientY } });
    },
  };
  const by = runs.columns.find((column) => columnId(column) === state.layout.value.group);
  return (
    <div class="nbt-grid-frame" ref={frame} onScroll={measure}>
      <div
        role="grid"
        class="nbt-grid"
        data-nbt="runs"
        // JupyterLab takes arrow keys before the page does, unless told not to.
        data-lm-suppress-shortcuts="true"
        style={{ width: `${lay.total}px` }}
        aria-label={trans.__("Runs")}
        aria-rowcount={count + 1}
        aria-colcount={lay.columns.length}
        aria-multiselectable={props.choose}
        onKeyDown={keys.onKeyDown}
      >
        <Head {...part} compact={props.compact} />
        <div
          class="nbt-grid-body"
          role="rowgroup"
          data-nbt-large={runs.whole ? undefined : ""}
          style={{ height: `${count * ROW_PX}px` }}
        >
          {items.map(({ place, item }) =>
            item === null ? (
              <ComingRow key={`coming ${place}`} place={place} />
            ) : "run" in item ? (
              <RunRow
                {...part}
                key={runs.run_ids[item.run]}
                place={place}
                row={item.run}
                pinned={isPinned && place === 0}
              />
            ) : (
              <GroupHead
                {...part}
                key={`group ${item.group.id}`}
                place={place}
                group={item.group}
                open={item.open}
                by={by === undefined ? null : { ...by, id: columnId(by) }}
                toggle={() => toggleGroup(state, item.group.id, item.group.value)}
              />
            ),
          )}
        </div>
      </div>
      {menu !== null && (
        <Menu
          anchor={menu.at}
          label={trans.__("Run")}
          items={runMenu(state, acts, menu.run_id, () => write({ run_id: menu.run_id, column: "attribute:run_name" }))}
          close={() => setMenu(null)}
        />
      )}
    </div>
  );
}
