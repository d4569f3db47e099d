/** A row of tabs: one of them chosen, arrow keys go from one to the next. */
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";

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

export function TabList<T extends string>({ label, tabs, chosen, choose, nameOf, name, after }: Props<T>) {
  const list = useRef<HTMLDivElement>(null);
  const go = (place: number): void => {
    const to = tabs[(place + tabs.length) % tabs.length];
    if (to !== undefined) {
      choose(to);
      list.current?.querySelector<HTMLElement>(`[data-tab="${to}"]`)?.focus();
    }
  };
  return (
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
  );
}
