/** What else the table offers: copies of itself, views by name, the trash. */
import { useState } from "preact/hooks";
import type { Client } from "../client";
import { asText, type Sheet, type SheetKind } from "../export";
import { trans } from "../i18n";
import { fieldOf, PLAIN, parseSaved } from "../layout";
import { columnId, nameColumn, type ShownColumn } from "../rows";
import { notebookView, type State } from "../state";
import type { Runs } from "../wire";
import { ErrorBanner } from "./ErrorBanner";
import { formatFor, label } from "./GridColumns";
import { Button, onKeys, useAction, useCall } from "./kit";
import { type Anchor, Menu, type MenuItem, Popup, PopupButton } from "./Popup";

/** So many runs of a large table are copied. */
const MOST_COPIED = 10_000;

/** All runs that fit, with the columns that are shown: of a large table they are fetched. */
async function wholeTable(
  client: Client,
  state: State,
): Promise<{ runs: Runs; rows: number[]; columns: ShownColumn[] }> {
  const here = state.runs.value;
  const columns = state.columns.value.filter((column) => column.kind !== "curve");
  if (here === null || here.whole) {
    const rows = state.rows.value;
    return { runs: here as Runs, rows, columns };
  }
  const ids = columns.flatMap(({ kind, key }) =>
    kind === "metric" || kind === "param" || kind === "tag" ? [fieldOf(kind, key)] : [],
  );
  const filter = state.asked();
  const runs = await client.call({ op: "runs", ...filter, columns: ids, limit: MOST_COPIED });
  const values = new Map(runs.columns.map((column) => [columnId(column), column.values]));
  return {
    runs,
    rows: runs.run_ids.map((_, row) => row),
    columns: columns.flatMap((column) => {
      const found = values.get(column.id);
      return found === undefined ? [] : [{ ...column, values: found }];
    }),
  };
}

export async function sheetOf(client: Client, state: State): Promise<Sheet> {
  const { runs, rows, columns } = await wholeTable(client, state);
  const all = [nameColumn(runs), ...columns];
  const formats = all.map(formatFor);
  const heads: string[] = [];
  for (const column of all) {
    const name = column.id === "attribute:run_name" ? trans.__("run") : label(column);
    heads.push(heads.includes(name) ? `${column.kind} ${name}` : name);
  }
  return {
    heads,
    numeric: all.map((column) => column.numeric),
    rows: rows.map((row) => all.map((column) => column.values[row])),
    format: (value, column) => formats[column]?.(value) ?? "",
  };
}

/** The view that is shown, and those that were saved. */
function Views({ client, state, anchor, close }: { client: Client; state: State; anchor: Anchor; close: () => void }) {
  const [turn, setTurn] = useState(0);
  const { answer, failure } = useCall(client, { op: "views" }, state.revision.value + turn);
  const [name, setName] = useState("");
  const action = useAction(state);
  const save = (as: string): void => {
    const view = { ...state.saved() } as Record<string, unknown>;
    void action
      .run(
        "save",
        () => client.call({ op: "save_view", name: as, view }),
        () => trans.__("View %1 saved", as),
      )
      .then(() => setTurn(turn + 1));
  };
  const { notebook } = state.options;
  const views = (answer?.views ?? []).filter((view) => !view.name.startsWith(notebookView("")));
  const submit = (): void => {
    if (name.trim() !== "") {
      save(name.trim());
      setName("");
    }
  };
  const trouble = action.failure ?? failure;
  return (
    <Popup anchor={anchor} label={trans.__("Saved views")} name="views" close={close}>
      <div class="nbt-views">
        {views.length === 0 && (
          <p class="nbt-note">{trans.__("A view keeps columns, order, filter, groups and baseline.")}</p>
        )}
        <ul>
          {views.map((view) => (
            <li key={view.name}>
              <button
                type="button"
                class="nbt-view"
                data-nbt="use-view"
                title={view.user === "" ? undefined : trans.__("Saved by %1", view.user)}
                onClick={() => {
                  const found = parseSaved(view.view);
                  if (found !== null) {
                    state.restore(found);
                    state.status.value = trans.__("View %1 shown", view.name);
                    close();
                  }
                }}
              >
                {view.name}
              </button>
              <Button
                name="delete-view"
                kind="quiet"
                iconOnly
                icon="close"
                label={trans.__("Delete the view %1", view.name)}
                onClick={() => {
                  const gone = { op: "save_view", name: view.name, view: null } as const;
                  void action.run("delete", () => client.call(gone)).then(() => setTurn(turn + 1));
                }}
              />
            </li>
          ))}
        </ul>
        <div class="nbt-actions">
          <input
            class="nbt-input nbt-grow"
            data-first
            data-nbt="view-name"
            placeholder={trans.__("Name of this view")}
            aria-label={trans.__("Name of this view")}
            maxLength={200}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
            onKeyDown={onKeys({ Enter: submit })}
          />
          <Button name="save-view" label={trans.__("Save")} busy={action.busy === "save"} onClick={submit} />
        </div>
        {notebook && (
          <Button
            name="save-notebook-view"
            label={trans.__("Keep for this notebook")}
            title={trans.__("Whoever opens %1 beside this store sees the table like this.", notebook)}
            onClick={() => save(notebookView(notebook))}
          />
        )}
        {trouble && <ErrorBanner failure={trouble} />}
      </div>
    </Popup>
  );
}

export function ViewsButton({ client, state, compact }: { client: Client; state: State; compact: boolean }) {
  return (
    <PopupButton name="saved-views" label={trans.__("Views")} icon="bookmark" iconOnly={compact}>
      {(anchor, close) => <Views client={client} state={state} anchor={anchor} close={close} />}
    </PopupButton>
  );
}

export function MoreButton({ client, state }: { client: Client; state: State }) {
  const action = useAction(state);
  const copy = (kind: SheetKind): void => {
    // The text is made while the click still counts as one: a browser lets nobody else write to the clipboard.
    const text = sheetOf(client, state).then((sheet) => asText(sheet, kind));
    void action.run(
      "copy",
      () => writeText(text),
      () => trans.__("Table copied"),
    );
  };
  const kinds: readonly [SheetKind, string][] = [
    ["markdown", trans.__("Copy as Markdown")],
    ["csv", trans.__("Copy as CSV")],
    ["latex", trans.__("Copy as LaTeX")],
    ["dataframe", trans.__("Copy as DataFrame code")],
  ];
  const { layout, trash } = state;
  const items: MenuItem[] = [
    ...kinds.map(([kind, text]) => ({ name: `copy-${kind}`, label: text, act: () => copy(kind) })),
    {
      name: "no-baseline",
      label: trans.__("No baseline"),
      disabled: layout.value.baseline === null,
      act: () => {
        layout.value = { ...layout.value, baseline: null };
      },
      separate: true,
    },
    {
      name: "no-groups",
      label: trans.__("No groups"),
      disabled: layout.value.group === null,
      act: () => {
        layout.value = { ...layout.value, group: null };
      },
    },
    {
      name: "reset-table",
      label: trans.__("Table as at first"),
      act: () => state.restore({ version: 1, layout: PLAIN, sort: [], filter: "", showAll: false }),
    },
    {
      name: "show-trash",
      label: trans.__("Show the trash"),
      checked: trash.value,
      act: () => {
        trash.value = !trash.value;
      },
      separate: true,
    },
  ];
  return (
    <>
      <PopupButton name="more-table" label={trans.__("More")} icon="dots" iconOnly>
        {(anchor, close) => <Menu anchor={anchor} label={trans.__("Table")} items={items} close={close} />}
      </PopupButton>
      {action.failure && <ErrorBanner failure={action.failure} dismiss={action.clear} />}
    </>
  );
}

async function writeText(text: Promise<string>): Promise<void> {
  const { clipboard } = navigator;
  if (typeof ClipboardItem === "function" && typeof clipboard?.write === "function") {
    const blob = text.then((said) => new Blob([said], { type: "text/plain" }));
    await clipboard.write([new ClipboardItem({ "text/plain": blob })]);
  } else {
    await clipboard.writeText(await text);
  }
}
