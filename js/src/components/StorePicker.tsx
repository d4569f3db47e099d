/** Which stores are shown together: the notebook's own, and those chosen beside it. */
import type { ReadonlySignal, Signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { failureOf } from "../client";
import { trans } from "../i18n";
import type { Failure } from "../wire";
import { ErrorBanner } from "./ErrorBanner";
import { Button, Loading } from "./kit";
import { type Anchor, anchorOf, Popup } from "./Popup";

/** The stores in the folder that the server shows, by their paths in it. */
export interface Stores {
  all: string[];
  /** That of the notebook; "" if it lies elsewhere, or is not there yet. */
  own: string;
}

/** The open list: it outlives the view, which is made anew for each other choice of stores. */
export interface Picking {
  anchor: Anchor;
  stores: Stores | null;
  /** The store that was last chosen or left: there the keys go on. */
  last: string;
}

export interface StoreChoice {
  /** Those shown beside the notebook's own, by their paths. */
  more: ReadonlySignal<readonly string[]>;
  picking: Signal<Picking | null>;
  list: () => Promise<Stores>;
  choose: (more: string[]) => void;
}

/** The folder of a store: what a person calls it. */
const folderName = (path: string): string => path.replace(/\/?\.nbtrack$/, "") || trans.__("(the topmost folder)");

function Line({ choice, path, stores }: { choice: StoreChoice; path: string; stores: Stores }) {
  const { more, picking, choose } = choice;
  const own = path === stores.own;
  const chosen = more.value.includes(path);
  const change = (): void => {
    if (picking.value !== null) {
      picking.value = { ...picking.value, last: path };
    }
    choose(chosen ? more.value.filter((one) => one !== path) : [...more.value, path]);
  };
  return (
    <li class="nbt-column" data-nbt="store-choice" data-path={path}>
      <label>
        <input
          type="checkbox"
          checked={own || chosen}
          disabled={own}
          data-first={picking.value?.last === path ? "" : undefined}
          onChange={change}
        />
        <span class="nbt-column-name" title={path}>
          {folderName(path)}
        </span>
      </label>
      {own && <span class="nbt-meta">{trans.__("this notebook's")}</span>}
      {!stores.all.includes(path) && <span class="nbt-meta">{trans.__("not there now")}</span>}
    </li>
  );
}

function List({ choice }: { choice: StoreChoice }) {
  const { picking, more } = choice;
  const [failure, setFailure] = useState<Failure | null>(null);
  const stores = picking.value?.stores ?? null;
  useEffect(() => {
    if (stores === null) {
      choice.list().then(
        (found) => {
          if (picking.value !== null) {
            picking.value = { ...picking.value, stores: found };
          }
        },
        (error: unknown) => setFailure(failureOf(error)),
      );
    }
  }, []);
  if (failure !== null) {
    return <ErrorBanner failure={failure} />;
  }
  if (stores === null) {
    return <Loading label={trans.__("Looking for stores…")} />;
  }
  const own = stores.own === "" ? [] : [stores.own];
  const shown = [...new Set([...own, ...stores.all, ...more.value])];
  if (shown.length === 0) {
    return <p class="nbt-note">{trans.__("There is no store in this folder or below it.")}</p>;
  }
  return (
    <ul>
      {shown.map((path) => (
        <Line key={path} choice={choice} path={path} stores={stores} />
      ))}
    </ul>
  );
}

/** A button that opens the list. */
export function StorePicker({ choice }: { choice: StoreChoice }) {
  const { picking } = choice;
  const button = useRef<HTMLButtonElement>(null);
  const close = useRef(() => {
    picking.value = null;
    button.current?.focus(); // what had the focus before may be gone with the view
  }).current;
  const open = picking.value;
  return (
    <>
      <Button
        name="choose-stores"
        kind="quiet"
        icon="stack"
        iconOnly
        label={trans.__("Show several stores together")}
        buttonRef={button}
        expanded={open !== null}
        onClick={() => {
          picking.value = open === null ? { anchor: anchorOf(button.current), stores: null, last: "" } : null;
        }}
      />
      {open !== null && (
        <Popup anchor={open.anchor} label={trans.__("Stores shown together")} name="stores" close={close}>
          <div class="nbt-columns">
            <b>{trans.__("Stores shown together")}</b>
            <List choice={choice} />
          </div>
        </Popup>
      )}
    </>
  );
}
