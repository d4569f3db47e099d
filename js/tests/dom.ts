// A page without a browser, for component tests. Imported before anything that touches the page.
import { Window } from "happy-dom";

const window = new Window({ url: "http://localhost/", width: 1000, height: 800 });
const names = [
  "navigator",
  "document",
  "HTMLElement",
  "Element",
  "Node",
  "Event",
  "CustomEvent",
  "KeyboardEvent",
  "MouseEvent",
  "ResizeObserver",
  "MutationObserver",
  "IntersectionObserver",
  "getComputedStyle",
  "matchMedia",
  "devicePixelRatio",
] as const;
for (const name of names) {
  const value: unknown = window[name as keyof Window];
  Object.defineProperty(globalThis, name, {
    value: typeof value === "function" && !/^class\b/.test(String(value)) ? value.bind(window) : value,
    configurable: true,
    writable: true,
  });
}
// Frames come at once and in order, so that a busy machine changes nothing.
globalThis.requestAnimationFrame = (callback) => Number(setTimeout(() => callback(0), 0));
globalThis.cancelAnimationFrame = (handle) => clearTimeout(handle);
Object.defineProperty(globalThis, "window", { value: window, configurable: true });

/** Let promises, effects and timers of the page come to rest. */
export async function settle(turns = 12): Promise<void> {
  for (let i = 0; i < turns; i++) {
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
}

export function host(): HTMLElement {
  const element = document.createElement("div");
  document.body.appendChild(element);
  return element;
}

/** The one element with a `data-nbt` name; fails the test if there is none. */
export function find(root: ParentNode, name: string): HTMLElement {
  const element = root.querySelector<HTMLElement>(`[data-nbt="${name}"]`);
  if (element === null) {
    throw new Error(`there is no [data-nbt="${name}"] in ${(root as HTMLElement).outerHTML?.slice(0, 2000)}`);
  }
  return element;
}

export async function click(root: ParentNode, name: string): Promise<void> {
  find(root, name).click();
  await settle();
}

export async function press(element: Element, key: string, init: KeyboardEventInit = {}): Promise<void> {
  element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...init }));
  await settle();
}
