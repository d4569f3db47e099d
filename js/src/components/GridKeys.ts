/** The grid by keyboard: where the focus is, where a key moves it, and what a key does there. */
import type { RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

/** The height of a row, in pixels; the style sheet has the same. */
export const ROW_PX = 28;

export interface Cell {
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

/** Ctrl+Home and Ctrl+End go to the corners; any other combination is not ours. */
function target(event: KeyboardEvent, at: Cell, rows: number, columns: number, page: number): Cell | null {
  if (event.ctrlKey || event.metaKey || event.altKey) {
    const corner = event.key === "Home" ? { row: 0, column: 0 } : { row: rows - 1, column: columns - 1 };
    return event.ctrlKey && (event.key === "Home" || event.key === "End") ? corner : null;
  }
  return move(event.key, at, rows, columns, page);
}

/** Where a cell lies, in pixels; a cell of the sticky name column needs no scrolling aside. */
export interface Lay {
  lefts: readonly number[];
  widths: readonly number[];
}

/** Scroll a cell into the frame, whether or not it is in the page yet. */
function reveal(frame: HTMLElement, cell: Cell, { lefts, widths }: Lay): void {
  if (cell.row >= 0) {
    const head = frame.querySelector<HTMLElement>(".nbt-grid-head")?.offsetHeight ?? 0;
    const top = cell.row * ROW_PX;
    const room = frame.clientHeight - head;
    if (top < frame.scrollTop) {
      frame.scrollTop = top;
    } else if (top + ROW_PX > frame.scrollTop + room) {
      frame.scrollTop = top + ROW_PX - room;
    }
  }
  if (cell.column > 0) {
    const [left, width, name] = [lefts[cell.column] ?? 0, widths[cell.column] ?? 0, widths[0] ?? 0];
    if (left - name < frame.scrollLeft) {
      frame.scrollLeft = left - name;
    } else if (left + width > frame.scrollLeft + frame.clientWidth) {
      frame.scrollLeft = left + width - frame.clientWidth;
    }
  }
}

export interface GridActs {
  rows: number;
  columns: number;
  lay: Lay;
  sort(column: number, add: boolean): void;
  open(row: number): void;
  toggle(row: number): void;
  /** Widen (or narrow) a column, or move it. */
  resize(column: number, by: number): void;
  shift(column: number, by: number): void;
  edit(cell: Cell): void;
  menu(cell: Cell): void;
  trash(row: number): void;
  showAll(): void;
}

export interface GridKeys {
  focus: Cell;
  setFocus(cell: Cell): void;
  onKeyDown(event: KeyboardEvent): void;
}

export function useGridKeys(frame: RefObject<HTMLDivElement>, acts: GridActs): GridKeys {
  const [cell, setFocus] = useState<Cell>({ row: 0, column: 0 });
  const moved = useRef(false);
  const focus = { row: Math.min(cell.row, acts.rows - 1), column: Math.min(cell.column, acts.columns - 1) };

  // In the same breath as the rendering: a late effect would take the focus back while the user is already further.
  useLayoutEffect(() => {
    if (moved.current) {
      const place = `[data-row="${focus.row}"][data-column="${focus.column}"]`;
      const element = frame.current?.querySelector<HTMLElement>(place);
      if (element) {
        moved.current = false; // else its row is about to be scrolled in
        element.focus({ preventScroll: true });
      }
    }
  });

  const onKeyDown = (event: KeyboardEvent): void => {
    if ((event.target as HTMLElement).closest?.("input, textarea, .nbt-popup")) {
      return; // a cell that is being written in keeps its keys
    }
    const page = Math.max(1, Math.floor((frame.current?.clientHeight ?? 0) / ROW_PX) - 2);
    const to = target(event, focus, acts.rows, acts.columns, page);
    if (to !== null) {
      moved.current = true;
      setFocus(to);
      if (frame.current) {
        reveal(frame.current, to, acts.lay);
      }
    } else if (!act(event, focus, acts)) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  return { focus, setFocus, onKeyDown };
}

const STEP_PX = 16;

/** Do what a key means at a cell; false if it means nothing there. */
function act(event: KeyboardEvent, { row, column }: Cell, acts: GridActs): boolean {
  const aside = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
  if (row < 0 && aside !== 0 && event.altKey && column > 0) {
    if (event.shiftKey) {
      acts.shift(column, aside);
    } else {
      acts.resize(column, aside * STEP_PX);
    }
  } else if (event.key === "Escape") {
    (event.target as HTMLElement).blur();
  } else if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) {
    acts.menu({ row, column });
  } else if (event.ctrlKey || event.metaKey || event.altKey) {
    return false;
  } else if (event.key === "Enter" && row < 0) {
    acts.sort(column, event.shiftKey);
  } else if (event.key === "Enter") {
    acts.open(row);
  } else if (event.key === " " && row >= 0) {
    acts.toggle(row);
  } else if (event.key === "F2" && row >= 0) {
    acts.edit({ row, column });
  } else if (event.key === "Delete" && row >= 0) {
    acts.trash(row);
  } else if (event.key === "a") {
    acts.showAll();
  } else {
    return false;
  }
  return true;
}
