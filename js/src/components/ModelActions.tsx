/** Register, Promote, Serve for the model of one run: each button shows its own next step, progress and result below. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Client } from "../client";
import { trans } from "../i18n";
import type { State } from "../state";
import type { LoggedModel, RunDetail } from "../wire";
import { ErrorBanner } from "./ErrorBanner";
import { Button, Loading, onKeys, useAction, useCall } from "./kit";
import { nextStage, PromoteFlow } from "./PromoteFlow";
import { ServerView, servedText, useServers } from "./ServeCard";

/** A name for a model that a person would not mind: what the run is called, without its numbers. */
export function suggestedName(run: RunDetail, known: readonly string[]): string {
  if (known.length > 0) {
    return known[0] ?? "";
  }
  const base = (run.experiment !== "Default" ? run.experiment : run.run_name)
    .replace(/[^\w.-]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return base === "" ? "model" : `${base}-model`.slice(0, 100);
}

interface RegisterProps {
  client: Client;
  state: State;
  run: RunDetail;
  model: LoggedModel;
  then: (name: string, version: number) => void;
  close: () => void;
  promote: boolean;
}

function RegisterForm({ client, state, run, model, then, close, promote }: RegisterProps) {
  const { answer } = useCall(client, { op: "models" }, state.revision.value);
  const known = answer?.models.map((one) => one.name) ?? [];
  const [typed, setTyped] = useState<string | null>(null);
  const name = typed ?? suggestedName(run, known);
  const action = useAction(state);
  const input = useRef<HTMLInputElement>(null);
  const ready = answer !== null;
  useEffect(() => {
    input.current?.focus();
    input.current?.select();
  }, [ready]);
  const exists = answer?.models.find((one) => one.name === name.trim());
  const taken = [...(exists?.versions.map((one) => one.version) ?? []), ...(exists?.trash ?? [])];
  const next = Math.max(0, ...taken) + 1;
  const register = async (): Promise<void> => {
    const result = await action.run(
      "register",
      () => client.call({ op: "register", run_id: run.run_id, name: name.trim(), artifact_path: model.artifact_path }),
      (made) => trans.__("Registered as %1 version %2", made.name, made.version),
    );
    if (result !== null) {
      then(result.name, result.version);
    }
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Enter and Escape work wherever the focus is in the form.
    <div class="nbt-flow" data-nbt="register-form" onKeyDown={onKeys({ Escape: close })}>
      <label class="nbt-field nbt-grow">
        <span>{trans.__("Register as")}</span>
        <input
          ref={input}
          class="nbt-input"
          data-nbt="model-name"
          type="text"
          list={`nbt-models-${run.run_id}`}
          value={name}
          onInput={(event) => setTyped(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.isComposing) {
              event.preventDefault();
              void register();
            }
          }}
        />
        <datalist id={`nbt-models-${run.run_id}`}>
          {known.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
      </label>
      <span class="nbt-meta">{exists ? trans.__("becomes version %1", next) : trans.__("a new model, version 1")}</span>
      <Button
        name="confirm-register"
        kind="primary"
        label={promote ? trans.__("Register and go on") : trans.__("Register")}
        busy={action.busy === "register"}
        disabled={name.trim() === ""}
        onClick={() => void register()}
      />
      <Button name="cancel" kind="quiet" label={trans.__("Cancel")} onClick={close} />
      {action.failure && <ErrorBanner failure={action.failure} dismiss={action.clear} />}
    </div>
  );
}

type Open =
  | { what: "register"; promote: boolean }
  | { what: "promote"; name: string; version: number; stage: string }
  | null;

interface Props {
  client: Client;
  state: State;
  run: RunDetail;
}

/** Whether one may look for a model in a run: of pipelines and their steps few make one, and none is missing. */
export const isAboutModel = ({ models, capture }: RunDetail): boolean =>
  models.length > 0 || (capture.pipeline === undefined && capture.step === undefined);

export function ModelActions({ client, state, run }: Props) {
  const [open, setOpen] = useState<Open>(null);
  const [made, setMade] = useState<[string, number] | null>(null);
  const action = useAction(state);
  const [path, setPath] = useState<string | null>(null);
  const model = run.models.find((one) => one.artifact_path === path) ?? run.models[0];
  const newest = model?.versions[0]; // the one registered last, whatever its name and number
  const registered = useCall(client, newest === undefined ? null : { op: "models" }, state.revision.value).answer;
  const stages = registered?.models.find((one) => one.name === newest?.[0])?.stages;
  const uri =
    model === undefined
      ? ""
      : newest
        ? `models:/${newest[0]}/${newest[1]}`
        : `runs:/${run.run_id}/${model.artifact_path}`;
  const uris =
    model === undefined
      ? []
      : [
          `runs:/${run.run_id}/${model.artifact_path}`,
          ...model.versions.map(([name, version]) => `models:/${name}/${version}`),
        ];
  const serving = useServers(client, state, uris, action.busy === "serve");
  const target = newest ? nextStage(newest[2], stages) : "Staging";

  const register = (): void => setOpen({ what: "register", promote: false });
  const promote = (): void => {
    if (newest && target !== null) {
      setOpen({ what: "promote", name: newest[0], version: newest[1], stage: target });
    } else if (!newest) {
      setOpen({ what: "register", promote: true });
    }
  };
  const serve = (): void => {
    void action.run("serve", () => client.call({ op: "serve", model_uri: uri }), servedText);
  };
  const intent = state.intent.value;
  useEffect(() => {
    if (intent !== null && state.current.value === run.run_id && model !== undefined) {
      state.intent.value = null;
      ({ register, promote, serve })[intent]();
    }
  }, [intent]);

  if (model === undefined) {
    return run.status !== "FINISHED" || !isAboutModel(run) ? null : (
      <p class="nbt-note" data-nbt="no-model">
        {trans.__(
          "This run logged no model, so there is nothing to register or serve. %1 logs one.",
          "nbtrack.sklearn.log_model(model)",
        )}
      </p>
    );
  }
  const stage = newest?.[2];
  return (
    <div class="nbt-model-actions">
      {run.models.length > 1 && (
        <label class="nbt-select">
          <span>{trans.__("Model")}</span>
          <select
            data-nbt="which-model"
            value={model.artifact_path}
            onChange={(event) => {
              setPath(event.currentTarget.value);
              setOpen(null);
            }}
          >
            {run.models.map((one) => (
              <option key={one.artifact_path} value={one.artifact_path}>
                {one.artifact_path}
              </option>
            ))}
          </select>
        </label>
      )}
      <div class="nbt-actions">
        <Button
          name="register"
          kind={newest ? "plain" : "primary"}
          label={trans.__("Register")}
          expanded={open?.what === "register"}
          onClick={register}
        />
        {target !== null ? (
          <Button
            name="promote"
            kind={newest && stage === "None" ? "primary" : "plain"}
            label={trans.__("Promote to %1", target)}
            expanded={open?.what === "promote" && open.stage === target}
            onClick={promote}
          />
        ) : (
          <span class="nbt-meta">{trans.__("in %1", stage ?? "")}</span>
        )}
        <Button
          name="serve"
          icon="play"
          kind={stage === "Staging" && serving.length === 0 ? "primary" : "plain"}
          label={trans.__("Serve")}
          busy={action.busy === "serve"}
          title={trans.__("Serve %1 on this machine", uri)}
          onClick={serve}
        />
      </div>
      {made && open === null && (
        <div class="nbt-flow nbt-flow-done" data-nbt="registered">
          <span>{trans.__("Registered as %1 version %2.", made[0], made[1])}</span>
          <Button
            name="close-flow"
            kind="quiet"
            iconOnly
            icon="close"
            label={trans.__("Close")}
            onClick={() => setMade(null)}
          />
        </div>
      )}
      {open?.what === "register" && (
        <RegisterForm
          client={client}
          state={state}
          run={run}
          model={model}
          promote={open.promote}
          close={() => setOpen(null)}
          then={(name, version) => {
            setMade([name, version]);
            setOpen(open.promote ? { what: "promote", name, version, stage: "Staging" } : null);
          }}
        />
      )}
      {open?.what === "promote" && (
        <PromoteFlow
          key={`${open.name}/${open.version}/${open.stage}`}
          client={client}
          state={state}
          name={open.name}
          version={open.version}
          stage={open.stage}
          close={() => {
            setMade(null);
            setOpen(null);
          }}
        />
      )}
      {action.busy === "serve" && !serving.some((server) => server.status === "starting") && (
        <Loading label={trans.__("Starting the model server; this takes a few seconds…")} />
      )}
      {action.failure && <ErrorBanner failure={action.failure} retry={serve} dismiss={action.clear} />}
      {serving.map((server) => (
        <ServerView key={server.server_id} client={client} state={state} server={server} />
      ))}
    </div>
  );
}
