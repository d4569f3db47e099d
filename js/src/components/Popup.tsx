/** A small window above the page, a menu in it, and the button that opens it. */
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Button, type IconName } from "./kit";

export interface Anchor {
  left: number;
  top: number;
  bottom: number;
}

const MARGIN_PX = 6;

interface PopupProps {
  anchor: Anchor;
  label: string;
  name: string;
  role?: "dialog" | "menu";
  close: () => void;
  children: ComponentChildren;
}

/** Let Tab go round in a popup: what lies below it is covered. Escape leaves it. */
function goRound(event: KeyboardEvent, box: HTMLElement): void {
  const all = [...box.querySelectorAll<HTMLElement>("button:enabled, input:enabled, select:enabled, textarea:enabled")];
  const [first, last] = [all[0], all[all.length - 1]];
  const [end, other] = event.shiftKey ? [first, last] : [last, first];
  if (event.target === end || event.target === box) {
    event.preventDefault();
    other?.focus();
  }
}

export function Popup({ anchor, label, name, role = "dialog", close, children }: PopupProps) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = box.current;
    const before = element?.getRootNode() as Document | ShadowRoot | undefined;
    const focused = before?.activeElement as HTMLElement | null | undefined;
    if (element !== null) {
      element.showPopover?.(); // above everything, and cut off by no frame
      const { width, height } = element.getBoundingClientRect();
      const below = anchor.bottom + height + MARGIN_PX <= window.innerHeight || anchor.top < height;
      const top = below ? anchor.bottom + 2 : anchor.top - height - 2;
      element.style.left = `${Math.max(MARGIN_PX, Math.min(anchor.left, window.innerWidth - width - MARGIN_PX))}px`;
      element.style.top = `${Math.max(MARGIN_PX, Math.min(top, window.innerHeight - height - MARGIN_PX))}px`;
      const first =
        element.querySelector<HTMLElement>("[data-first]") ??
        element.querySelector<HTMLElement>("[role=menuitem], input:enabled, button:enabled");
      (first ?? element).focus();
    }
    return () => {
      if (element?.contains(element.ownerDocument.activeElement) || element?.matches(":focus-within")) {
        focused?.focus?.();
      }
    };
  }, []);
  useEffect(() => {
    const outside = (event: Event): void => {
      const path = event.composedPath();
      // A press on the button that opened it is followed by a click, which closes it.
      const opener = path.some((one) => one instanceof Element && one.ariaExpanded === "true");
      if (box.current !== null && !path.includes(box.current) && !opener) {
        close();
      }
    };
    document.addEventListener("pointerdown", outside, true);
    return () => document.removeEventListener("pointerdown", outside, true);
  }, [close]);
  return (
    // biome-ignore lint/a11y: its role is dialog or menu, and Escape must close it from wherever the focus is in it.
    <div
      ref={box}
      class="nbt-popup"
      popover="manual"
      role={role}
      aria-label={label}
      data-nbt={name}
      data-lm-suppress-shortcuts="true"
      data-jp-suppress-context-menu
      tabIndex={-1}
      onKeyDown={(event) => {
        if (event.key === "Escape" || (event.key === "Tab" && role === "menu")) {
          event.preventDefault();
          close();
        } else if (event.key === "Tab" && box.current !== null) {
          goRound(event, box.current);
        }
        event.stopPropagation();
      }}
      onClick={(event) => event.stopPropagation()}
      onContextMenu={(event) => event.stopPropagation()}
    >
      {children}
    </div>
  );
}

export interface MenuItem {
  name: string;
  label: string;
  act: () => void;
  icon?: IconName;
  checked?: boolean;
  disabled?: boolean;
  /** A line above it. */
  separate?: boolean;
}

export function Menu(props: { anchor: Anchor; label: string; items: readonly MenuItem[]; close: () => void }) {
  const { items, close } = props;
  const list = useRef<HTMLDivElement>(null);
  const move = (by: number, from: EventTarget | null): void => {
    const all = [...(list.current?.querySelectorAll<HTMLElement>("[role^=menuitem]") ?? [])];
    const at = all.indexOf(from as HTMLElement);
    all[(at + by + all.length) % all.length]?.focus();
  };
  return (
    <Popup anchor={props.anchor} label={props.label} name="menu" role="menu" close={close}>
      <div class="nbt-menu" ref={list}>
        {items.map((item) => (
          // biome-ignore lint/a11y: aria-checked is only there where the role is menuitemcheckbox.
          <button
            key={item.name}
            type="button"
            role={item.checked === undefined ? "menuitem" : "menuitemcheckbox"}
            aria-checked={item.checked}
            aria-disabled={item.disabled === true}
            class={item.separate === true ? "nbt-separate" : ""}
            data-nbt={item.name}
            tabIndex={-1}
            onClick={() => {
              if (item.disabled !== true) {
                close();
                item.act();
              }
            }}
            onKeyDown={(event) => {
              const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
              if (by !== 0) {
                event.preventDefault();
                move(by, event.currentTarget);
              }
            }}
          >
            <span class="nbt-menu-mark" aria-hidden="true">
              {item.checked === true ? "✓" : ""}
            </span>
            {item.label}
          </button>
        ))}
      </div>
    </Popup>
  );
}

/** Where a popup of an element belongs. */
export function anchorOf(element: Element | null): Anchor {
  const { left, top, bottom } = element?.getBoundingClientRect() ?? { left: 0, top: 0, bottom: 0 };
  return { left, top, bottom };
}

interface PopupButtonProps {
  name: string;
  label: string;
  title?: string;
  icon?: IconName;
  iconOnly?: boolean;
  /** What it opens, given where and how it is closed. */
  children: (anchor: Anchor, close: () => void) => ComponentChildren;
}

/** A button that opens a popup below itself. */
export function PopupButton({ children, ...button }: PopupButtonProps) {
  const [anchor, setAnchor] = useState<Anchor | null>(null);
  const ref: RefObject<HTMLButtonElement> = useRef<HTMLButtonElement>(null);
  const close = useRef(() => setAnchor(null)).current;
  return (
    <>
      <Button
        {...button}
        kind="quiet"
        buttonRef={ref}
        expanded={anchor !== null}
        onClick={() => setAnchor(anchor === null ? anchorOf(ref.current) : null)}
      />
      {anchor !== null && children(anchor, close)}
    </>
  );
}
