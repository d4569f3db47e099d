/** The try-it form of a server: a field for each column of its example, or the body of the request as text. */
import { useMemo, useState } from "preact/hooks";
import { trans } from "../i18n";

const MOST_FIELDS = 40;

interface Split {
  columns: string[];
  row: unknown[];
}

/** The columns and the first row of a body that is a split; null where fields make no sense. */
export function splitOf(body: string): Split | null {
  try {
    const split = (JSON.parse(body) as { dataframe_split?: { columns?: unknown; data?: unknown } }).dataframe_split;
    const columns = split?.columns;
    const row = Array.isArray(split?.data) ? split.data[0] : null;
    if (!Array.isArray(columns) || !Array.isArray(row) || columns.length !== row.length) {
      return null;
    }
    return columns.length > MOST_FIELDS ? null : { columns: columns.map(String), row };
  } catch {
    return null;
  }
}

/** A typed text as the kind of value that the example has; a number that is none stays text, and the server says so. */
export function typed(text: string, like: unknown): unknown {
  if (typeof like === "boolean") {
    return text === "true";
  }
  if (text.trim() === "" && typeof like !== "string") {
    return null;
  }
  if (typeof like === "number" || like === null) {
    const number = Number(text);
    return Number.isFinite(number) ? number : text;
  }
  return text;
}

interface Props {
  body: string;
  example: string;
  change: (body: string) => void;
}

export function TryForm({ body, example, change }: Props) {
  const now = useMemo(() => splitOf(body), [body]);
  const like = useMemo(() => splitOf(example), [example]);
  // What is being typed stays as it is typed ("13." is no number yet), also when the card is drawn anew meanwhile.
  const [draft, setDraft] = useState<{ place: number; text: string } | null>(null);
  if (now === null || like === null) {
    return <p class="nbt-meta">{trans.__("This request has no form. Edit it as text.")}</p>;
  }
  const set = (place: number, text: string): void => {
    const row = now.row.map((value, at) => (at === place ? typed(text, like.row[place]) : value));
    change(JSON.stringify({ dataframe_split: { columns: now.columns, data: [row] } }));
  };
  return (
    <div class="nbt-try-fields" data-nbt="fields">
      {now.columns.map((name, place) => {
        const value = now.row[place];
        return (
          // biome-ignore lint/a11y/noLabelWithoutControl: the field is inside, one of two kinds.
          <label key={name} class="nbt-try-field" title={name}>
            <span>{name}</span>
            {typeof like.row[place] === "boolean" ? (
              <select
                class="nbt-input"
                value={String(value)}
                onChange={(event) => set(place, event.currentTarget.value)}
              >
                <option value="true">true</option>
                <option value="false">false</option>
              </select>
            ) : (
              <input
                class="nbt-input"
                autocomplete="off"
                inputMode={typeof like.row[place] === "number" ? "decimal" : "text"}
                value={draft?.place === place ? draft.text : String(value ?? "")}
                onInput={(event) => {
                  setDraft({ place, text: event.currentTarget.value });
                  set(place, event.currentTarget.value);
                }}
                onBlur={() => setDraft(null)}
              />
            )}
          </label>
        );
      })}
    </div>
  );
}
