/** Promotion in three steps in one line: what would happen, do it, take it back. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Client } from "../client";
import { trans } from "../i18n";
import type { State } from "../state";
import type { Promoted } from "../wire";
import { ErrorBanner } from "./ErrorBanner";
import { Button, Loading, onKeys, StageChip, useAction, useCall } from "./kit";

/** The stage that comes after another on the way up; null at the top. */
export function nextStage(stage: string): string | null {
  switch (stage) {
    case "Staging":
      return "Production";
    case "Production":
      return null;
    default:
      return "Staging";
  }
}

interface Props {
  client: Client;
  state: State;
  name: string;
  version: number;
  stage: string;
  close: () => void;
}

function Moves({ promoted }: { promoted: Promoted }) {
  return (
    <ul class="nbt-moves" data-nbt="moves" aria-label={promoted.text}>
      {promoted.changes.map((change) => (
        <li key={change.version}>
          <b>v{change.version}</b> <StageChip stage={change.before} /> <span aria-hidden="true">→</span>{" "}
          <StageChip stage={change.after} />
        </li>
      ))}
    </ul>
  );
}

export function PromoteFlow({ client, state, name, version, stage, close }: Props) {
  const [done, setDone] = useState<Promoted | null>(null);
  const [undone, setUndone] = useState<Promoted | null>(null);
  const [note, setNote] = useState("");
  const action = useAction(state);
  const confirm = useRef<HTMLButtonElement>(null);
  const request = done === null ? ({ op: "promote", name, version, stage, preview: true } as const) : null;
  const preview = useCall(client, request, state.revision.value);
  const ready = preview.answer !== null;
  useEffect(() => {
    if (ready) {
      confirm.current?.focus();
    }
  }, [ready]);

  const promote = async (): Promise<void> => {
    const expect = preview.answer?.last_commit ?? null;
    const result = await action.run(
      "promote",
      () => client.call({ op: "promote", name, version, stage, note, expect }),
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
  if (undone !== null) {
    return (
      <div class="nbt-flow nbt-flow-done" data-nbt="undone">
        <span>{trans.__("Taken back:")}</span>
        <Moves promoted={undone} />
        <Button name="close-flow" kind="quiet" iconOnly icon="close" label={trans.__("Close")} onClick={close} />
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
        <Button name="close-flow" kind="quiet" iconOnly icon="close" label={trans.__("Close")} onClick={close} />
        {action.failure && <ErrorBanner failure={action.failure} dismiss={action.clear} />}
      </div>
    );
  }
  const failure = action.failure ?? preview.failure;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape closes the strip wherever the focus is in it.
    <div class="nbt-flow" data-nbt="preview" onKeyDown={onKeys({ Escape: close })}>
      {preview.answer !== null && failure === null && (
        <>
          <span class="nbt-flow-title">{name}</span>
          <Moves promoted={preview.answer} />
          <input
            class="nbt-input nbt-grow"
            type="text"
            value={note}
            placeholder={trans.__("Note (optional)")}
            aria-label={trans.__("Note for the history")}
            onInput={(event) => setNote(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && !event.isComposing) {
                event.preventDefault();
                void promote();
              }
            }}
          />
          <Button
            name="confirm-promote"
            kind="primary"
            buttonRef={confirm}
            busy={action.busy === "promote"}
            label={stage === "None" ? trans.__("Take out of its stage") : trans.__("Move to %1", stage)}
            onClick={() => void promote()}
          />
          <Button name="cancel" kind="quiet" label={trans.__("Cancel")} onClick={close} />
        </>
      )}
      {preview.answer === null && failure === null && <Loading label={trans.__("Looking what would change…")} />}
      {failure && <ErrorBanner failure={failure} retry={retry} dismiss={close} />}
    </div>
  );
}
