/** The comparison: the table, the run that was opened from it, and what can be drawn of the runs. */
import { useState } from "preact/hooks";
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import { Button } from "./kit";
import { Plots } from "./Plots";
import { RunCard } from "./RunCard";
import { RunDetail } from "./RunDetail";
import { RunTable } from "./RunTable";

/** The run that was opened: at a glance, or everything about it. */
function Opened({ client, state, run_id }: ViewProps & { run_id: string }) {
  const [everything, setEverything] = useState(false);
  const close = (): void => {
    state.current.value = null;
  };
  return (
    <div class="nbt-opened">
      {everything ? (
        <RunDetail client={client} state={state} run_id={run_id} close={close} />
      ) : (
        <RunCard client={client} state={state} run_id={run_id} detailed={true} close={close} />
      )}
      <Button
        name="everything"
        kind="quiet"
        expanded={everything}
        label={everything ? trans.__("Less about this run") : trans.__("Everything about this run")}
        onClick={() => setEverything(!everything)}
      />
    </div>
  );
}

export function Compare({ client, state }: ViewProps) {
  const current = state.current.value;
  return (
    <div class="nbt-compare" data-nbt="compare">
      <RunTable client={client} state={state} compact={false} choose={true} />
      {current !== null && <Opened key={current} client={client} state={state} run_id={current} />}
      <Plots client={client} state={state} />
    </div>
  );
}

export const mount = mounter(Compare, {});
