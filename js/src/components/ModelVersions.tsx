/** Registered models: their versions, where each stands, how it got there, and the ways on from there. */
import { useState } from "preact/hooks";
import { formatNumber, toNumber } from "../format";
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import type { CommitEntry, Model, Version } from "../wire";
import { ErrorBanner } from "./ErrorBanner";
import { Ago, Button, Empty, Icon, Loading, StageChip, useAction, useCall } from "./kit";
import { nextStage, PromoteFlow } from "./PromoteFlow";

const MOST_METRICS = 3;

interface VersionProps extends ViewProps {
  model: Model;
  version: Version;
  stages: string[];
}

function VersionRow({ client, state, model, version, stages }: VersionProps) {
  const [target, setTarget] = useState<string | null>(null);
  const action = useAction(state);
  const next = nextStage(version.stage);
  const others = stages.filter((stage) => stage !== version.stage && stage !== next);
  const metrics = Object.entries(version.metrics).slice(0, MOST_METRICS);
  const serve = (): void => {
    void action.run(
      "serve",
      () => client.call({ op: "serve", model_uri: `models:/${model.name}/${version.version}` }),
      (server) => trans.__("Serving at %1", server.url),
    );
  };
  return (
    <li class="nbt-version-row" data-nbt="version" data-version={version.version}>
      <div class="nbt-version-line">
        <span class="nbt-version-number">v{version.version}</span>
        <StageChip stage={version.stage} />
        {version.aliases.map((alias) => (
          <span key={alias} class="nbt-chip nbt-alias">
            @{alias}
          </span>
        ))}
        <span class="nbt-meta nbt-grow">
          {version.run_name && <span title={version.run_id ?? ""}>{version.run_name}</span>}
          {version.run_name && " · "}
          <Ago at={version.created_at} />
        </span>
      </div>
      {metrics.length > 0 && (
        <div class="nbt-inline-metrics">
          {metrics.map(([key, value]) => (
            <span key={key}>
              <span class="nbt-key">{key}</span>{" "}
              <span class="nbt-value">{formatNumber(toNumber(value) ?? Number.NaN)}</span>
            </span>
          ))}
        </div>
      )}
      <div class="nbt-actions">
        {next !== null && (
          <Button
            name="promote"
            label={trans.__("Promote to %1", next)}
            expanded={target === next}
            onClick={() => setTarget(target === next ? null : next)}
          />
        )}
        <Button name="serve" icon="play" label={trans.__("Serve")} busy={action.busy === "serve"} onClick={serve} />
        <label class="nbt-select">
          <span class="nbt-hidden">{trans.__("Move version %1 to another stage", version.version)}</span>
          <select
            data-nbt="move"
            value=""
            onChange={(event) => {
              setTarget(event.currentTarget.value || null);
              event.currentTarget.value = "";
            }}
          >
            <option value="">{trans.__("Move to…")}</option>
            {others.map((stage) => (
              <option key={stage} value={stage}>
                {stage === "None" ? trans.__("no stage") : stage}
              </option>
            ))}
          </select>
        </label>
      </div>
      {action.busy === "serve" && <Loading label={trans.__("Starting the model server; this takes a few seconds…")} />}
      {action.failure && <ErrorBanner failure={action.failure} dismiss={action.clear} />}
      {target !== null && (
        <PromoteFlow
          key={target}
          client={client}
          state={state}
          name={model.name}
          version={version.version}
          stage={target}
          close={() => setTarget(null)}
        />
      )}
    </li>
  );
}

function Commit({ commit }: { commit: CommitEntry }) {
  return (
    <li class="nbt-commit" data-nbt="commit">
      <span class="nbt-commit-number">#{commit.number}</span>
      <div>
        <div>{commit.text}</div>
        <div class="nbt-meta">
          {commit.action} · {commit.user} · <Ago at={commit.at} />
        </div>
        {commit.note !== "" && <div class="nbt-quote">{commit.note}</div>}
      </div>
    </li>
  );
}

function HistoryList({ client, state, model }: ViewProps & { model: Model }) {
  const { answer, failure } = useCall(client, { op: "history", name: model.name }, state.revision.value);
  const action = useAction(state);
  if (failure !== null && answer === null) {
    return <ErrorBanner failure={failure} retry={state.refresh} />;
  }
  if (answer === null) {
    return <Loading label={trans.__("Reading the history…")} />;
  }
  const last = answer.commits[0];
  const undo = (): void => {
    void action.run(
      "undo",
      () => client.call({ op: "undo", name: model.name, expect: last?.number ?? null }),
      (promoted) => trans.__("%1, taken back: %2", model.name, promoted.text),
    );
  };
  return (
    <div class="nbt-history">
      <ol>
        {answer.commits.map((commit) => (
          <Commit key={commit.number} commit={commit} />
        ))}
      </ol>
      {last !== undefined && last.changes.length > 0 && (
        <Button
          name="undo"
          icon="undo"
          label={trans.__("Undo the last change")}
          busy={action.busy === "undo"}
          onClick={undo}
        />
      )}
      {action.failure && <ErrorBanner failure={action.failure} dismiss={action.clear} />}
    </div>
  );
}

function ModelCard({ client, state, model, stages }: ViewProps & { model: Model; stages: string[] }) {
  const [open, setOpen] = useState(true);
  const [history, setHistory] = useState(false);
  return (
    <section class="nbt-card nbt-model" data-nbt="model" data-name={model.name}>
      <header class="nbt-card-head">
        <button type="button" class="nbt-fold" aria-expanded={open} onClick={() => setOpen(!open)}>
          <span class={`nbt-caret${open ? " nbt-open" : ""}`} aria-hidden="true" />
          <h3 class="nbt-title">{model.name}</h3>
        </button>
        <span class="nbt-meta">{trans._n("%1 version", "%1 versions", model.versions.length)}</span>
        <Button
          name="history"
          kind="quiet"
          expanded={history}
          label={trans.__("History")}
          onClick={() => setHistory(!history)}
        />
      </header>
      {model.description !== "" && <p class="nbt-note">{model.description}</p>}
      {history && <HistoryList client={client} state={state} model={model} />}
      {open && (
        <ul class="nbt-versions">
          {model.versions.map((version) => (
            <VersionRow
              key={version.version}
              client={client}
              state={state}
              model={model}
              version={version}
              stages={stages}
            />
          ))}
        </ul>
      )}
    </section>
  );
}

export function ModelVersions({ client, state }: ViewProps) {
  const { answer, failure } = useCall(client, { op: "models" }, state.revision.value);
  if (failure !== null && failure.code !== "no_store" && answer === null) {
    return <ErrorBanner failure={failure} retry={state.refresh} />;
  }
  if (answer === null && failure === null) {
    return <Loading label={trans.__("Reading models…")} />;
  }
  if (answer === null || answer.models.length === 0) {
    return (
      <Empty title={trans.__("No registered models yet")}>
        <p>
          {trans.__("Open a run that logged a model and press Register.")} <Icon name="check" />
        </p>
      </Empty>
    );
  }
  return (
    <div class="nbt-stack">
      {answer.models.map((model) => (
        <ModelCard key={model.name} client={client} state={state} model={model} stages={answer.stages} />
      ))}
    </div>
  );
}

export const mount = mounter(ModelVersions, {});
