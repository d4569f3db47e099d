/** What a logged file looks like. Logged HTML and SVG only ever run in a frame that has no origin and no network. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Client, failureOf } from "../client";
import { bytesOf, fileName, saveBlob, scriptJson } from "../download";
import { formatBytes } from "../format";
import { trans } from "../i18n";
import { plotlySource } from "../plotly";
import type { State } from "../state";
import { whenSeen } from "../theme";
import type { ArtifactContent, Failure } from "../wire";
import { DataTable } from "./DataTable";
import { ErrorBanner } from "./ErrorBanner";
import { Button, Code, Loading } from "./kit";

/** Nothing from outside: what is logged is shown with what it brings along. */
const POLICY =
  "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob: data:; style-src 'unsafe-inline' data:; img-src data: blob:; font-src data:; media-src data: blob:; worker-src blob:";

const framed = (policy: string, body: string): string =>
  `<!doctype html><meta http-equiv="Content-Security-Policy" content="${policy}"><base target="_blank">${body}`;

/** A page of its own around hostile markup: scripts may run, but own nothing outside of the frame. */
export function Sandbox({ html, title, scripts }: { html: string; title: string; scripts: boolean }) {
  const policy = scripts ? POLICY : POLICY.replace(/script-src[^;]*; /, "");
  return (
    <iframe
      class="nbt-sandbox"
      data-nbt="sandbox"
      sandbox={scripts ? "allow-scripts" : ""}
      referrerpolicy="no-referrer"
      loading="lazy"
      title={title}
      srcDoc={framed(policy, html)}
    />
  );
}

function PlotlyFrame({ client, text, title }: { client: Client; text: string; title: string }) {
  const [source, setSource] = useState<string | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  useEffect(() => {
    plotlySource(client).then(setSource, (error: unknown) => setFailure(failureOf(error)));
  }, [client]);
  const html = useMemo(() => {
    if (source === null) {
      return "";
    }
    const program = source.replace(/<\/script/gi, "<\\/script");
    const figure = scriptJson(JSON.parse(text));
    return `<style>body{margin:0;background:#fff}</style><div id="f"></div><script>${program}</script>
<script>const f=${figure};Plotly.newPlot("f",f.data,f.layout,{responsive:true,displaylogo:false})</script>`;
  }, [source, text]);
  if (failure !== null) {
    return <ErrorBanner failure={failure} />;
  }
  return source === null ? (
    <Loading label={trans.__("Drawing…")} />
  ) : (
    <Sandbox html={html} title={title} scripts={true} />
  );
}

const IMAGE_TYPES: ReadonlySet<string> = new Set([
  "image/png",
  "image/jpeg",
  "image/gif",
  "image/webp",
  "image/bmp",
  "image/x-ms-bmp",
]);

/** A file as what it is. */
export function Content({ client, content }: { client: Client; content: ArtifactContent }) {
  const { kind, path } = content;
  switch (kind) {
    case "image":
      return IMAGE_TYPES.has(content.media_type) ? (
        <img
          class="nbt-image"
          alt={trans.__("Image %1", path)}
          src={`data:${content.media_type};base64,${content.data}`}
        />
      ) : (
        <NoPreview content={content} />
      );
    case "table":
      return content.table === null ? null : <DataTable data={content.table} caption={path} />;
    case "html":
      return <Sandbox html={content.text} title={path} scripts={true} />;
    case "svg":
      return (
        <Sandbox
          html={`<style>body{margin:0}svg{max-width:100%;height:auto}</style>${content.text}`}
          title={path}
          scripts={false}
        />
      );
    case "plotly":
      return <PlotlyFrame client={client} text={content.text} title={path} />;
    case "text":
      return (
        <>
          <Code text={content.text} label={path} name="file-text" />
          {content.cut && <p class="nbt-note">{trans.__("The beginning of %1.", formatBytes(content.size_bytes))}</p>}
        </>
      );
    default:
      return <NoPreview content={content} />;
  }
}

function NoPreview({ content }: { content: ArtifactContent }) {
  return <p class="nbt-note">{trans.__("No preview of %1 (%2).", content.path, formatBytes(content.size_bytes))}</p>;
}

interface Props {
  client: Client;
  state: State;
  run_id: string;
  path: string;
}

export function DownloadButton({ client, state, run_id, path }: Props) {
  const [busy, setBusy] = useState(false);
  const save = async (): Promise<void> => {
    const content = await client.call({ op: "artifact", run_id, path, whole: true });
    const [, stem = "file", ending = "bin"] = /([^/]*?)(?:\.([^./]*))?$/.exec(path) ?? [];
    // never a type that the browser would open as a page of ours
    saveBlob(fileName(stem, ending), new Blob([bytesOf(content.data)], { type: "application/octet-stream" }));
  };
  return (
    <Button
      name="download"
      kind="quiet"
      busy={busy}
      label={trans.__("Download")}
      onClick={() => {
        setBusy(true);
        save()
          .catch((error: unknown) => {
            state.status.value = failureOf(error).message;
          })
          .finally(() => setBusy(false));
      }}
    />
  );
}

/** A file of a run, read once it comes into sight. */
export function Preview({ client, run_id, path }: Omit<Props, "state">) {
  const host = useRef<HTMLDivElement>(null);
  const [content, setContent] = useState<ArtifactContent | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  useEffect(() => {
    const element = host.current;
    let alive = true;
    setContent(null);
    setFailure(null);
    if (element === null) {
      return;
    }
    const stop = whenSeen(element, () => {
      client.call({ op: "artifact", run_id, path }).then(
        (answer) => alive && setContent(answer),
        (error: unknown) => alive && setFailure(failureOf(error)),
      );
    });
    return () => {
      alive = false;
      stop();
    };
  }, [client, run_id, path]);
  return (
    <div class="nbt-preview" ref={host} data-nbt="preview-file" data-path={path}>
      {failure !== null && <ErrorBanner failure={failure} />}
      {failure === null && content === null && <Loading label={trans.__("Reading %1…", path)} />}
      {content !== null && <Content client={client} content={content} />}
    </div>
  );
}
