/** The filter above the table: words, or the language of `search_runs` with what could come next. */
import { useRef, useState } from "preact/hooks";
import { trans } from "../i18n";
import { type Completion, complete, isQuery, type Offer } from "../query";
import { columnId } from "../rows";
import type { State } from "../state";
import { Icon } from "./kit";

let lists = 0;

/** Offers only what belongs to the language: a person who types words is left alone until a key of a column fits. */
function offersFor(state: State, text: string, cursor: number): Completion {
  const columns = (state.runs.value?.columns ?? []).map((column) => ({ ...column, count: 0 }));
  const values = (kind: string, key: string) =>
    state.runs.value?.columns.find((column) => columnId(column) === `${kind}:${key}`)?.values ?? [];
  const found = complete(text, cursor, { columns, values });
  const word = text.slice(found.from, cursor);
  return isQuery(text) || word.length > 0 ? found : { ...found, offers: [] };
}

export function TableFilter({ state, compact }: { state: State; compact: boolean }) {
  const input = useRef<HTMLInputElement>(null);
  const list = useRef(`nbt-offers-${++lists}`).current;
  const [found, setFound] = useState<Completion | null>(null);
  const [at, setAt] = useState(-1);
  const offers = found?.offers ?? [];
  const offer = (): void => {
    const cursor = input.current?.selectionStart ?? 0;
    setFound(offersFor(state, input.current?.value ?? "", cursor));
    setAt(-1);
  };
  const take = (one: Offer): void => {
    const element = input.current;
    if (element === null || found === null) {
      return;
    }
    const cursor = element.selectionStart ?? element.value.length;
    const after = element.value.slice(cursor);
    const before = `${element.value.slice(0, found.from)}${one.text} `;
    state.filter.value = before + after.trimStart();
    element.value = state.filter.value;
    element.setSelectionRange(before.length, before.length);
    offer();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (by !== 0 && offers.length > 0) {
      setAt((at + by + offers.length + (at < 0 && by < 0 ? 1 : 0)) % offers.length);
    } else if ((event.key === "Enter" || event.key === "Tab") && offers[at] !== undefined) {
      take(offers[at]);
    } else if (event.key === "Escape" && offers.length > 0) {
      setFound(null);
    } else if (event.key === "Escape" && state.filter.value !== "") {
      state.filter.value = "";
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  const failure = state.filterFailure.value;
  return (
    <div class="nbt-filter">
      <label class="nbt-search">
        <Icon name="search" />
        <input
          ref={input}
          type="search"
          role="combobox"
          data-nbt="filter"
          data-lm-suppress-shortcuts="true"
          autocomplete="off"
          spellcheck={false}
          placeholder={compact ? trans.__("Filter runs") : trans.__("Filter: words, or metrics.accuracy > 0.9")}
          aria-label={trans.__("Filter runs by words, or by a query such as metrics.accuracy > 0.9")}
          aria-expanded={offers.length > 0}
          aria-controls={list}
          aria-autocomplete="list"
          aria-activedescendant={at >= 0 ? `${list}-${at}` : undefined}
          aria-invalid={failure !== null}
          value={state.filter.value}
          onInput={(event) => {
            state.filter.value = event.currentTarget.value;
            offer();
          }}
          onClick={() => isQuery(state.filter.value) && offer()}
          onBlur={() => setFound(null)}
          onKeyDown={onKeyDown}
        />
      </label>
      <div id={list} role="listbox" class="nbt-offers" hidden={offers.length === 0} aria-label={trans.__("Go on with")}>
        {offers.map((one, i) => (
          // biome-ignore lint/a11y: the field keeps the focus and says which option is meant.
          <div
            key={one.text}
            id={`${list}-${i}`}
            role="option"
            aria-selected={i === at}
            data-nbt="offer"
            onPointerDown={(event) => {
              event.preventDefault(); // the field keeps the focus
              take(one);
            }}
          >
            <span>{one.text}</span>
            <span class="nbt-meta">{one.hint}</span>
          </div>
        ))}
      </div>
      {failure !== null && offers.length === 0 && (
        <p class="nbt-filter-failure" role="alert" data-nbt="filter-failure">
          {failure.message}
        </p>
      )}
    </div>
  );
}
