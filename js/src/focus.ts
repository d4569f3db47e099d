/**
 * Keeps the focus of those who work by keys where what has it is taken away or moved: a run that goes to the trash, a
 * button that has done its work, a line that changes its place. A browser leaves the focus nowhere then, so that the
 * next key would begin at the head of the page.
 */

const FOCUSABLE =
  "button, input:enabled, select:enabled, textarea:enabled, a[href], summary, [tabindex='0'], [tabindex='-1'][role=menuitem]";

/** What had the focus last, and where it stood. */
interface Held {
  element: HTMLElement;
  name: string | undefined;
  /** What it was in, from the inside out, up to the host. */
  within: Element[];
  /** How far the table around it was scrolled: rows that were scrolled away are not followed. */
  frame: Element | null;
  top: number;
}

function heldBy(element: HTMLElement, host: Element): Held {
  const within: Element[] = [];
  for (let one = element.parentElement; one !== null && host.contains(one); one = one.parentElement) {
    within.push(one);
  }
  const frame = element.closest(".nbt-grid-frame");
  return { element, name: element.dataset.nbt, within, frame, top: frame?.scrollTop ?? 0 };
}

/** The nearest that can take the place of something that is gone: of the same name, else the first beside it. */
function nearest({ name, within }: Held, host: Element): HTMLElement | null {
  for (const place of within.filter((one) => one.isConnected)) {
    const same = name === undefined ? null : place.querySelector<HTMLElement>(`[data-nbt="${CSS.escape(name)}"]`);
    const other = place === host ? null : place.querySelector<HTMLElement>(FOCUSABLE);
    if (same !== null || other !== null) {
      return same ?? other;
    }
  }
  return null;
}

const isMoved = (element: Element, records: readonly MutationRecord[]): boolean =>
  records.some((record) => [...record.addedNodes].some((node) => node.contains(element)));

/** Look after the focus in a host until the returned function is called. */
export function keepFocus(host: HTMLElement): () => void {
  let held: Held | null = null;
  const observer = new MutationObserver((records) => {
    const { activeElement, body } = host.ownerDocument;
    if (held === null || (activeElement !== null && activeElement !== body)) {
      return;
    }
    if (held.element.isConnected) {
      if (isMoved(held.element, records)) {
        held.element.focus({ preventScroll: true });
      }
    } else if (held.frame === null || held.frame.scrollTop === held.top) {
      nearest(held, host)?.focus({ preventScroll: true });
    }
  });
  const leave = (): void => {
    held = null;
    observer.disconnect();
  };
  const onLeave = ({ relatedTarget }: FocusEvent): void => {
    if (relatedTarget instanceof Node && !host.contains(relatedTarget)) {
      leave(); // to somebody else, not to nowhere
    }
  };
  const onFocus = ({ target }: FocusEvent): void => {
    if (held === null) {
      observer.observe(host, { childList: true, subtree: true });
    }
    held = heldBy(target as HTMLElement, host);
  };
  host.addEventListener("focusin", onFocus);
  host.addEventListener("focusout", onLeave);
  host.ownerDocument.addEventListener("pointerdown", leave, true); // who points somewhere wants the focus there
  return () => {
    leave();
    host.removeEventListener("focusin", onFocus);
    host.removeEventListener("focusout", onLeave);
    host.ownerDocument.removeEventListener("pointerdown", leave, true);
  };
}
