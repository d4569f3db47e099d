/** Stages as columns: who stands where, at a glance. */
import { trans } from "../i18n";
import type { Model } from "../wire";
import { Icon, StageChip } from "./kit";

const MOST = 4;

interface Props {
  model: Model;
  /** The version whose row is open. */
  current: number | null;
  open: (version: number) => void;
}

export function StageBoard({ model, current, open }: Props) {
  const columns = model.stages.map((stage) => ({
    stage,
    there: model.versions.filter((version) => version.stage === stage),
    gates: model.gates[stage]?.length ?? 0,
  }));
  return (
    <div class="nbt-board" data-nbt="board">
      {columns.map(({ stage, there, gates }) => (
        <section
          key={stage}
          class="nbt-board-column"
          data-stage={stage}
          aria-label={`${model.name}: ${stage === "None" ? trans.__("no stage") : stage}`}
        >
          <div class="nbt-board-head">
            <StageChip stage={stage} />
            {gates > 0 && (
              <span class="nbt-meta" title={(model.gates[stage] ?? []).join("\n")}>
                {trans._n("%1 gate", "%1 gates", gates)}
              </span>
            )}
          </div>
          <div class="nbt-board-versions">
            {there.slice(0, MOST).map(({ version, run_name, approvals }) => (
              <button
                key={version}
                type="button"
                class="nbt-board-version"
                data-nbt="board-version"
                aria-pressed={current === version}
                title={run_name}
                onClick={() => open(version)}
              >
                v{version}
                {Object.values(approvals).some((stages) => stages.length > 0) && <Icon name="check" />}
              </button>
            ))}
            {there.length > MOST && <span class="nbt-meta">{trans.__("and %1 more", there.length - MOST)}</span>}
            {there.length === 0 && <span class="nbt-meta">–</span>}
          </div>
        </section>
      ))}
    </div>
  );
}
