/** What a promotion must pass: each gate with what was found and what is asked; and where gates are set. */
import { useState } from "preact/hooks";
import { trans } from "../i18n";
import type { ViewProps } from "../mount";
import type { Gate, Model } from "../wire";
import { ErrorBanner } from "./ErrorBanner";
import { Button, Icon, StageChip, useAction } from "./kit";

export function GateList({ gates }: { gates: readonly Gate[] }) {
  return (
    <ul class="nbt-gates" data-nbt="gates" aria-label={trans.__("Gates")}>
      {gates.map((gate) => (
        <li key={gate.gate} class={gate.passed ? "nbt-gate-passed" : "nbt-gate-refused"} data-passed={gate.passed}>
          <Icon name={gate.passed ? "check" : "cross"} />
          <span>
            <b>{gate.gate}</b>
            <span class="nbt-hidden">{gate.passed ? trans.__("passed") : trans.__("refused")}</span>{" "}
            <span class="nbt-meta">{gate.passed ? gate.found : `${gate.found}, ${gate.asked}`}</span>
          </span>
        </li>
      ))}
    </ul>
  );
}

/** Who must agree, if that is what a gate asks. */
export function approvalOf(gate: string): string | null {
  return /^approved by (.+)$/i.exec(gate)?.[1] ?? null;
}

const EXAMPLES = ["accuracy >= 0.9", "accuracy better by 0.01", "signature compatible", "input example predicts"];

function StageGates({ client, state, model, stage }: ViewProps & { model: Model; stage: string }) {
  const gates = model.gates[stage] ?? [];
  const [typed, setTyped] = useState<string | null>(null);
  const action = useAction(state);
  const save = async (): Promise<void> => {
    const wanted = (typed ?? "").split("\n").filter((line) => line.trim() !== "");
    const saved = await action.run(
      "set-gates",
      () => client.call({ op: "set_gates", name: model.name, stage, gates: wanted }),
      () => trans.__("Gates of %1 saved", stage),
    );
    if (saved !== null) {
      setTyped(null);
    }
  };
  const label = trans.__("Gates of %1, one a line", stage);
  return (
    <div class="nbt-stage-gates" data-nbt="stage-gates" data-stage={stage}>
      <div class="nbt-version-line">
        <StageChip stage={stage} />
        {typed === null && (
          <>
            <span class="nbt-grow">
              {gates.length > 0 ? (
                gates.map((gate) => (
                  <code key={gate} class="nbt-gate-text">
                    {gate}
                  </code>
                ))
              ) : (
                <span class="nbt-meta">{trans.__("no gates")}</span>
              )}
            </span>
            <Button
              name="edit-gates"
              kind="quiet"
              label={trans.__("Edit")}
              title={label}
              onClick={() => setTyped(gates.join("\n"))}
            />
          </>
        )}
      </div>
      {typed !== null && (
        <div class="nbt-flow">
          <textarea
            class="nbt-input nbt-gate-input"
            data-nbt="gates-text"
            rows={Math.max(3, typed.split("\n").length)}
            value={typed}
            aria-label={label}
            placeholder={EXAMPLES.join("\n")}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
          <div class="nbt-actions">
            <Button
              name="save-gates"
              kind="primary"
              label={trans.__("Save")}
              busy={action.busy === "set-gates"}
              onClick={() => void save()}
            />
            <Button name="cancel" kind="quiet" label={trans.__("Cancel")} onClick={() => setTyped(null)} />
          </div>
          <p class="nbt-meta">
            {trans.__("One a line, such as: %1; also “reproduced”, “approved by ana”.", EXAMPLES.join("; "))}
          </p>
          {action.failure && <ErrorBanner failure={action.failure} dismiss={action.clear} />}
        </div>
      )}
    </div>
  );
}

export function GateRules({ client, state, model }: ViewProps & { model: Model }) {
  return (
    <div class="nbt-section-body" data-nbt="gate-rules">
      {model.stages
        .slice(1, -1)
        .reverse()
        .map((stage) => (
          <StageGates key={stage} client={client} state={state} model={model} stage={stage} />
        ))}
    </div>
  );
}
