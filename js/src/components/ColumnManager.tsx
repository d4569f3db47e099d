/** Which columns the table shows, in which order, and what else a metric can be looked at by. */
import { useRef, useState } from "preact/hooks";
import { trans } from "../i18n";
import { aggregateId, atBestId, moving, PLAIN, showing } from "../layout";
import { candidates, type ShownColumn } from "../rows";
import type { State } from "../state";
import { groupName, label } from "./GridColumns";
import { Button, Icon } from "./kit";
import { type Anchor, Popup } from "./Popup";

/** So many columns are listed at once; a search finds the rest. */
const MOST_LISTED = 120;

interface LineProps {
  column: ShownColumn;
  state: State;
  shown: string[];
  /** The metric whose best step others can be looked at by. */
  by: string | null;
}

/** What a metric can be looked at by beside its last value. */
function Aspects({ column, state, by }: LineProps) {
  const { layout } = state;
  const better = column.better ?? "higher";
  const aspects: [string, string, string][] = [
    [aggregateId("min", column.key), trans.__("min"), trans.__("Its lowest value")],
    [aggregateId("max", column.key), trans.__("max"), trans.__("Its highest value")],
    [`curve:${column.key}`, trans.__("curve"), trans.__("Its course as a small picture")],
  ];
  if (by !== null && by !== column.key) {
    const best = state.runs.value?.columns.find((one) => one.kind === "metric" && one.key === by)?.better ?? better;
    aspects.push([atBestId(column.key, by, best), trans.__("at best"), trans.__("Its value where %1 was best", by)]);
  }
  return (
    <span class="nbt-aspects">
      {aspects.map(([id, text, title]) => {
        const on = layout.value.added.includes(id);
        return (
          <button
            key={id}
            type="button"
            class="nbt-aspect"
            aria-pressed={on}
            aria-label={`${column.key}: ${text}`}
            title={title}
            data-nbt="aspect"
            onClick={() => {
              const { added } = layout.value;
              layout.value = { ...layout.value, added: on ? added.filter((one) => one !== id) : [...added, id] };
            }}
          >
            {text}
          </button>
        );
      })}
    </span>
  );
}

/** What runs can be grouped by beside params and tags. */
const GROUPED: ReadonlySet<string> = new Set(["attribute:experiment", "attribute:store"]);

function Line(props: LineProps) {
  const { column, state, shown } = props;
  const { layout } = state;
  const name = label(column);
  const on = shown.includes(column.id);
  const grouped = layout.value.group === column.id;
  const move = (by: number): void => {
    layout.value = moving(layout.value, shown, column.id, by);
  };
  return (
    <li class="nbt-column" data-nbt="column" data-id={column.id}>
      <label>
        <input
          type="checkbox"
          checked={on}
          onChange={() => {
            layout.value = showing(layout.value, column.id, !on);
          }}
        />
        <span class="nbt-column-name" title={name}>
          {name}
        </span>
      </label>
      {column.kind === "metric" && !column.key.endsWith(")") && <Aspects {...props} />}
      {(column.kind === "param" || column.kind === "tag" || GROUPED.has(column.id)) && (
        <button
          type="button"
          class="nbt-aspect"
          aria-pressed={grouped}
          aria-label={trans.__("Group by %1", name)}
          data-nbt="group-by"
          onClick={() => {
            layout.value = { ...layout.value, group: grouped ? null : column.id };
          }}
        >
          {trans.__("group")}
        </button>
      )}
      <span class="nbt-moves">
        <button
          type="button"
          disabled={!on}
          aria-label={trans.__("Move %1 to the left", name)}
          onClick={() => move(-1)}
        >
          ↑
        </button>
        <button
          type="button"
          disabled={!on}
          aria-label={trans.__("Move %1 to the right", name)}
          onClick={() => move(1)}
        >
          ↓
        </button>
      </span>
    </li>
  );
}

/**
 * The places of columns in the list: at first those that are shown stand first. While it is open, one that is hidden
 * stays where it is, so that it can be shown again, and the shown ones take each other's places as they are moved.
 */
export function placesIn(before: readonly string[], all: readonly string[], shown: readonly string[]): string[] {
  const there = new Set(all);
  const listed = shown.filter((id) => there.has(id));
  const known = new Set([...before, ...(before.length === 0 ? listed : [])]);
  const order = [...(before.length === 0 ? listed : before), ...all.filter((id) => !known.has(id))];
  const moved = new Set(listed);
  const next = listed.values();
  return order.filter((id) => there.has(id)).map((id) => (moved.has(id) ? (next.next().value ?? id) : id));
}

export function ColumnManager({ state, anchor, close }: { state: State; anchor: Anchor; close: () => void }) {
  const [search, setSearch] = useState("");
  const order = useRef<string[]>([]);
  const runs = state.runs.value;
  if (runs === null) {
    return null;
  }
  const { layout } = state;
  const shown = state.columns.value.flatMap((column) => (column.kind === "delta" ? [] : [column.id]));
  const all = candidates(runs, layout.value).filter((column) => column.kind !== "curve");
  order.current = placesIn(
    order.current,
    all.map((column) => column.id),
    shown,
  );
  const places = new Map(order.current.map((id, place) => [id, place]));
  const wanted = search.trim().toLowerCase();
  const fits = all.filter((column) => `${groupName(column.kind)} ${label(column)}`.toLowerCase().includes(wanted));
  const sorted = fits.sort((a, b) => (places.get(a.id) ?? 0) - (places.get(b.id) ?? 0));
  const by = (state.sort.value[0]?.column ?? "").replace(/^metric:/, "");
  const first = all.find((column) => column.kind === "metric" && column.better !== null)?.key ?? null;
  const best = all.some((column) => column.kind === "metric" && column.key === by) ? by : first;
  return (
    <Popup anchor={anchor} label={trans.__("Columns")} name="columns" close={close}>
      <div class="nbt-columns">
        <label class="nbt-search">
          <Icon name="search" />
          <input
            type="search"
            data-first
            data-nbt="search-columns"
            placeholder={trans.__("Search %1 columns", all.length)}
            aria-label={trans.__("Search columns")}
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        </label>
        <ul>
          {sorted.slice(0, MOST_LISTED).map((column) => (
            <Line key={column.id} column={column} state={state} shown={shown} by={best} />
          ))}
        </ul>
        {sorted.length > MOST_LISTED && (
          <p class="nbt-note">{trans.__("%1 more: search for them.", sorted.length - MOST_LISTED)}</p>
        )}
        {sorted.length === 0 && <p class="nbt-note">{trans.__("No column has this in its name.")}</p>}
        <div class="nbt-actions">
          <Button
            name="all-shown"
            label={state.showAll.value ? trans.__("Only what differs") : trans.__("Show all")}
            onClick={() => {
              state.showAll.value = !state.showAll.value;
            }}
          />
          <Button
            name="reset-columns"
            label={trans.__("As at first")}
            onClick={() => {
              layout.value = { ...PLAIN, baseline: layout.value.baseline };
              state.showAll.value = false;
            }}
          />
        </div>
      </div>
    </Popup>
  );
}
