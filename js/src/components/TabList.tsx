/** A row of tabs: one of them chosen, arrow keys go from one to the next; a menu of all where the row has no room for them. */
import type { ComponentChildren, RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { trans } from "../i18n";
import { Menu, PopupButton } from "./Popup";

interface Props<T extends string> {
  label: string;
  tabs: readonly T[];
  chosen: T;
  choose: (tab: T) => void;
  nameOf: (tab: T) => string;
  /** How `data-nbt` of a tab begins. */
  name: string;
  /** What stands behind the name of a tab. */
  after?: (tab: T) => ComponentChildren;
}

/** Whether a row has more in it than it shows. */
function useCut(row: RefObject<HTMLElement>): boolean {
  const [cut, setCut] = useState(false);
  useLayoutEffect(() => {
    const element = row.current;
    if (element === null) {
      return;
    }
    const look = (): void => setCut(element.scrollWidth > element.clientWidth + 1);
    const watcher = new ResizeObserver(look);
    watcher.observe(element);
    look();
    return () => watcher.disconnect();
  }, []);
  return cut;
}

export function TabList<T extends string>({ label, tabs, chosen, choose, nameOf, name, after }: Props<T>) {
  const list = useRef<HTMLDivElement>(null);
  const cut = useCut(list);
  const go = (place: number): void => {
    const to = tabs[(place + tabs.length) % tabs.length];
    if (to !== undefined) {
      choose(to);
      const tab = list.current?.querySelector<HTMLElement>(`[data-tab="${to}"]`);
      tab?.focus();
      tab?.scrollIntoView?.({ block: "nearest", inline: "center" });
    }
  };
  return (
    <div class="nbt-tab-row" data-cut={cut}>
      <div class="nbt-tabs" role="tablist" ref={list} aria-label={label}>
        {tabs.map((one, i) => (
          <button
            key={one}
            type="button"
            role="tab"
            data-tab={one}
            data-nbt={`${name}-${one}`}
            aria-selected={chosen === one}
            tabIndex={chosen === one ? 0 : -1}
            onClick={() => go(i)}
            onKeyDown={(event) => {
              const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabs.length - 1 }[event.key];
              if (to !== undefined) {
                event.preventDefault();
                go(to);
              }
            }}
          >
            {nameOf(one)}
            {after?.(one)}
          </button>
        ))}
      </div>
      {cut && (
        <PopupButton name={`${name}-more`} label={trans.__("More")} title={trans.__("All of %1", label)}>
          {(anchor, close) => (
            <Menu
              anchor={anchor}
              label={label}
              close={close}
              items={tabs.map((one, i) => ({
                name: `${name}-menu-${one}`,
                label: nameOf(one),
                checked: chosen === one,
                act: () => go(i),
              }))}
            />
          )}
        </PopupButton>
      )}
    </div>
  );
}
