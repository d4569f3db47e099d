/** What a server's card shows beside its address: the rehearsal, ways to ask it, what it was asked, its log. */
import type { ComponentChild } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import type { Client } from "../client";
import { formatTime } from "../format";
import { trans } from "../i18n";
import type { State } from "../state";
import type { DriftedColumn, SeenRequest, Server, ServerActivity } from "../wire";
import { ErrorBanner } from "./ErrorBanner";
import { Code, CopyButton, Icon, Loading, useCall } from "./kit";

const REFRESH_MS = 2000;
const CHECK_CLASS: Readonly<Record<string, string>> = { note: "nbt-noted", failed: "nbt-check-failed" };
const STEPS = ["port", "signature", "environment", "example"] as const;

function stepText(name: string): string {
  switch (name) {
    case "port":
      return trans.__("Port");
    case "signature":
      return trans.__("Signature");
    case "environment":
      return trans.__("Environment");
    case "example":
      return trans.__("Example");
    default:
      return name;
  }
}

/** The rehearsal: what has been checked, what is still to be, before the server answers. */
export function Checklist({ server }: { server: Server }) {
  const starting = server.status === "starting";
  const waiting = STEPS.filter((name) => !server.checks.some((check) => check.name === name));
  return (
    <ul class="nbt-checks" data-nbt="checks" aria-label={trans.__("Rehearsal of the model")}>
      {server.checks.map((check) => (
        <li key={`${check.name} ${check.text}`} class={CHECK_CLASS[check.state] ?? ""} data-nbt={check.state}>
          <Icon name={check.state === "ok" ? "check" : check.state === "failed" ? "close" : "warn"} />
          <b>{stepText(check.name)}</b>{" "}
          <span>
            {check.state === "failed" && <span class="nbt-hidden">{trans.__("failed:")} </span>}
            {check.text}
          </span>
        </li>
      ))}
      {starting &&
        waiting.map((name, place) => (
          <li key={name} class="nbt-waiting" data-nbt="waiting">
            {place === 0 ? <span class="nbt-spinner" aria-hidden="true" /> : <span class="nbt-dot-status" />}
            <b>{stepText(name)}</b> <span>{place === 0 ? trans.__("under way") : trans.__("to come")}</span>
          </li>
        ))}
    </ul>
  );
}

/** The same request for a shell, Python and JavaScript. */
export function Snippets({ server, state }: { server: Server; state: State }) {
  const ways = [
    { name: "curl", label: trans.__("Shell"), text: server.curl },
    { name: "python", label: trans.__("Python"), text: server.python },
    { name: "javascript", label: trans.__("JavaScript"), text: server.javascript },
  ] as const;
  const group = useId(); // the same server may have a card in a cell and in the panel
  const [chosen, setChosen] = useState<string>("curl");
  const way = ways.find((one) => one.name === chosen) ?? ways[0];
  return (
    <div class="nbt-snippets">
      <div class="nbt-chips" role="radiogroup" aria-label={trans.__("Language of the request")}>
        {ways.map((one) => (
          <label key={one.name} class="nbt-chip-choice">
            <input
              type="radio"
              name={group}
              data-nbt={`way-${one.name}`}
              checked={one.name === chosen}
              onChange={() => setChosen(one.name)}
            />
            <span>{one.label}</span>
          </label>
        ))}
      </div>
      <div class="nbt-codebox">
        <Code name={way.name} label={trans.__("Request that this server answers")} text={way.text} />
        <CopyButton state={state} label={trans.__("Copy the request")} text={way.text} />
      </div>
    </div>
  );
}

function verdictText(verdict: string): string {
  switch (verdict) {
    case "steady":
      return trans.__("steady");
    case "shifted":
      return trans.__("shifted");
    case "drifted":
      return trans.__("drifted");
    default:
      return trans.__("too few rows");
  }
}

const percent = (share: number): string => `${(share * 100).toFixed(share > 0 && share < 0.01 ? 1 : 0)} %`;
const SHOWN_COLUMNS = 12;

function DriftTable({ columns, rows }: { columns: readonly DriftedColumn[]; rows: number }) {
  const [all, setAll] = useState(false);
  if (rows === 0) {
    return <p class="nbt-meta">{trans.__("No row was seen yet.")}</p>;
  }
  if (columns.length === 0) {
    return <p class="nbt-meta">{trans.__("The model was logged without training data to compare with.")}</p>;
  }
  const shown = all ? columns : columns.slice(0, SHOWN_COLUMNS);
  return (
    <>
      <table class="nbt-mini" data-nbt="drift">
        <caption class="nbt-meta">{trans.__("%1 rows against the training data", rows)}</caption>
        <thead>
          <tr>
            <th scope="col">{trans.__("Column")}</th>
            <th scope="col">{trans.__("Verdict")}</th>
            <th scope="col" class="nbt-number">
              {trans.__("Index")}
            </th>
            <th scope="col" class="nbt-number">
              {trans.__("Missing")}
            </th>
            <th scope="col" class="nbt-number">
              {trans.__("Unseen")}
            </th>
          </tr>
        </thead>
        <tbody>
          {shown.map((column, place) => (
            <tr key={column.column ?? place} class={`nbt-drift-${column.verdict.replace(/ /g, "-")}`}>
              <th scope="row" title={column.column ?? undefined}>
                {column.column ?? place}
              </th>
              <td>{verdictText(column.verdict)}</td>
              <td class="nbt-number">{column.index.toFixed(3)}</td>
              <td class="nbt-number">{percent(column.missing)}</td>
              <td class="nbt-number">{percent(column.outside)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {columns.length > SHOWN_COLUMNS && (
        <button type="button" class="nbt-button nbt-quiet" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? trans.__("Fewer columns") : trans.__("All %1 columns", columns.length)}
        </button>
      )}
    </>
  );
}

function Requests({ seen }: { seen: readonly SeenRequest[] }) {
  if (seen.length === 0) {
    return <p class="nbt-meta">{trans.__("Nothing was asked yet.")}</p>;
  }
  return (
    // biome-ignore lint/a11y: what scrolls must be reachable without a mouse.
    <div class="nbt-scroll" tabIndex={0} role="group" aria-label={trans.__("Last requests")}>
      <table class="nbt-mini" data-nbt="requests">
        <thead>
          <tr>
            <th scope="col">{trans.__("Time")}</th>
            <th scope="col">{trans.__("Status")}</th>
            <th scope="col" class="nbt-number">
              {trans.__("Rows")}
            </th>
            <th scope="col" class="nbt-number">
              {trans.__("ms")}
            </th>
            <th scope="col">{trans.__("Answered by")}</th>
          </tr>
        </thead>
        <tbody>
          {seen.map((one, place) => (
            <tr key={`${one.at} ${place}`} class={one.status >= 400 ? "nbt-bad" : ""} data-nbt={String(one.status)}>
              <td title={formatTime(one.at)}>{new Date(one.at).toLocaleTimeString([], { hour12: false })}</td>
              <td>{one.status}</td>
              {one.status >= 400 ? (
                <td class="nbt-wide" colSpan={3}>
                  {one.why}
                </td>
              ) : (
                <>
                  <td class="nbt-number">{one.rows}</td>
                  <td class="nbt-number">{one.ms.toFixed(2)}</td>
                  <td class="nbt-wide">{one.model}</td>
                </>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Activity({ answer, state, server }: { answer: ServerActivity; state: State; server: Server }) {
  const refused = answer.requests.some((one) => one.status >= 400);
  return (
    <>
      <section aria-label={trans.__("Requests")}>
        <h4 class="nbt-part-title">{trans.__("Requests: %1", answer.total)}</h4>
        <Requests seen={answer.requests} />
        {refused && (
          <div class="nbt-line nbt-meta" data-nbt="working-curl">
            {trans.__("A request that works:")}
            <CopyButton state={state} label={trans.__("Copy a working curl")} text={server.curl} />
          </div>
        )}
        {answer.shadow !== "" && <p class="nbt-meta">{answer.shadow}</p>}
      </section>
      {answer.drift !== null && (
        <section aria-label={trans.__("Drift")}>
          <h4 class="nbt-part-title">{trans.__("Drift")}</h4>
          <DriftTable columns={answer.drift} rows={answer.drift_rows} />
        </section>
      )}
      <section aria-label={trans.__("Log")}>
        <h4 class="nbt-part-title">{trans.__("Log")}</h4>
        <Code name="log" label={trans.__("Last lines of the log")} text={answer.log || trans.__("It is empty.")} />
      </section>
    </>
  );
}

interface Props {
  client: Client;
  state: State;
  server: Server;
}

/** Asked for while it is open, every two seconds. */
function LiveActivity({ client, state, server }: Props) {
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === "visible" && setTurn((now) => now + 1), REFRESH_MS);
    return () => clearInterval(timer);
  }, []);
  const found = useCall(client, { op: "server_activity", server_id: server.server_id }, state.revision.value + turn);
  if (found.answer === null) {
    return found.failure === null ? (
      <Loading label={trans.__("Asking the server…")} />
    ) : (
      <ErrorBanner failure={found.failure} />
    );
  }
  return <Activity answer={found.answer} state={state} server={server} />;
}

/** A part of the card that is built when it is opened. */
function Fold({ name, title, children }: { name: string; title: string; children: () => ComponentChild }) {
  const [open, setOpen] = useState(false);
  return (
    <details class="nbt-part" data-nbt={name} open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{title}</summary>
      {open && <div class="nbt-part-body">{children()}</div>}
    </details>
  );
}

export function ServeDetails({ client, state, server }: Props) {
  const noted = server.checks.filter((check) => check.state !== "ok").length;
  return (
    <>
      <Fold name="fold-ask" title={trans.__("Ask it from code")}>
        {() => <Snippets server={server} state={state} />}
      </Fold>
      <Fold name="fold-activity" title={trans.__("Requests, drift and log")}>
        {() => <LiveActivity client={client} state={state} server={server} />}
      </Fold>
      {server.checks.length > 0 && (
        <Fold
          name="fold-checks"
          title={
            noted > 0
              ? trans._n("Rehearsal: one remark", "Rehearsal: %1 remarks", noted)
              : trans.__("Rehearsal: all checks passed")
          }
        >
          {() => <Checklist server={server} />}
        </Fold>
      )}
    </>
  );
}
