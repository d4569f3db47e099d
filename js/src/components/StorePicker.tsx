/** Which stores are shown together: the notebook's own, and those chosen beside it. */
import type { ReadonlySignal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { failureOf } from "../client";
import { trans } from "../i18n";
import type { Failure } from "../wire";
import { ErrorBanner } from "./ErrorBanner";
import { Loading } from "./kit";
import { type Anchor, Popup, PopupButton } from "./Popup";

/** The stores in the folder that the server shows, by their paths in it. */
export interface Stores {
  all: string[];
  /** That of the notebook; "" if it lies elsewhere, or is not there yet. */
  own: string;
}

export interface StoreChoice {
  /** Those shown beside the notebook's own, by their paths. */
  more: ReadonlySignal<readonly string[]>;
  list: () => Promise<Stores>;
  choose: (more: string[]) => void;
}

/** The folder of a store: what a person calls it. */
const folderName = (path: string): string => path.replace(/\/?\.nbtrack$/, "") || trans.__("(the topmost folder)");

function List({ choice }: { choice: StoreChoice }) {
  const [stores, setStores] = useState<Stores | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  useEffect(() => {
    choice.list().then(setStores, (error: unknown) => setFailure(failureOf(error)));
  }, []);
  if (failure !== null) {
    return <ErrorBanner failure={failure} />;
  }
  if (stores === null) {
    return <Loading label={trans.__("Looking for stores…")} />;
  }
  const more = choice.more.value;
  const gone = more.filter((path) => !stores.all.includes(path));
  const shown = [...new Set([...(stores.own === "" ? [] : [stores.own]), ...stores.all, ...gone])];
  if (shown.length === 0) {
    return <p class="nbt-note">{trans.__("There is no store in this folder or below it.")}</p>;
  }
  return (
    <ul>
      {shown.map((path) => {
        const own = path === stores.own;
        return (
          <li key={path} class="nbt-column" data-nbt="store-choice" data-path={path}>
            <label>
              <input
                type="checkbox"
                checked={own || more.includes(path)}
                disabled={own}
                onChange={() =>
                  choice.choose(more.includes(path) ? more.filter((one) => one !== path) : [...more, path])
                }
              />
              <span class="nbt-column-name" title={path}>
                {folderName(path)}
              </span>
            </label>
            {own && <span class="nbt-meta">{trans.__("this notebook's")}</span>}
            {gone.includes(path) && <span class="nbt-meta">{trans.__("not there now")}</span>}
          </li>
        );
      })}
    </ul>
  );
}

/** A button that opens the list. */
export function StorePicker({ choice }: { choice: StoreChoice }) {
  return (
    <PopupButton name="choose-stores" icon="stack" iconOnly label={trans.__("Show several stores together")}>
      {(anchor: Anchor, close: () => void) => (
        <Popup anchor={anchor} label={trans.__("Stores shown together")} name="stores" close={close}>
          <div class="nbt-columns">
            <b>{trans.__("Stores shown together")}</b>
            <List choice={choice} />
          </div>
        </Popup>
      )}
    </PopupButton>
  );
}
