/** One plotly figure in the colours of the page, with its words, its numbers, and its export. */
import { useEffect, useRef, useState } from "preact/hooks";
import { type Client, failureOf } from "../client";
import { escapeHtml, fileName, saveBlob, scriptJson } from "../download";
import { trans } from "../i18n";
import { loadPlotly, type Plotly, type PlotlyElement, plotlySource, themed, themedData } from "../plotly";
import type { State } from "../state";
import { onTheme, whenSeen } from "../theme";
import type { Failure, Figure as FigureData } from "../wire";
import { DataTable } from "./DataTable";
import { ErrorBanner } from "./ErrorBanner";
import { Button, Loading } from "./kit";
import { Menu, PopupButton } from "./Popup";

const CONFIG = { displaylogo: false, displayModeBar: false, responsive: false } as const;

interface Props {
  client: Client;
  state: State;
  figure: FigureData;
  name: string;
  /** Told of the drawn element once: to listen to what is done in it. */
  drawn?: (element: PlotlyElement, plotly: Plotly) => void;
}

/** A page that shows the figure anywhere, with its program inside. */
async function asPage(client: Client, figure: FigureData): Promise<string> {
  const source = (await plotlySource(client)).replace(/<\/script/gi, "<\\/script");
  const title = escapeHtml(figure.title);
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>
<style>body{font:14px system-ui,sans-serif;margin:24px}h1{font-size:18px}</style>
<h1>${title}</h1><p>${escapeHtml(figure.note)}</p><div id="figure"></div>
<script>${source}</script><script>Plotly.newPlot("figure",...Object.values(${scriptJson({
    data: figure.spec.data,
    layout: figure.spec.layout,
    config: { displaylogo: false, responsive: true },
  })}))</script></html>`;
}

export async function exported(
  kind: "png" | "svg" | "html",
  client: Client,
  figure: FigureData,
  host: PlotlyElement | null,
): Promise<void> {
  const name = fileName(figure.title, kind);
  if (kind === "html") {
    saveBlob(name, new Blob([await asPage(client, figure)], { type: "text/html" }));
    return;
  }
  const plotly = await loadPlotly(client);
  const style = host === null ? null : getComputedStyle(host);
  const layout = { ...(figure.spec.layout as Record<string, unknown>), title: { text: escapeHtml(figure.title) } };
  const look = host === null ? layout : themed(layout, host);
  const paper = style?.getPropertyValue("--nbt-bg").trim() || "#fff";
  const made = {
    data: host === null ? (figure.spec.data as unknown[]) : themedData(figure.spec.data as unknown[], host),
    layout: { ...look, paper_bgcolor: paper, margin: { ...(layout as { margin?: object }).margin, t: 64 } },
  };
  const width = Math.max(640, host?.clientWidth ?? 0);
  const url = await plotly.toImage(made as unknown as HTMLElement, {
    format: kind,
    width,
    height: Number((layout as { height?: number }).height ?? 400) + 40,
    scale: kind === "png" ? 2 : 1,
  });
  saveBlob(name, await fetchData(url));
}

/** A data: address as a blob, without a request that a strict page would refuse. */
async function fetchData(url: string): Promise<Blob> {
  const [head = "", body = ""] = [url.slice(0, url.indexOf(",")), url.slice(url.indexOf(",") + 1)];
  const type = /data:([^;,]*)/.exec(head)?.[1] ?? "";
  return head.includes(";base64")
    ? new Blob([Uint8Array.from(atob(body), (char) => char.charCodeAt(0))], { type })
    : new Blob([decodeURIComponent(body)], { type });
}

export function ExportButtons({
  save,
  state,
}: {
  save: (kind: "png" | "svg" | "html") => Promise<void>;
  state: State;
}) {
  const [failure, setFailure] = useState<Failure | null>(null);
  const start = (kind: "png" | "svg" | "html"): void => {
    setFailure(null);
    save(kind).then(
      () => {
        state.status.value = trans.__("Saved as %1", kind.toUpperCase());
      },
      (error: unknown) => setFailure(failureOf(error)),
    );
  };
  return (
    <>
      <PopupButton name="save-figure" label={trans.__("Save")} title={trans.__("Save as PNG, SVG or HTML")}>
        {(anchor, close) => (
          <Menu
            anchor={anchor}
            label={trans.__("Save")}
            close={close}
            items={(["png", "svg", "html"] as const).map((kind) => ({
              name: `save-${kind}`,
              label: trans.__("Save as %1", kind.toUpperCase()),
              act: () => start(kind),
            }))}
          />
        )}
      </PopupButton>
      {failure && <ErrorBanner failure={failure} dismiss={() => setFailure(null)} />}
    </>
  );
}

export function Figure({ client, state, figure, name, drawn }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const [table, setTable] = useState(false);
  const [ready, setReady] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const empty = (figure.spec.data as unknown[]).length === 0;
  useEffect(() => {
    const element = host.current as PlotlyElement | null;
    if (element === null || empty) {
      return;
    }
    let plotly: Plotly | null = null;
    let alive = true;
    let told = false;
    const draw = async (): Promise<void> => {
      if (plotly === null || !alive) {
        return;
      }
      const layout = themed(figure.spec.layout as Record<string, unknown>, element);
      // The same revision keeps zoom and brushes when new data comes in.
      await plotly.react(
        element,
        themedData(figure.spec.data as unknown[], element),
        { ...layout, uirevision: name },
        CONFIG,
      );
      if (alive && !told) {
        told = true;
        setReady(true);
        drawn?.(element, plotly);
      }
    };
    const unseen = whenSeen(element, () => {
      loadPlotly(client).then(
        (loaded) => {
          plotly = loaded;
          void draw().catch((error: unknown) => alive && setFailure(failureOf(error)));
        },
        (error: unknown) => alive && setFailure(failureOf(error)),
      );
    });
    const untheme = onTheme(() => void draw());
    const resized = new ResizeObserver(() => {
      if (told && element.clientWidth > 0) {
        void plotly?.Plots.resize(element);
      }
    });
    resized.observe(element);
    return () => {
      alive = false;
      unseen();
      untheme();
      resized.disconnect();
      plotly?.purge(element);
    };
  }, [client, figure, empty]);
  const height = Number((figure.spec.layout as { height?: number }).height ?? 360);
  return (
    <figure class="nbt-chart nbt-figure" data-nbt="figure" data-kind={name} data-ready={ready ? "1" : "0"}>
      <figcaption>
        <span class="nbt-chart-title" title={figure.title}>
          {figure.title}
        </span>
        <span class="nbt-grow" />
        {!empty && (
          <>
            <ExportButtons state={state} save={(kind) => exported(kind, client, figure, host.current)} />
            <Button
              name="chart-table"
              kind="quiet"
              pressed={table}
              label={trans.__("Table")}
              onClick={() => setTable(!table)}
            />
          </>
        )}
      </figcaption>
      {failure && <ErrorBanner failure={failure} />}
      {empty ? (
        <p class="nbt-note">{figure.note}</p>
      ) : (
        <div class="nbt-plotly-frame" style={{ minHeight: `${height}px` }}>
          {!ready && failure === null && <Loading label={trans.__("Drawing…")} />}
          <div ref={host} class="nbt-plotly" aria-hidden="true" />
        </div>
      )}
      {!empty && figure.note !== "" && <p class="nbt-note">{figure.note}</p>}
      {!empty && <DataTable data={figure.table} caption={figure.title} visible={table} />}
    </figure>
  );
}
