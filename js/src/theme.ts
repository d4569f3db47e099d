/** When the page changes its colours, pictures drawn on a canvas must be drawn again. */

const WATCHED = {
  attributes: true,
  // JupyterLab changes its theme by an attribute on <body>, other hosts by a class on <html> or <body>.
  attributeFilter: ["class", "data-jp-theme-light", "data-jp-theme-name", "data-vscode-theme-kind", "theme"],
};

/** Call `draw` whenever the theme changes, until the returned function is called. */
export function onTheme(draw: () => void): () => void {
  const observer = new MutationObserver(draw);
  observer.observe(document.body, WATCHED);
  observer.observe(document.documentElement, WATCHED);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener?.("change", draw);
  return () => {
    observer.disconnect();
    dark.removeEventListener?.("change", draw);
  };
}

/** Call `act` once an element comes near the window; return how to stop waiting. */
export function whenSeen(element: Element, act: () => void): () => void {
  if (typeof IntersectionObserver === "undefined") {
    act();
    return () => undefined;
  }
  const observer = new IntersectionObserver(
    (entries) => {
      if (entries.some((entry) => entry.isIntersecting)) {
        observer.disconnect();
        act();
      }
    },
    { rootMargin: "200px" },
  );
  observer.observe(element);
  return () => observer.disconnect();
}
