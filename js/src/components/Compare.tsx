/** The comparison: the table, the run that was opened from it, and the charts of the chosen runs. */
import { mounter, type ViewProps } from "../mount";
import { MetricChart } from "./MetricChart";
import { RunCard } from "./RunCard";
import { RunTable } from "./RunTable";

export function Compare({ client, state }: ViewProps) {
  const current = state.current.value;
  return (
    <div class="nbt-compare" data-nbt="compare">
      <RunTable client={client} state={state} compact={false} choose={true} />
      {current !== null && (
        <RunCard
          key={current}
          client={client}
          state={state}
          run_id={current}
          detailed={true}
          close={() => {
            state.current.value = null;
          }}
        />
      )}
      <MetricChart client={client} state={state} />
    </div>
  );
}

export const mount = mounter(Compare, {});
