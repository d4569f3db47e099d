/** plotly.js: asked for when the first figure is shown, once a page, from what the installed plotly brings. */
import type { Client } from "./client";
import { trans } from "./i18n";

export interface PlotlyElement extends HTMLDivElement {
  data?: Record<string, unknown>[];
  on?(event: string, handler: (data: unknown) => void): void;
}

export interface Plotly {
  react(element: HTMLElement, data: unknown[], layout: unknown, config: unknown): Promise<unknown>;
  purge(element: HTMLElement): void;
  toImage(element: HTMLElement, options: Record<string, unknown>): Promise<string>;
  restyle(element: HTMLElement, update: unknown, traces?: number[]): Promise<unknown>;
  Plots: { resize(element: HTMLElement): Promise<unknown> };
}

// Pages hold several of our bundles (panel, widgets); they share one program.
const SLOT = Symbol.for("nbtrack.plotly");
type Shared = { [SLOT]?: Promise<Loaded> };

interface Loaded {
  plotly: Plotly;
  source: string;
}

async function unpack(base64: string): Promise<string> {
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

/** Run a program of ours as a script of its own, where no module loader of the page can take it away. */
function run(source: string): Promise<void> {
  const guarded = `(function(define,module,exports){${source}\n}).call(globalThis);`;
  const url = URL.createObjectURL(new Blob([guarded], { type: "text/javascript" }));
  const done = new Promise<void>((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = () => resolve();
    script.onerror = () =>
      reject(new Error(trans.__("The page does not allow plotly to run. Look at its security policy.")));
    document.head.append(script);
  });
  return done.finally(() => URL.revokeObjectURL(url));
}

async function load(client: Client): Promise<Loaded> {
  const before = (globalThis as { Plotly?: Plotly }).Plotly;
  const source = await unpack((await client.call({ op: "plotly" })).source);
  await run(source);
  const plotly = (globalThis as { Plotly?: Plotly }).Plotly;
  if (plotly === undefined) {
    throw new Error(trans.__("plotly was read but did not start. Update plotly, then reload the page."));
  }
  if (before !== undefined) {
    (globalThis as { Plotly?: Plotly }).Plotly = before; // the page's own one stays the page's own
  }
  return { plotly, source };
}

function loaded(client: Client): Promise<Loaded> {
  const shared = globalThis as Shared;
  let found = shared[SLOT];
  if (found === undefined) {
    found = load(client);
    shared[SLOT] = found;
    found.catch(() => {
      delete shared[SLOT]; // another try may have more luck
    });
  }
  return found;
}

export const loadPlotly = (client: Client): Promise<Plotly> => loaded(client).then((one) => one.plotly);

/** The program as text: for frames and files that must bring their own. */
export const plotlySource = (client: Client): Promise<string> => loaded(client).then((one) => one.source);

interface Axis {
  [key: string]: unknown;
}

/** The layout of a figure in the colours and letters of the page around it. */
export function themed(layout: Record<string, unknown>, host: HTMLElement): Record<string, unknown> {
  const style = getComputedStyle(host);
  const text = style.color;
  const muted = style.getPropertyValue("--nbt-muted-solid").trim() || text;
  const line = style.getPropertyValue("--nbt-line").trim() || "rgba(128,128,128,0.3)";
  const made: Record<string, unknown> = {
    ...layout,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: style.fontFamily, size: 11, color: text },
    hoverlabel: { font: { family: style.fontFamily, size: 11 }, align: "left" },
    autosize: true,
  };
  const look = { gridcolor: line, zerolinecolor: line, linecolor: line, tickcolor: line, tickfont: { color: muted } };
  const axes = Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key));
  for (const key of axes.length > 0 ? axes : ["xaxis", "yaxis"]) {
    made[key] = { ...look, ...(layout[key] as Axis | undefined) };
  }
  return made;
}

/** The scale that `nbtrack.plots` uses. Thin lines and marks of its dark end are lost on a dark page, of its yellow on a light one. */
const SCALE = "Cividis";
const ON_DARK: readonly [number, string][] = [
  [0, "#6f8fe0"],
  [0.5, "#b5ae98"],
  [1, "#ffe945"],
];
const ON_LIGHT: readonly [number, string][] = [
  [0, "#00224e"],
  [0.5, "#6f7073"],
  [1, "#b08d00"],
];

/** Whether the page writes light on dark. */
function isDark(style: CSSStyleDeclaration): boolean {
  const [red = 0, green = 0, blue = 0] = (style.color.match(/[\d.]+/g) ?? []).map(Number);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 128;
}

function scaled(part: unknown, dark: boolean): unknown {
  const look = part as { colorscale?: unknown } | undefined;
  return look?.colorscale === SCALE ? { ...look, colorscale: dark ? ON_DARK : ON_LIGHT } : part;
}

/** The same for what lies outside the layout: labels of parallel coordinates, titles of colour bars. */
export function themedData(data: readonly unknown[], host: HTMLElement): Record<string, unknown>[] {
  const style = getComputedStyle(host);
  const font = { family: style.fontFamily, size: 11, color: style.color };
  const dark = isDark(style);
  return (data as Record<string, unknown>[]).map((plain) => {
    const trace: Record<string, unknown> = { ...plain };
    for (const part of ["line", "marker"]) {
      if (trace[part] !== undefined) {
        trace[part] = scaled(trace[part], dark);
      }
    }
    if (trace.type !== "parcoords") {
      return trace;
    }
    const faint = style.getPropertyValue("--nbt-line-strong").trim() || "#999";
    return {
      ...trace,
      labelfont: { ...font, size: 12 },
      tickfont: font,
      rangefont: { ...font, color: "rgba(0,0,0,0)" },
      unselected: { line: { color: faint, opacity: 0.25 } },
    };
  });
}
