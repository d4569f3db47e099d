/** Our style in a page that may hold several of our programs: notebooks come with the widgets of their kernels' nbtrack. */
import { version } from "../package.json";

/** Marks our style element with the version of nbtrack that it is of. */
const MARK = "nbtrack";

const numbers = (text: string): number[] => text.split(/[.+-]/).map((part) => Number.parseInt(part, 10) || 0);

/** Whether one version is newer than another, place by place. */
export function isNewer(one: string, other: string): boolean {
  const [a, b] = [numbers(one), numbers(other)];
  const place = a.findIndex((number, i) => number !== (b[i] ?? 0));
  return place >= 0 && (a[place] ?? 0) > (b[place] ?? 0);
}

/**
 * Give a document (or a shadow root, in hosts that use one) our style, unless it has that of the same nbtrack or of a
 * newer one: what an older kernel brings must not change what is there. JupyterLab loads the style of our extension by
 * itself; an empty `style` only says of which version that is.
 */
export function dress(root: Document | ShadowRoot, style: string, own = version): void {
  const found = root.querySelector<HTMLStyleElement>(`style[data-style-of="${MARK}"]`);
  if (found !== null && !isNewer(own, found.dataset.version ?? "")) {
    return;
  }
  found?.remove();
  const element = document.createElement("style");
  element.dataset.styleOf = MARK;
  element.dataset.version = own;
  element.textContent = style;
  ("head" in root ? root.head : root).append(element);
}
