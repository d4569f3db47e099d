/** Does a run give the same again? What was found the last time, and a button to run its cells in a clean kernel. */
import { useEffect, useRef, useState } from "preact/hooks";
import { type Client, failureOf } from "../client";
import { formatDuration } from "../format";
import { trans } from "../i18n";
import { type Reproduced, readRecord } from "../record";
import type { State } from "../state";
import type { Failure, Reproduction, RunDetail } from "../wire";
import { ErrorBanner } from "./ErrorBanner";
import { Ago, Button, Icon } from "./kit";

const ASK_MS = 600;
const MOST_DIFFERENCES = 20;

/** Whether there is anything to run again. */
export const canReproduce = (run: RunDetail): boolean => {
  const { slice } = run.capture;
  return run.status !== "RUNNING" && !run.deleted && typeof slice === "object" && slice !== null;
};

function Differences({ found }: { found: Reproduced }) {
  return (
    // biome-ignore lint/a11y: what scrolls must be reachable without a mouse.
    <div class="nbt-data-frame" tabIndex={0} role="group" aria-label={trans.__("Values that differ")}>
      <table class="nbt-data nbt-wide" data-nbt="reproduce-differences">
        <thead>
          <tr>
            <th scope="col">{trans.__("value")}</th>
            <th scope="col">{trans.__("was")}</th>
            <th scope="col">{trans.__("is")}</th>
          </tr>
        </thead>
        <tbody>
          {found.differences.slice(0, MOST_DIFFERENCES).map(([kind, key, before, after]) => (
            <tr key={`${kind} ${key}`}>
              <th scope="row">
                {key} <span class="nbt-meta">{kind}</span>
              </th>
              <td>{before}</td>
              <td>{after}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What running it again gave: the verdict, the values that differ, and what changed around the code since. */
function Stamp({ found }: { found: Reproduced }) {
  const [open, setOpen] = useState(false);
  const notes = [
    ...found.changed.map((text) => trans.__("Changed since: %1", text)),
    ...(found.not_compared.length > 0
      ? [trans.__("Not compared, for they measure time: %1", found.not_compared.join(", "))]
      : []),
  ];
  return (
    <div class={`nbt-stamp ${found.reproduced ? "nbt-stamp-yes" : "nbt-stamp-no"}`} data-nbt="reproduced">
      <p>
        <Icon name={found.reproduced ? "check" : "cross"} /> <span class="nbt-stamp-text">{found.verdict}</span>{" "}
        {found.at !== null && (
          <span class="nbt-meta">
            <Ago at={found.at} />
          </span>
        )}
        {(found.differences.length > 0 || notes.length > 0) && (
          <Button
            name="reproduce-details"
            kind="quiet"
            expanded={open}
            label={open ? trans.__("Less") : trans.__("Details")}
            onClick={() => setOpen(!open)}
          />
        )}
      </p>
      {open && found.differences.length > 0 && <Differences found={found} />}
      {open && found.differences.length > MOST_DIFFERENCES && (
        <p class="nbt-note">{trans.__("The first %1 of %2.", MOST_DIFFERENCES, found.differences.length)}</p>
      )}
      {open && notes.map((text) => <p class="nbt-note">{text}</p>)}
    </div>
  );
}

/** What is under way, asked for again and again until it is over. */
function useReproduction(client: Client, state: State, run: RunDetail) {
  const [told, setTold] = useState<Reproduction | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const running = told === null ? run.reproducing : told.state === "running";
  const over = (now: Reproduction): void => {
    if (now.state !== "running") {
      state.status.value = now.state === "done" ? trans.__("Compared with the run") : trans.__("Stopped");
      state.refresh();
    }
  };
  useEffect(() => {
    if (!running) {
      return;
    }
    let wanted = true;
    const ask = async (): Promise<void> => {
      try {
        const now = await client.call({ op: "reproduction", run_id: run.run_id });
        if (wanted) {
          setTold(now);
          over(now);
        }
      } catch {
        // The next time it may answer; what is on the screen stays.
      }
    };
    void ask();
    const timer = setInterval(() => void ask(), ASK_MS);
    return () => {
      wanted = false;
      clearInterval(timer);
    };
  }, [running, client, run.run_id]);
  const act = async (stop: boolean): Promise<void> => {
    setFailure(null);
    try {
      const now = await client.call({ op: "reproduce", run_id: run.run_id, ...(stop ? { stop } : {}) });
      setTold(now);
    } catch (error) {
      setFailure(failureOf(error));
      state.status.value = failureOf(error).message;
    }
  };
  const failed = told?.state === "failed" ? { code: "failed", message: told.error } : null;
  return {
    running,
    told,
    failure: failure ?? failed,
    start: () => act(false),
    stop: () => act(true),
    clear: () => {
      setFailure(null);
      setTold(null);
    },
  };
}

function Progress({ told, stop }: { told: Reproduction | null; stop: () => void }) {
  const [stopping, setStopping] = useState(false);
  const share = told === null || told.total === 0 ? 0 : told.done / told.total;
  const words =
    told === null || told.cell === ""
      ? trans.__("Starting a clean kernel…")
      : `${trans.__("%1 of %2 cells", told.done, told.total)} · ${trans.__("now %1", told.cell)} · ${formatDuration(told.elapsed_ms)}`;
  return (
    <div class="nbt-running" data-nbt="reproducing">
      <div
        class={`nbt-bar${share === 0 ? " nbt-bar-open" : ""}`}
        role="progressbar"
        aria-label={trans.__("Running it again")}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={share === 0 ? undefined : Math.round(100 * share)}
        aria-valuetext={words}
      >
        <span style={share === 0 ? {} : { width: `${(100 * share).toFixed(1)}%` }} />
      </div>
      <span class="nbt-meta">{words}</span>
      <Button
        name="stop-reproduce"
        icon="stop"
        label={trans.__("Stop")}
        busy={stopping}
        onClick={() => {
          setStopping(true);
          stop();
        }}
      />
    </div>
  );
}

interface AskProps {
  run: RunDetail;
  start: () => void;
  close: () => void;
}

/** What it means before it begins: the cells are executed, with all that they do. */
function Ask({ run, start, close }: AskProps) {
  const go = useRef<HTMLButtonElement>(null);
  useEffect(() => go.current?.focus(), []);
  const { slice } = run.capture as { slice?: { cells?: unknown } };
  const held = slice?.cells;
  const cells = typeof held === "number" ? held : Array.isArray(held) ? held.length : 1;
  const took = run.end_time === null ? "" : formatDuration(run.end_time - run.start_time);
  return (
    <div class="nbt-flow" data-nbt="reproduce-ask">
      <span class="nbt-grow">
        {trans._n(
          "Runs its cell again in a clean kernel, in the notebook's folder.",
          "Runs the %1 cells that made it again in a clean kernel, in the notebook's folder.",
          cells,
        )}{" "}
        {took !== "" && trans.__("The run took %1.", took)} {trans.__("Files that they write are written again.")}
      </span>
      <Button name="confirm-reproduce" kind="primary" label={trans.__("Run again")} buttonRef={go} onClick={start} />
      <Button name="cancel" kind="quiet" label={trans.__("Cancel")} onClick={close} />
    </div>
  );
}

export function Reproduce({ client, state, run }: { client: Client; state: State; run: RunDetail }) {
  const [asking, setAsking] = useState(false);
  const { running, told, failure, start, stop, clear } = useReproduction(client, state, run);
  const { reproduced } = readRecord(run.capture);
  const active = client.saved !== true && canReproduce(run);
  if (!active && reproduced === null) {
    return null;
  }
  return (
    <div class="nbt-reproduce" data-nbt="reproduce-part">
      {!running && reproduced !== null && <Stamp found={reproduced} />}
      {!running && told?.state === "stopped" && (
        <p class="nbt-note" role="status">
          {trans.__("Stopped; the run was not stamped.")}
        </p>
      )}
      {active && running && <Progress told={told} stop={() => void stop()} />}
      {active && !running && asking && (
        <Ask
          run={run}
          start={() => {
            setAsking(false);
            void start();
          }}
          close={() => setAsking(false)}
        />
      )}
      {active && !running && !asking && (
        <div class="nbt-actions">
          <Button
            name="reproduce"
            icon="refresh"
            label={reproduced === null ? trans.__("Reproduce") : trans.__("Reproduce again")}
            title={trans.__("Run the cells that made it again, and compare every param and metric")}
            onClick={() => setAsking(true)}
          />
        </div>
      )}
      {failure && <ErrorBanner failure={failure} dismiss={clear} />}
    </div>
  );
}
