/** What can be done to a run from the table: write its name, note and tags, pin it, trash and restore it. */
import { useMemo, useState } from "preact/hooks";
import type { Client } from "../client";
import { trans } from "../i18n";
import type { State } from "../state";
import type { Failure } from "../wire";
import { type Action, useAction } from "./kit";
import type { MenuItem } from "./Popup";

export interface RunActs {
  failure: Failure | null;
  clear: () => void;
  /** Runs that were just put in the trash, to take that back. */
  trashed: readonly string[];
  forget: () => void;
  /** Write a cell: a name, or (by the id of its column) a tag; an empty text takes a tag away. */
  write(run_id: string, column: string, text: string): Promise<void>;
  trash(run_ids: readonly string[], deleted: boolean): Promise<void>;
}

async function write(action: Action, client: Client, state: State, run_id: string, column: string, text: string) {
  const found = state.runs.value;
  const key = column.slice(column.indexOf(":") + 1);
  const before = found?.columns.find((one) => `${one.kind}:${one.key}` === column)?.values[
    found.run_ids.indexOf(run_id)
  ];
  if (text === String(before ?? "")) {
    return;
  }
  const change = column.startsWith("tag:") ? { tags: { [key]: text === "" ? null : text } } : { run_name: text };
  await action.run(
    "write",
    () => client.call({ op: "edit_run", run_id, ...change }),
    ({ text: said }) => said,
  );
}

export function useRunActs(client: Client, state: State): RunActs {
  const action = useAction(state);
  const [trashed, setTrashed] = useState<readonly string[]>([]);
  return useMemo(
    () => ({
      failure: action.failure,
      clear: action.clear,
      trashed,
      forget: () => setTrashed([]),
      write: (run_id, column, text) => write(action, client, state, run_id, column, text),
      async trash(run_ids, deleted) {
        const done = await action.run(
          "trash",
          async () => {
            for (const run_id of run_ids) {
              await client.call({ op: "edit_run", run_id, deleted });
            }
            return run_ids.length;
          },
          (count) =>
            deleted
              ? trans._n("%1 run moved to the trash", "%1 runs moved to the trash", count)
              : trans._n("%1 run restored", "%1 runs restored", count),
        );
        if (done !== null) {
          setTrashed(deleted ? run_ids : []);
          if (deleted && run_ids.includes(state.current.value ?? "")) {
            state.current.value = null;
          }
        }
      },
    }),
    [action.failure, action.busy, trashed, client, state],
  );
}

/** The menu of a run; the runs that the user chose are meant together, if it is one of them. */
export function runMenu(state: State, acts: RunActs, run_id: string, rename: () => void): MenuItem[] {
  const { layout, trash } = state;
  const chosen = state.chosen.value;
  const meant = chosen?.has(run_id) === true ? [...chosen] : [run_id];
  const pinned = layout.value.baseline === run_id;
  return [
    {
      name: "open-run",
      label: trans.__("Open"),
      act: () => {
        state.current.value = run_id;
      },
    },
    {
      name: "draw-run",
      label: trans.__("Draw in the charts"),
      checked: state.selected.value.has(run_id),
      act: () => state.toggle(run_id),
    },
    {
      name: "pin-baseline",
      label: trans.__("Baseline: show others against it"),
      checked: pinned,
      act: () => {
        layout.value = { ...layout.value, baseline: pinned ? null : run_id };
      },
    },
    { name: "rename-run", label: trans.__("Rename…"), act: rename, separate: true },
    {
      name: "copy-id",
      label: trans.__("Copy run id"),
      act: () => {
        void navigator.clipboard?.writeText(run_id).then(() => {
          state.status.value = trans.__("Copied");
        });
      },
    },
    trash.value
      ? {
          name: "restore-run",
          label: trans._n("Restore", "Restore %1 runs", meant.length),
          act: () => void acts.trash(meant, false),
          separate: true,
        }
      : {
          name: "trash-run",
          label: trans._n("Move to trash", "Move %1 runs to trash", meant.length),
          act: () => void acts.trash(meant, true),
          separate: true,
        },
  ];
}
