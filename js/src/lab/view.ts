/** What our outputs and tracked cells say, read without JupyterLab. */
import { type Live, parseLive } from "../live";

/** What an output of ours says of itself. */
export interface ViewData {
  view: "card" | "compare" | "server";
  store: string | null;
  /** Where a comparison is about several stores: all of them. */
  stores?: string[];
  run_ids: string[] | null;
  filter: string;
  experiment: string | null;
  /** Of a server's card alone. */
  server_id?: string;
  /** Of the card of a cell that still runs. */
  live: Live | null;
  /** The live widget of this output, where it has one; "" if not. */
  widget: string;
}

const texts = (value: unknown): string[] | null =>
  Array.isArray(value) && value.every((one) => typeof one === "string") ? value : null;

/** The data of an output, checked: a notebook may come from anywhere. */
export function parseView(data: unknown): ViewData | null {
  if (typeof data !== "object" || data === null) {
    return null;
  }
  const { version, view, store, stores, run_ids, filter, experiment, server_id, live, widget } = data as Record<
    string,
    unknown
  >;
  if (version !== 1 || (view !== "card" && view !== "compare" && view !== "server")) {
    return null;
  }
  if (view === "server" && (typeof server_id !== "string" || server_id === "")) {
    return null;
  }
  const ids = texts(run_ids);
  const several = texts(stores);
  if (view === "card" && ids?.length !== 1) {
    return null;
  }
  return {
    view,
    store: typeof store === "string" && store !== "" ? store : null,
    run_ids: ids,
    filter: typeof filter === "string" ? filter : "",
    experiment: typeof experiment === "string" ? experiment : null,
    live: view === "card" ? parseLive(live, Date.now()) : null,
    widget: typeof widget === "string" ? widget : "",
    ...(several !== null ? { stores: several } : {}),
    ...(view === "server" ? { server_id: server_id as string } : {}),
  };
}

const MAGIC = /^\s*%%track\b[^\n]*(\n|$)/;

export const isTracked = (source: string): boolean => MAGIC.test(source);

/** The `%%track` line at the top of a cell, with its arguments; "" if there is none. */
export const trackLine = (source: string): string => MAGIC.exec(source)?.[0].trim() ?? "";

/** The source with that line taken out if it is there, put in as `line` if it is not. */
export function toggledSource(source: string, line = "%%track"): string {
  return isTracked(source) ? source.replace(MAGIC, "") : `${line}\n${source}`;
}

/** The source with `--resume RUN` in its `%%track` line, in place of one that was there. */
export function resumedSource(source: string, run_id: string): string {
  const line = trackLine(source) || "%%track";
  const bare = line.replace(/\s+--resume(=|\s+)\S+/, "");
  const body = isTracked(source) ? source.replace(MAGIC, "") : source;
  return `${bare} --resume ${run_id}\n${body}`;
}
