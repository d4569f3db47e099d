/** One run at a glance, and what to do with its model. */
import type { ReadonlySignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Client } from "../client";
import { columnDecimals, formatBytes, formatDelta, formatDuration, formatNumber, toNumber } from "../format";
import { trans } from "../i18n";
import { type Control, freshLive, type Live, withLive } from "../live";
import { mounter, type ViewProps } from "../mount";
import { stepsOf } from "../pipeline";
import { readRecord } from "../record";
import type { State } from "../state";
import type { Failure, LoggedModel, MetricEntry, RunDetail } from "../wire";
import { Alerts } from "./Alerts";
import { ErrorBanner } from "./ErrorBanner";
import { Ago, Button, Code, Loading, Mark, StageChip, StatusBadge, useAction, useCall } from "./kit";
import { ModelActions } from "./ModelActions";
import { Pipeline } from "./Pipeline";
import { Reproduce } from "./Reproduce";
import { RunLive } from "./RunLive";
import { Visited } from "./Visited";

const MOST_SHOWN = 12;

type Kind = "param" | "metric";
type Choice = "pinned" | "unpinned";
/** The two buttons beside a param or metric that the notebook gave unasked; null where there is nothing to choose. */
type Pins = (kind: Kind, key: string) => ComponentChildren;

/** Whether the notebook's next run leaves this out. */
const leftOut = (run: RunDetail, kind: Kind, key: string): boolean => run.pins?.[`${kind}:${key}`] === "unpinned";

function usePins(client: Client, state: State, run: RunDetail | null): { pins: Pins; failure: Failure | null } {
  const { failure, run: act } = useAction(state);
  // Only a notebook finds things by itself; what a program logs, it logs again.
  const found = run !== null && typeof run.capture.cell_hash === "string" && !run.deleted;
  const choose = (kind: Kind, key: string, choice: Choice | null): void =>
    void act(
      "pin",
      () => client.call({ op: "pin", run_id: run?.run_id ?? "", kind, key, choice }),
      (done) => done.text,
    );
  const pins: Pins = (kind, key) => {
    if (!found) {
      return null;
    }
    const now = run.pins?.[`${kind}:${key}`];
    const button = (choice: Choice, icon: "pin" | "close", label: string): ComponentChildren => (
      <Button
        name={choice === "pinned" ? "pin" : "unpin"}
        kind="quiet"
        iconOnly
        icon={icon}
        label={label}
        pressed={now === choice}
        onClick={() => choose(kind, key, now === choice ? null : choice)}
      />
    );
    return (
      <span class="nbt-pin">
        {button("pinned", "pin", trans.__("Pin %1: always keep it, and show it first", key))}
        {button("unpinned", "close", trans.__("Leave %1 out of this notebook's next runs", key))}
      </span>
    );
  };
  return { pins, failure };
}

function Metric({ metric, out, pins }: { metric: MetricEntry; out: boolean; pins: ComponentChildren }) {
  const decimals = columnDecimals([metric.last, metric.previous]);
  const delta = formatDelta(metric.last, metric.previous, metric.better, decimals);
  const last = toNumber(metric.last);
  return (
    <div class={`nbt-pair${out ? " nbt-left-out" : ""}`} data-nbt="metric" data-key={metric.key}>
      <dt title={metric.key}>{metric.key}</dt>
      <dd>
        {pins}
        <span class="nbt-value" title={String(metric.last)}>
          {last === null ? metric.last : formatNumber(last, decimals)}
        </span>
        {delta && (
          <span
            class={`nbt-delta nbt-${delta.tone}`}
            title={
              delta.tone === "better"
                ? trans.__("better than the run before")
                : delta.tone === "worse"
                  ? trans.__("worse than the run before")
                  : trans.__("against the run before")
            }
          >
            {delta.text}
            {delta.tone === "better" && <span class="nbt-hidden"> {trans.__("better")}</span>}
            {delta.tone === "worse" && <span class="nbt-hidden"> {trans.__("worse")}</span>}
          </span>
        )}
      </dd>
    </div>
  );
}

interface PairsProps {
  title: string;
  pairs: [string, string][];
  name: string;
  pins?: (key: string) => ComponentChildren;
  out?: (key: string) => boolean;
}

function Pairs({ title, pairs, name, pins, out }: PairsProps) {
  const [all, setAll] = useState(false);
  const shown = all ? pairs : pairs.slice(0, MOST_SHOWN);
  return (
    <div class="nbt-block">
      <h4>{title}</h4>
      <dl class="nbt-pairs">
        {shown.map(([key, value]) => (
          <div key={key} class={`nbt-pair${out?.(key) ? " nbt-left-out" : ""}`} data-nbt={name} data-key={key}>
            <dt title={key}>{key}</dt>
            <dd title={value}>
              {pins?.(key)}
              <span class="nbt-value">{value}</span>
            </dd>
          </div>
        ))}
      </dl>
      {pairs.length > MOST_SHOWN && (
        <Button
          name="more"
          kind="quiet"
          expanded={all}
          label={all ? trans.__("Fewer") : trans.__("%1 more", pairs.length - MOST_SHOWN)}
          onClick={() => setAll(!all)}
        />
      )}
    </div>
  );
}

function ModelLine({ model }: { model: LoggedModel }) {
  return (
    <div class="nbt-model-line" data-nbt="logged-model">
      <span class="nbt-model-class" title={model.model_class}>
        {model.model_class.split(".").pop()}
      </span>
      <span class="nbt-meta">
        {model.flavor} · {formatBytes(model.size_bytes)} · {model.artifact_path}
      </span>
      <span class="nbt-made-list">
        {model.versions.map(([name, version, stage]) => (
          <span key={`${name}/${version}`} class="nbt-made" data-nbt="made" data-version={version}>
            <span class="nbt-made-name" title={name}>
              {name}
            </span>{" "}
            <b>v{version}</b> <StageChip stage={stage} />
          </span>
        ))}
      </span>
    </div>
  );
}

function Head({ run, color, close }: { run: RunDetail; color: number | null; close: (() => void) | undefined }) {
  return (
    <header class="nbt-card-head">
      <div class="nbt-head-main">
        <div class="nbt-title-line">
          {color !== null && <Mark color={color} />}
          <h3 class="nbt-title" title={`${run.run_name} · ${run.run_id}`} data-nbt="run-name">
            {run.run_name || trans.__("(no name)")}
          </h3>
        </div>
        <StatusBadge status={run.status} />
        <span class="nbt-meta">
          {run.end_time !== null && `${formatDuration(run.end_time - run.start_time)} · `}
          <Ago at={run.start_time} />
          {run.experiment !== "Default" && ` · ${run.experiment}`}
        </span>
      </div>
      {close && (
        <Button name="close-run" kind="quiet" iconOnly icon="close" label={trans.__("Close")} onClick={close} />
      )}
    </header>
  );
}

/** The error text of a failed run, wherever its capture put it. */
function failureText(run: RunDetail): string {
  const error = run.capture.error ?? run.capture.exception;
  if (typeof error === "string") {
    return error;
  }
  if (typeof error === "object" && error !== null) {
    const { type, message, name, value } = error as Record<string, unknown>;
    return [type ?? name, message ?? value].filter((part) => typeof part === "string" && part !== "").join(": ");
  }
  return "";
}

export interface CardProps {
  run_id: string;
  /** Also show tags, files and the cell. */
  detailed: boolean;
  /** What the cell says of itself while it runs, where it does. */
  live?: ReadonlySignal<Live | null> | undefined;
  control?: Control | undefined;
  close?: (() => void) | undefined;
}

function Source({ run }: { run: RunDetail }) {
  const cell = run.capture.cell;
  const source =
    typeof cell === "object" && cell !== null ? (cell as Record<string, unknown>).source : run.capture.source;
  if (typeof source !== "string" || source === "") {
    return null;
  }
  return (
    <details class="nbt-more">
      <summary>{trans.__("Cell")}</summary>
      <Code label={trans.__("Source of the cell")} text={source} />
    </details>
  );
}

/** What the notebook gave unasked, and what it did not: exactly that. */
function Captured({ run }: { run: RunDetail }) {
  const listed = (key: string): string[] => {
    const list = run.capture[key];
    return Array.isArray(list) ? list.filter((one): one is string => typeof one === "string") : [];
  };
  const [captured, missing] = [listed("captured"), listed("not_captured")];
  if (captured.length + missing.length === 0) {
    return null;
  }
  const list = (lines: string[]): ComponentChildren => (
    <ul class="nbt-captured">
      {lines.map((line) => (
        <li key={line}>{line}</li>
      ))}
    </ul>
  );
  return (
    <details class="nbt-more" data-nbt="captured">
      <summary>{trans.__("What was captured (%1)", captured.length)}</summary>
      {list(captured)}
      {missing.length > 0 && (
        <>
          <div class="nbt-meta">{trans.__("Not captured")}</div>
          {list(missing)}
        </>
      )}
    </details>
  );
}

function More({ run }: { run: RunDetail }) {
  const tags = Object.entries(run.tags).filter(([key]) => !key.startsWith("nbtrack."));
  return (
    <>
      {tags.length > 0 && <Pairs title={trans.__("Tags")} pairs={tags} name="tag" />}
      <div class="nbt-extra">
        {run.artifacts.length > 0 && (
          <details class="nbt-more">
            <summary>{trans._n("%1 file", "%1 files", run.artifacts.length)}</summary>
            <ul class="nbt-files">
              {run.artifacts.map((artifact) => (
                <li key={artifact.path}>
                  <span>{artifact.path}</span> <span class="nbt-meta">{formatBytes(artifact.size_bytes)}</span>
                </li>
              ))}
            </ul>
          </details>
        )}
        <Source run={run} />
      </div>
    </>
  );
}

export function RunCard({ client, state, run_id, detailed, close, live, control }: ViewProps & CardProps) {
  const { answer, failure } = useCall(client, { op: "run", run_id }, state.revision.value);
  // What a card says of another run must not be said while the new one is still on its way.
  const known = answer?.run_id === run_id ? answer : null;
  const update = known === null ? null : freshLive(known, live?.value ?? null, Date.now());
  const run = known === null ? null : withLive(known, update);
  const { pins, failure: unpinned } = usePins(client, state, known);
  useEffect(() => {
    if (run !== null) {
      state.status.value = trans.__("Run %1", run.run_name);
    }
  }, [run?.run_id]);
  if (run === null) {
    return (
      <section class="nbt-card">
        {failure ? (
          <ErrorBanner failure={failure} retry={state.refresh} dismiss={close} />
        ) : (
          <Loading label={trans.__("Reading the run…")} />
        )}
      </section>
    );
  }
  // The mark ties a run to the others around it; alone it would say nothing.
  const shown = state.runs.value;
  const row = shown !== null && shown.run_ids.length > 1 ? shown.run_ids.indexOf(run_id) : -1;
  const first = (kind: Kind, key: string): number => (run.pins?.[`${kind}:${key}`] === "pinned" ? 0 : 1);
  const params = Object.entries(run.params).sort(([a], [b]) => first("param", a) - first("param", b));
  const metrics = [...run.metrics].sort((a, b) => first("metric", a.key) - first("metric", b.key));
  const { steps } = readRecord(run.capture);
  const error = run.status === "FAILED" ? failureText(run) : ""; // an interrupt is no news
  return (
    <section
      class="nbt-card nbt-run"
      data-nbt="run-card"
      data-run={run.run_id}
      aria-label={trans.__("Run %1", run.run_name)}
    >
      <Head run={run} color={shown?.colors[row] ?? null} close={close} />
      {error !== "" && <Code label={trans.__("Error")} text={error} bad={true} />}
      <Alerts run={run} />
      <RunLive
        client={client}
        state={state}
        run={run}
        live={update}
        control={control ?? {}}
        curves={state.options.table === false}
      />
      {steps.length > 0 && <Pipeline state={state} run={run} steps={stepsOf(run, steps)} />}
      {unpinned && <ErrorBanner failure={unpinned} />}
      {run.note !== "" && <p class="nbt-quote">{run.note}</p>}
      <div class="nbt-blocks">
        {run.metrics.length > 0 && (
          <div class="nbt-block">
            <h4>
              {trans.__("Metrics")}
              {run.previous_run && run.metrics.some((metric) => metric.previous !== null) && (
                <span class="nbt-meta nbt-against" title={run.previous_run[1]}>
                  {trans.__("change against %1", run.previous_run[1])}
                </span>
              )}
            </h4>
            <dl class="nbt-pairs">
              {metrics.slice(0, MOST_SHOWN * 2).map((metric) => (
                <Metric
                  key={metric.key}
                  metric={metric}
                  out={leftOut(run, "metric", metric.key)}
                  pins={pins("metric", metric.key)}
                />
              ))}
            </dl>
          </div>
        )}
        {params.length > 0 && (
          <Pairs
            title={trans.__("Params")}
            pairs={params}
            name="param"
            pins={(key) => pins("param", key)}
            out={(key) => leftOut(run, "param", key)}
          />
        )}
        {run.metrics.length === 0 && params.length === 0 && run.status !== "RUNNING" && (
          <p class="nbt-note">{trans.__("No params or metrics were found.")}</p>
        )}
      </div>
      {run.models.map((model) => (
        <ModelLine key={model.artifact_path} model={model} />
      ))}
      {run.status !== "RUNNING" && <ModelActions client={client} state={state} run={run} />}
      <Reproduce client={client} state={state} run={run} />
      <Captured run={run} />
      {detailed && <More run={run} />}
    </section>
  );
}

/** A card alone: what belongs to its run is shown in its place. What the cell says live is of its own run only. */
function CardAlone(props: ViewProps & CardProps) {
  return (
    <Visited state={props.state} run_id={props.run_id}>
      {(run_id) =>
        run_id === props.run_id ? (
          <RunCard {...props} />
        ) : (
          <RunCard key={run_id} client={props.client} state={props.state} run_id={run_id} detailed={true} />
        )
      }
    </Visited>
  );
}

export const mount = mounter<CardProps>(CardAlone, { run_id: "", detailed: false });
