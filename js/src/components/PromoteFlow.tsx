/** Promotion step by step in one place: what would happen and what the gates say, do it, take it back. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Client } from "../client";
import { trans } from "../i18n";
import type { State } from "../state";
import type { Failure, Promoted } from "../wire";
import { Confirm } from "./Confirm";
import { ErrorBanner } from "./ErrorBanner";
import { approvalOf, GateList } from "./GateList";
import { type Action, Button, Loading, onKeys, StageChip, useAction, useCall } from "./kit";
import { DiffTable } from "./VersionDiff";

const USUAL = ["None", "Staging", "Production", "Archived"];

/** The stage that comes after another on the way up; null at the top. */
export function nextStage(stage: string, stages: readonly string[] = USUAL): string | null {
  const ladder = stages.slice(1, -1);
  return ladder[ladder.indexOf(stage) + 1] ?? null;
}

interface Props {
  client: Client;
  state: State;
  name: string;
  version: number;
  stage: string;
  close: () => void;
}

function stageText(stage: string): string {
  return stage === "None" ? trans.__("no stage") : stage;
}

function Moves({ promoted }: { promoted: Promoted }) {
  if (promoted.changes.length === 0) {
    return <span data-nbt="moves">{promoted.text}</span>;
  }
  return (
    <ul class="nbt-stage-moves" data-nbt="moves" aria-label={promoted.text}>
      {promoted.changes.map((change) => (
        <li key={change.version}>
          <b>v{change.version}</b> <StageChip stage={change.before} /> <span aria-hidden="true">→</span>{" "}
          <StageChip stage={change.after} />
        </li>
      ))}
    </ul>
  );
}

/** Somebody was faster: who, and how the version that he moved differs from the one that one wanted to move. */
function Conflict({ client, state, name, version, failure, retry, close }: Props & ConflictProps) {
  const { answer } = useCall(client, { op: "history", name }, state.revision.value);
  useEffect(() => state.refresh(), []); // what is around this shows what the other one did, too
  const moved = answer?.commits[0]?.changes[0]?.version;
  return (
    <div class="nbt-conflict" data-nbt="conflict">
      <ErrorBanner failure={failure} />
      {moved !== undefined && moved !== version && (
        <DiffTable client={client} revision={state.revision.value} name={name} a={moved} b={version} />
      )}
      <div class="nbt-actions">
        <Button name="retry" kind="primary" icon="refresh" label={trans.__("Look again")} onClick={retry} />
        <Button name="cancel" kind="quiet" label={trans.__("Cancel")} onClick={close} />
      </div>
    </div>
  );
}

interface ConflictProps {
  failure: Failure;
  retry: () => void;
}

/** A gate waits for somebody to agree: if that is who looks at it, he may do so here, under his own name. */
function ApproveButton({ client, state, name, version, stage, people }: Omit<Props, "close"> & { people: string[] }) {
  const action = useAction(state);
  const { answer: info } = useCall(client, { op: "info" }, 0);
  if (info === null || !people.some((one) => one === info.user || one.toLowerCase() === "another person")) {
    return null;
  }
  const approve = (): void => {
    void action.run(
      "approve",
      () => client.call({ op: "approve", name, version, stage }),
      () => trans.__("%1 v%2 approved for %3", name, version, stage),
    );
  };
  return (
    <>
      <Button
        name="approve"
        icon="check"
        label={trans.__("Approve as %1", info.user)}
        busy={action.busy === "approve"}
        onClick={approve}
      />
      {action.failure && <ErrorBanner failure={action.failure} dismiss={action.clear} />}
    </>
  );
}

interface PlanProps extends Props {
  plan: Promoted;
  action: Action;
  former: string | null;
  setFormer: (former: string) => void;
  promote: (note: string) => void;
}

function Plan({ plan, action, former, setFormer, promote, ...props }: PlanProps) {
  const { name, version, stage, close } = props;
  const [note, setNote] = useState("");
  const [asking, setAsking] = useState(false);
  const confirm = useRef<HTMLButtonElement>(null);
  useEffect(() => confirm.current?.focus(), []);
  const leaving = plan.changes.find((change) => change.version !== version && change.before === stage);
  const nothing = plan.changes.length === 0;
  // Production is what other people's requests go to: there, and only there, it is asked once more.
  const go = (): void => {
    if (plan.refused || nothing) {
      return;
    }
    if (stage === "Production") {
      setAsking(true);
    } else {
      promote(note);
    }
  };
  const people = plan.gates.filter((gate) => !gate.passed).flatMap((gate) => approvalOf(gate.gate) ?? []);
  return (
    <>
      <span class="nbt-flow-title">{name}</span>
      <Moves promoted={plan} />
      {leaving !== undefined && plan.formers.length > 1 && (
        <label class="nbt-select">
          <span>{trans.__("v%1 goes to", leaving.version)}</span>
          <select
            data-nbt="former"
            value={former ?? leaving.after}
            onChange={(event) => setFormer(event.currentTarget.value)}
          >
            {plan.formers.map((one) => (
              <option key={one} value={one}>
                {stageText(one)}
              </option>
            ))}
          </select>
        </label>
      )}
      {plan.gates.length > 0 && <GateList gates={plan.gates} />}
      {people.length > 0 && <ApproveButton {...props} people={people} />}
      <input
        class="nbt-input nbt-grow"
        type="text"
        data-nbt="note"
        value={note}
        placeholder={trans.__("Note (optional)")}
        aria-label={trans.__("Note for the history")}
        onInput={(event) => setNote(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.isComposing) {
            event.preventDefault();
            go();
          }
        }}
      />
      <Button
        name="confirm-promote"
        kind="primary"
        buttonRef={confirm}
        busy={action.busy === "promote"}
        disabled={plan.refused || nothing}
        label={stage === "None" ? trans.__("Take out of its stage") : trans.__("Move to %1", stage)}
        title={plan.refused ? trans.__("A gate refuses this version") : undefined}
        onClick={go}
      />
      <Button name="cancel" kind="quiet" label={trans.__("Cancel")} onClick={close} />
      {asking && (
        <Confirm
          title={trans.__("Move %1 v%2 to Production?", name, version)}
          label={trans.__("Move to Production")}
          close={() => setAsking(false)}
          confirm={() => {
            setAsking(false);
            promote(note);
          }}
        >
          <Moves promoted={plan} />
          <p class="nbt-meta">
            {trans.__("Servers that follow Production answer with it at once. Undo takes it back.")}
          </p>
        </Confirm>
      )}
    </>
  );
}

export function PromoteFlow(props: Props) {
  const { client, state, name, version, stage, close } = props;
  const [done, setDone] = useState<Promoted | null>(null);
  const [undone, setUndone] = useState<Promoted | null>(null);
  const [former, setFormer] = useState<string | null>(null);
  const action = useAction(state);
  const request = done === null ? ({ op: "promote", name, version, stage, former, preview: true } as const) : null;
  const preview = useCall(client, request, state.revision.value);

  const promote = async (note: string): Promise<void> => {
    const expect = preview.answer?.last_commit ?? null;
    const result = await action.run(
      "promote",
      () => client.call({ op: "promote", name, version, stage, former, note, expect }),
      (promoted) => trans.__("%1: %2", name, promoted.text),
    );
    if (result !== null) {
      setDone(result);
    }
  };
  const undo = async (): Promise<void> => {
    const expect = done?.last_commit ?? null;
    const result = await action.run(
      "undo",
      () => client.call({ op: "undo", name, expect }),
      (promoted) => trans.__("%1, taken back: %2", name, promoted.text),
    );
    if (result !== null) {
      setUndone(result);
    }
  };
  const retry = (): void => {
    action.clear();
    state.refresh();
  };
  const closing = (
    <Button name="close-flow" kind="quiet" iconOnly icon="close" label={trans.__("Close")} onClick={close} />
  );
  if (undone !== null) {
    return (
      <div class="nbt-flow nbt-flow-done" data-nbt="undone">
        <span>{trans.__("Taken back:")}</span>
        <Moves promoted={undone} />
        {closing}
      </div>
    );
  }
  if (done !== null) {
    return (
      <div class="nbt-flow nbt-flow-done" data-nbt="promoted">
        <span>{trans.__("Done:")}</span>
        <Moves promoted={done} />
        <Button
          name="undo"
          icon="undo"
          label={trans.__("Undo")}
          busy={action.busy === "undo"}
          onClick={() => void undo()}
        />
        {closing}
        {action.failure && <ErrorBanner failure={action.failure} dismiss={action.clear} />}
      </div>
    );
  }
  const failure = action.failure ?? preview.failure;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape closes the strip wherever the focus is in it.
    <div class="nbt-flow" data-nbt="preview" onKeyDown={onKeys({ Escape: close })}>
      {preview.answer !== null && failure === null && (
        <Plan
          {...props}
          plan={preview.answer}
          action={action}
          former={former}
          setFormer={setFormer}
          promote={(note) => void promote(note)}
        />
      )}
      {preview.answer === null && failure === null && <Loading label={trans.__("Looking what would change…")} />}
      {failure?.code === "conflict" && <Conflict {...props} failure={failure} retry={retry} />}
      {failure && failure.code !== "conflict" && <ErrorBanner failure={failure} retry={retry} dismiss={close} />}
    </div>
  );
}
