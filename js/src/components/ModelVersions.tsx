/** Registered models: their versions, where each stands, how it got there, and the ways on from there. */
import { useEffect, useState } from "preact/hooks";
import { formatAlone, toNumber } from "../format";
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import type { CommitEntry, Model, Version } from "../wire";
import { Confirm } from "./Confirm";
import { Decisions } from "./Decisions";
import { ErrorBanner } from "./ErrorBanner";
import { GateRules } from "./GateList";
import { Ago, Button, Empty, Icon, Loading, StageChip, useAction, useCall } from "./kit";
import { nextStage, PromoteFlow } from "./PromoteFlow";
import { ServerView, servedText, useServers } from "./ServeCard";
import { StageBoard } from "./StageBoard";
import { VersionDiff } from "./VersionDiff";

const MOST_METRICS = 3;
const FIRST_VERSIONS = 5;
const TRASH = "/trash"; // no stage can be called so

interface VersionProps extends ViewProps {
  model: Model;
  version: Version;
}

/** What is known of a version in one line: its stage, where it came from, who agreed to it. */
function VersionFacts({ version }: { version: Version }) {
  const metrics = Object.entries(version.metrics).slice(0, MOST_METRICS);
  const agreed = Object.entries(version.approvals).filter(([, stages]) => stages.length > 0);
  return (
    <>
      <div class="nbt-version-line">
        <span class="nbt-version-number">v{version.version}</span>
        <StageChip stage={version.stage} />
        {version.aliases.map((alias) => (
          <span key={alias} class="nbt-chip nbt-alias">
            @{alias}
          </span>
        ))}
        {version.code_line !== "" && (
          <span class="nbt-chip nbt-stage-none" title={trans.__("The line of code that it was made with")}>
            {trans.__("line %1", version.code_line)}
          </span>
        )}
        <span class="nbt-meta nbt-grow">
          {version.run_name && <span title={version.run_id ?? ""}>{version.run_name}</span>}
          {version.run_name && " · "}
          <Ago at={version.created_at} />
        </span>
      </div>
      {version.description !== "" && <p class="nbt-note">{version.description}</p>}
      {(metrics.length > 0 || agreed.length > 0) && (
        <div class="nbt-inline-metrics">
          {metrics.map(([key, value]) => (
            <span key={key}>
              <span class="nbt-key">{key}</span>{" "}
              <span class="nbt-value">{formatAlone(toNumber(value) ?? Number.NaN)}</span>
            </span>
          ))}
          {agreed.map(([person, stages]) => (
            <span key={person} class="nbt-approved" data-nbt="approval">
              <Icon name="check" /> {trans.__("%1 approves %2", person, stages.join(", "))}
            </span>
          ))}
        </div>
      )}
    </>
  );
}

function VersionRow({ client, state, model, version }: VersionProps) {
  const [target, setTarget] = useState<string | null>(null);
  const action = useAction(state);
  const next = nextStage(version.stage, model.stages);
  const others = model.stages.filter((stage) => stage !== version.stage && stage !== next);
  const uri = `models:/${model.name}/${version.version}`;
  const [asked, setAsked] = useState(false);
  const servers = useServers(client, state, asked ? [uri] : [], action.busy === "serve");
  const unready = servers.filter((server) => server.status !== "ready");
  const ready = servers.filter((server) => server.status === "ready"); // they have a tab of their own
  const serve = (): void => {
    setAsked(true);
    void action.run("serve", () => client.call({ op: "serve", model_uri: uri }), servedText);
  };
  const trash = (): void => {
    void action.run(
      "trash",
      () => client.call({ op: "edit_version", name: model.name, version: version.version, deleted: true }),
      () => trans.__("%1 v%2 moved to the trash", model.name, version.version),
    );
  };
  return (
    <li class="nbt-version-row" data-nbt="version" data-version={version.version}>
      <VersionFacts version={version} />
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
              const chosen = event.currentTarget.value;
              event.currentTarget.value = "";
              if (chosen === TRASH) {
                trash();
              } else {
                setTarget(chosen || null);
              }
            }}
          >
            <option value="">{trans.__("Move to…")}</option>
            {others.map((stage) => (
              <option key={stage} value={stage}>
                {stage === "None" ? trans.__("no stage") : stage}
              </option>
            ))}
            <option value={TRASH}>{trans.__("the trash")}</option>
          </select>
        </label>
      </div>
      {action.busy === "serve" && unready.length === 0 && (
        <Loading label={trans.__("Starting the model server; this takes a few seconds…")} />
      )}
      {unready.map((server) => (
        <ServerView key={server.server_id} client={client} state={state} server={server} />
      ))}
      {ready.map((server) => (
        <p key={server.server_id} class="nbt-note" data-nbt="served-at">
          {trans.__("It answers at")}{" "}
          <a href={server.url} target="_blank" rel="noreferrer noopener">
            {server.url}
          </a>
          {trans.__("; try it and stop it under Servers.")}
        </p>
      ))}
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

interface CommitProps {
  commit: CommitEntry;
  busy: boolean;
  /** Take it back; null where nothing can be changed. */
  undo: (() => void) | null;
}

function Commit({ commit, busy, undo }: CommitProps) {
  const { blocked_by } = commit;
  return (
    <li class="nbt-commit" data-nbt="commit" data-commit={commit.number}>
      <span class="nbt-commit-number">#{commit.number}</span>
      <div class="nbt-grow">
        <div>{commit.text}</div>
        <div class="nbt-meta">
          {commit.action} · {commit.user} · <Ago at={commit.at} />
        </div>
        {commit.note !== "" && <div class="nbt-quote">{commit.note}</div>}
      </div>
      {undo !== null && (
        <Button
          name="undo"
          kind="quiet"
          icon="undo"
          iconOnly
          label={
            blocked_by !== null
              ? trans.__("#%1 cannot be taken back: #%2 changed the same since", commit.number, blocked_by)
              : trans.__("Take #%1 back: %2", commit.number, commit.text)
          }
          busy={busy}
          disabled={blocked_by !== null}
          onClick={undo}
        />
      )}
    </li>
  );
}

function HistoryList({ client, state, model }: ViewProps & { model: Model }) {
  const { answer, failure } = useCall(client, { op: "history", name: model.name }, state.revision.value);
  const action = useAction(state);
  const [asked, setAsked] = useState<CommitEntry | null>(null);
  if (failure !== null && answer === null) {
    return <ErrorBanner failure={failure} retry={state.refresh} />;
  }
  if (answer === null) {
    return <Loading label={trans.__("Reading the history…")} />;
  }
  const highest = model.stages[model.stages.length - 2];
  const undo = ({ number }: CommitEntry): void => {
    setAsked(null);
    const expect = answer.commits[0]?.number ?? null;
    void action.run(
      `undo-${number}`,
      () => client.call({ op: "undo", name: model.name, commit: number, expect }),
      (promoted) => trans.__("%1, taken back: %2", model.name, promoted.text),
    );
  };
  // What others use now is not moved by a single click.
  const reachesOthers = (commit: CommitEntry): boolean =>
    commit.changes.some((change) => change.before === highest || change.after === highest);
  return (
    <div class="nbt-history">
      {action.failure && <ErrorBanner failure={action.failure} dismiss={action.clear} />}
      <ol>
        {answer.commits.map((commit) => (
          <Commit
            key={commit.number}
            commit={commit}
            busy={action.busy === `undo-${commit.number}`}
            undo={client.saved === true ? null : () => (reachesOthers(commit) ? setAsked(commit) : undo(commit))}
          />
        ))}
      </ol>
      {asked !== null && (
        <Confirm
          title={trans.__("Take commit #%1 of %2 back?", asked.number, model.name)}
          label={trans.__("Take it back")}
          confirm={() => undo(asked)}
          close={() => setAsked(null)}
        >
          <p>
            {asked.text}
            <span class="nbt-meta">
              {" "}
              {asked.user} · <Ago at={asked.at} />
            </span>
          </p>
          <p>{trans.__("It concerns %1: whoever uses that stage gets another version.", highest ?? "")}</p>
        </Confirm>
      )}
    </div>
  );
}

function Trash({ client, state, model }: ViewProps & { model: Model }) {
  const action = useAction(state);
  return (
    <div class="nbt-version-line" data-nbt="trash">
      <span class="nbt-meta">{trans.__("In the trash:")}</span>
      {model.trash.map((version) => (
        <Button
          key={version}
          name="restore"
          kind="quiet"
          icon="undo"
          label={trans.__("Restore v%1", version)}
          busy={action.busy === `restore-${version}`}
          onClick={() => {
            void action.run(
              `restore-${version}`,
              () => client.call({ op: "edit_version", name: model.name, version, deleted: false }),
              () => trans.__("%1 v%2 restored", model.name, version),
            );
          }}
        />
      ))}
      {action.failure && <ErrorBanner failure={action.failure} dismiss={action.clear} />}
    </div>
  );
}

type Part = "history" | "gates" | "diff" | "decisions";

function PartButtons({ model, part, toggle }: { model: Model; part: Part | null; toggle: (part: Part) => void }) {
  const parts: [Part, string][] = [
    ["history", trans.__("History")],
    ["gates", trans.__("Gates")],
    ...(model.versions.length > 1 ? [["diff", trans.__("Compare")] as [Part, string]] : []),
    ...(model.decisions.length > 0 ? [["decisions", trans.__("Decisions")] as [Part, string]] : []),
  ];
  return (
    <span class="nbt-part-buttons">
      {parts.map(([one, label]) => (
        <Button key={one} name={one} kind="quiet" expanded={part === one} label={label} onClick={() => toggle(one)} />
      ))}
    </span>
  );
}

function VersionList({ client, state, model, opened }: ViewProps & { model: Model; opened: number | null }) {
  const [most, setMost] = useState(FIRST_VERSIONS);
  const all = opened === null ? model.versions : model.versions.filter((one) => one.version === opened);
  const shown = all.slice(0, most);
  const more = all.length - shown.length;
  return (
    <ul class="nbt-versions">
      {shown.map((version) => (
        <VersionRow key={version.version} client={client} state={state} model={model} version={version} />
      ))}
      {more > 0 && (
        <li>
          <Button
            name="more-versions"
            kind="quiet"
            label={trans._n("%1 older version", "%1 older versions", more)}
            onClick={() => setMost(most + 20)}
          />
        </li>
      )}
    </ul>
  );
}

function ModelCard({ client, state, model }: ViewProps & { model: Model }) {
  const [open, setOpen] = useState(true);
  const [part, setPart] = useState<Part | null>(null);
  const [opened, setOpened] = useState<number | null>(null);
  useEffect(() => {
    if (opened !== null && !model.versions.some((one) => one.version === opened)) {
      setOpened(null);
    }
  }, [model]);
  const given = { client, state, model };
  return (
    <section class="nbt-card nbt-model" data-nbt="model" data-name={model.name}>
      <header class="nbt-card-head">
        <button type="button" class="nbt-fold" aria-expanded={open} onClick={() => setOpen(!open)}>
          <span class={`nbt-caret${open ? " nbt-open" : ""}`} aria-hidden="true" />
          <h3 class="nbt-title">{model.name}</h3>
        </button>
        <span class="nbt-meta">{trans._n("%1 version", "%1 versions", model.versions.length)}</span>
        <PartButtons model={model} part={part} toggle={(one) => setPart(part === one ? null : one)} />
      </header>
      {model.description !== "" && <p class="nbt-note">{model.description}</p>}
      {open && <StageBoard model={model} current={opened} open={(one) => setOpened(opened === one ? null : one)} />}
      {part === "history" && <HistoryList {...given} />}
      {part === "gates" && <GateRules {...given} />}
      {part === "diff" && <VersionDiff {...given} />}
      {part === "decisions" && <Decisions model={model} />}
      {open && <VersionList {...given} opened={opened} />}
      {open && model.trash.length > 0 && <Trash {...given} />}
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
        <p>{trans.__("Open a run that logged a model and press Register.")}</p>
      </Empty>
    );
  }
  return (
    <div class="nbt-stack">
      {answer.models.map((model) => (
        <ModelCard key={model.name} client={client} state={state} model={model} />
      ))}
    </div>
  );
}

export const mount = mounter(ModelVersions, {});
