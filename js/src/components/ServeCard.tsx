/** A served model: where it listens, a command that works, and a form to try it. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Client } from "../client";
import { formatTime } from "../format";
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import type { State } from "../state";
import type { Invocation, Server } from "../wire";
import { ErrorBanner } from "./ErrorBanner";
import { Ago, Button, Code, CopyButton, Empty, Icon, Loading, StageChip, useAction, useCall } from "./kit";
import { Checklist, ServeDetails } from "./ServeDetails";
import { splitOf, TryForm } from "./TryForm";

function statusText(status: string): string {
  switch (status) {
    case "ready":
      return trans.__("Ready");
    case "starting":
      return trans.__("Starting");
    case "failed":
      return trans.__("Failed");
    case "stopped":
      return trans.__("Stopped");
    default:
      return status;
  }
}

function ownerText(owner: string): string {
  switch (owner) {
    case "kernel":
      return trans.__("ends with its kernel");
    case "jupyter":
      return trans.__("ends with the Jupyter server");
    case "process":
      return trans.__("ends with the program that started it");
    default:
      return trans.__("runs until it is stopped");
  }
}

/** How long it has been up, in one unit: the card is drawn anew with each answer. */
export function upText(since: number, now: number = Date.now()): string {
  const minutes = Math.floor(Math.max(0, now - since) / 60_000);
  if (minutes < 1) {
    return trans.__("up less than a minute");
  }
  if (minutes < 120) {
    return trans.__("up %1 min", minutes);
  }
  return minutes < 48 * 60
    ? trans.__("up %1 h", Math.floor(minutes / 60))
    : trans.__("up %1 days", Math.floor(minutes / 1440));
}

const versionOf = (uri: string): string => uri.replace(/^models:\/.*\//, "v");
const stageOf = (uri: string): string => uri.replace(/^models:\/[^/@]*[/@]?/, "");
const labelOf = (other: { model_name: string; version: number | null }): string =>
  other.version === null ? other.model_name : `${other.model_name} v${other.version}`;

/** JSON laid out to be read, if it is JSON: what fits on a line stays on a line. */
export function pretty(body: string): string {
  if (body.length > 20_000) {
    return body;
  }
  try {
    return layOut(JSON.parse(body), "");
  } catch {
    return body;
  }
}

const LINE = 72;

function layOut(value: unknown, indent: string): string {
  const flat = JSON.stringify(value, null, 1)
    .replace(/\n\s*/g, " ")
    .replace(/([[{]) | ([\]}])/g, "$1$2");
  if (flat.length + indent.length <= LINE || typeof value !== "object" || value === null) {
    return flat;
  }
  const deeper = `${indent}  `;
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  const parts = Array.isArray(value)
    ? value.map((one) => layOut(one, deeper))
    : Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}: ${layOut(one, deeper)}`);
  return `${open}\n${parts.map((part) => deeper + part).join(",\n")}\n${indent}${close}`;
}

/** What to say when somebody pressed Serve and it came to an end, good or bad. */
export const servedText = (server: Server): string =>
  server.status === "failed"
    ? trans.__("%1 could not be served", server.model_name)
    : trans.__("Serving at %1", server.url);

interface Props {
  client: Client;
  state: State;
  server: Server;
}

function TryIt({ client, state, server }: Props) {
  const [body, showBody] = useState<string | null>(null);
  const newest = useRef(body); // a click on Predict may come before what was typed is drawn
  const setBody = (text: string | null): void => {
    newest.current = text;
    showBody(text);
  };
  const [asText, setAsText] = useState(splitOf(server.example) === null);
  const [result, setResult] = useState<Invocation | null>(null);
  const action = useAction(state);
  const shown = body ?? pretty(server.example);
  const send = async (): Promise<void> => {
    const answer = await action.run(
      "invoke",
      () => client.call({ op: "invoke", server_id: server.server_id, body: newest.current ?? pretty(server.example) }),
      (got) =>
        got.status < 400
          ? trans.__("Answered in %1 ms", Math.round(got.ms))
          : trans.__("Refused with status %1", got.status),
    );
    setResult(answer);
  };
  return (
    <div class="nbt-try">
      {!asText && <TryForm body={shown} example={server.example} change={setBody} />}
      <textarea
        hidden={!asText}
        class="nbt-input nbt-body"
        data-nbt="request"
        rows={Math.min(8, Math.max(3, shown.split("\n").length))}
        spellcheck={false}
        aria-label={trans.__("Request body as JSON")}
        value={shown}
        onInput={(event) => setBody(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            event.stopPropagation();
            void send();
          }
        }}
      />
      <div class="nbt-actions">
        <Button
          name="invoke"
          kind="primary"
          label={trans.__("Predict")}
          busy={action.busy === "invoke"}
          onClick={() => void send()}
        />
        {splitOf(server.example) !== null && (
          <Button
            name="as-text"
            kind="quiet"
            pressed={asText}
            label={trans.__("As JSON")}
            onClick={() => {
              setBody(body === null ? null : pretty(body));
              setAsText(!asText);
            }}
          />
        )}
        {body !== null && body !== pretty(server.example) && (
          <Button
            name="reset-example"
            kind="quiet"
            label={trans.__("Back to the example")}
            onClick={() => setBody(null)}
          />
        )}
        {result && (
          <span class={`nbt-answer-status${result.status < 400 ? "" : " nbt-bad"}`} data-nbt="answer-status">
            {result.status < 400
              ? trans.__("%1 · %2 ms", result.status, result.ms.toFixed(1))
              : trans.__("refused · %1", result.status)}
          </span>
        )}
      </div>
      {action.failure && <ErrorBanner failure={action.failure} dismiss={action.clear} />}
      {result && (
        <Code
          name="answer"
          label={trans.__("Answer of the model")}
          text={pretty(result.body)}
          bad={result.status >= 400}
        />
      )}
    </div>
  );
}

export function ServerView({ client, state, server }: Props) {
  const action = useAction(state);
  const stop = (): void => {
    void action.run(
      "stop",
      () => client.call({ op: "stop_server", server_id: server.server_id }),
      (done) => done.text,
    );
  };
  const rollback = (follow: boolean): void => {
    void action.run(
      "rollback",
      () => client.call({ op: "rollback_server", server_id: server.server_id, follow }),
      (done) => done.text,
    );
  };
  const ready = server.status === "ready";
  // A first start that failed did so at a step of its rehearsal, which says why; what it printed comes after that.
  const rehearsed = server.checks.some((check) => check.state === "failed");
  const output = server.error.includes("\n") ? server.error.slice(server.error.indexOf("\n") + 1) : "";
  const through = client.href?.(server.path) ?? null;
  return (
    <section
      class="nbt-card nbt-server"
      data-nbt="server"
      aria-label={trans.__("Model server on port %1", server.port)}
    >
      <header class="nbt-card-head">
        <div class="nbt-head-main">
          <div class="nbt-title-line">
            <span class={`nbt-dot-status nbt-is-${server.status}`} aria-hidden="true" />
            <h3 class="nbt-title" title={server.model_uri}>
              {server.model_name || server.model_uri}
            </h3>
            {server.version !== null && <span class="nbt-version">v{server.version}</span>}
            {server.stage !== "" && server.stage !== "None" && <StageChip stage={server.stage} />}
          </div>
          <span class="nbt-meta" data-nbt="server-meta">
            {statusText(server.status)} ·{" "}
            {ready ? (
              <time dateTime={new Date(server.started_at).toISOString()} title={formatTime(server.started_at)}>
                {upText(server.started_at)}
              </time>
            ) : (
              <Ago at={server.started_at} />
            )}
            {server.status !== "failed" && (
              <>
                {" · "}
                {trans._n("1 request", "%1 requests", server.requests)} · {ownerText(server.owner)}
              </>
            )}
          </span>
          {server.others.length > 0 && (
            <span class="nbt-meta" data-nbt="others">
              {trans.__("also %1", server.others.map((other) => labelOf(other)).join(", "))}
            </span>
          )}
        </div>
        {ready && server.previous !== "" && (
          <Button
            name="rollback"
            kind="plain"
            icon="undo"
            label={
              server.held === ""
                ? trans.__("Back to %1", versionOf(server.previous))
                : trans.__("Follow %1 again", stageOf(server.follow))
            }
            title={
              server.held === ""
                ? trans.__("Let %1 answer again at once; the registry stays as it is", server.previous)
                : trans.__("Answer with whatever %1 means", server.follow)
            }
            busy={action.busy === "rollback"}
            onClick={() => rollback(server.held !== "")}
          />
        )}
        <Button
          name="stop"
          kind="plain"
          icon="stop"
          label={server.status === "failed" ? trans.__("Remove") : trans.__("Stop")}
          busy={action.busy === "stop"}
          onClick={stop}
        />
      </header>
      {server.error !== "" &&
        (ready ? (
          <p class="nbt-serve-note" data-nbt="note" role="status">
            <Icon name={server.held === "" ? "warn" : "pin"} /> <span>{server.error}</span>
          </p>
        ) : (
          !rehearsed && <ErrorBanner failure={{ code: "serving", message: server.error }} />
        ))}
      {action.failure && <ErrorBanner failure={action.failure} dismiss={action.clear} />}
      {(server.status === "starting" || rehearsed) && <Checklist server={server} />}
      {rehearsed && output !== "" && (
        <Code name="last-output" label={trans.__("Last output of the model server")} text={output} bad />
      )}
      {ready && (
        <>
          <div class="nbt-line">
            <a
              class="nbt-link"
              data-nbt="url"
              href={/^https?:\/\//.test(server.url) ? server.url : undefined}
              target="_blank"
              rel="noopener noreferrer"
            >
              {server.url}
            </a>
            <CopyButton state={state} label={trans.__("Copy the address")} text={server.url} />
            {through !== null && (
              <a class="nbt-link" data-nbt="through" href={through} target="_blank" rel="noopener noreferrer">
                {trans.__("through Jupyter")}
              </a>
            )}
          </div>
          <TryIt client={client} state={state} server={server} />
          <ServeDetails client={client} state={state} server={server} />
        </>
      )}
    </section>
  );
}

const STARTING_MS = 700;

/** The servers of some models; while one of them is being started, as they are now: its rehearsal goes on. */
export function useServers(client: Client, state: State, uris: readonly string[], starting: boolean): Server[] {
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (!starting) {
      return;
    }
    const timer = setInterval(() => setTurn((now) => now + 1), STARTING_MS);
    return () => clearInterval(timer);
  }, [starting]);
  const found = useCall(client, uris.length === 0 ? null : { op: "servers" }, state.revision.value + turn);
  return (found.answer?.servers ?? []).filter(
    (server) => server.status !== "stopped" && uris.includes(server.model_uri),
  );
}

/** All servers of the store. */
export function ServerList({ client, state }: ViewProps) {
  const { answer, failure } = useCall(client, { op: "servers" }, state.revision.value);
  if (failure !== null && failure.code !== "no_store" && answer === null) {
    return <ErrorBanner failure={failure} retry={state.refresh} />;
  }
  if (answer === null && failure === null) {
    return <Loading label={trans.__("Looking for servers…")} />;
  }
  const servers = (answer?.servers ?? []).filter((server) => server.status !== "stopped");
  if (servers.length === 0) {
    return (
      <Empty title={trans.__("No model is served")}>
        <p>
          {trans.__(
            "Press Serve on a run or on a model version. The model then answers on this machine, until you stop it.",
          )}
        </p>
      </Empty>
    );
  }
  return (
    <div class="nbt-stack">
      {servers.map((server) => (
        <ServerView key={server.server_id} client={client} state={state} server={server} />
      ))}
    </div>
  );
}

export const mount = mounter(ServerList, {});

interface OneProps {
  server_id: string;
}

/** The server that a cell started, as it is now: a saved picture of it would say "ready" for ever. */
export function OneServer({ client, state, server_id }: ViewProps & OneProps) {
  const { answer, failure } = useCall(client, { op: "servers" }, state.revision.value);
  const server = answer?.servers.find((one) => one.server_id === server_id);
  if (server !== undefined && server.status !== "stopped") {
    return <ServerView client={client} state={state} server={server} />;
  }
  if (answer === null) {
    return failure === null ? (
      <Loading label={trans.__("Looking for servers…")} />
    ) : (
      <ErrorBanner failure={failure} retry={state.refresh} />
    );
  }
  return (
    <Empty title={trans.__("This model server has ended")}>
      <p>{trans.__("Run the cell again, or press Serve on a run or on a model version.")}</p>
    </Empty>
  );
}

export const mountOne = mounter<OneProps>(OneServer, { server_id: "" });
