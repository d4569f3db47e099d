/** A pipeline's steps as a graph: what became of each, and what each hands over. A list for those who do not see it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { formatDuration } from "../format";
import { trans } from "../i18n";
import { type Graph, laidOut, type Placed, type StepNode } from "../pipeline";
import type { State } from "../state";
import type { RunDetail } from "../wire";
import { Icon, type IconName } from "./kit";

const ICON: Readonly<Record<StepNode["status"], IconName>> = {
  ran: "check",
  reused: "undo",
  failed: "cross",
  running: "play",
  "not run": "dots",
};

function statusName(status: StepNode["status"]): string {
  switch (status) {
    case "ran":
      return trans.__("ran");
    case "reused":
      return trans.__("reused");
    case "failed":
      return trans.__("failed");
    case "running":
      return trans.__("running");
    case "not run":
      return trans.__("not run");
  }
}

/** What a step takes from which, as a sentence. */
function takes({ inputs }: StepNode): string {
  const parts = inputs.map(([name, from]) =>
    from === "" ? trans.__("%1 (a param)", name) : trans.__("%1 from %2", name, from),
  );
  return parts.length === 0 ? "" : trans.__("takes %1", parts.join(", "));
}

function Step({ step, place, open }: { step: StepNode; place: Placed; open: (run_id: string) => void }) {
  const told = takes(step);
  const note = step.not_kept === "" ? "" : trans.__("runs each time: %1", step.not_kept);
  return (
    <li style={{ left: `${place.x}px`, top: `${place.y}px`, width: `${place.width}px`, height: `${place.height}px` }}>
      <button
        type="button"
        class={`nbt-step-node nbt-step-${step.status.replace(" ", "-")}`}
        data-nbt="pipeline-step"
        data-step={step.name}
        data-status={step.status}
        disabled={step.run_id === ""}
        title={[step.name, told, note].filter((part) => part !== "").join("\n")}
        onClick={() => open(step.run_id)}
      >
        <span class="nbt-step-name">{step.name}</span>
        <span class="nbt-step-fact">
          {step.status === "running" ? (
            <span class="nbt-spinner" aria-hidden="true" />
          ) : (
            <Icon name={ICON[step.status]} />
          )}
          {statusName(step.status)}
          {step.status !== "not run" && step.status !== "running" && (
            <span class="nbt-meta"> {formatDuration(1000 * step.seconds)}</span>
          )}
        </span>
        {told !== "" && <span class="nbt-hidden">, {told}</span>}
      </button>
    </li>
  );
}

function Edges({ graph }: { graph: Graph }) {
  return (
    <svg width={graph.width} height={graph.height} aria-hidden="true">
      {graph.edges.map((edge) => (
        <g key={`${edge.from} ${edge.to}`} class="nbt-edge">
          <path d={edge.path} />
          <path class="nbt-edge-head" d={edge.head} />
          <text x={edge.label.x} y={edge.label.y} text-anchor={edge.label.anchor}>
            {edge.label.text}
          </text>
        </g>
      ))}
    </svg>
  );
}

interface Props {
  state: State;
  run: RunDetail;
  steps: readonly StepNode[];
}

export function Pipeline({ state, run, steps }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState(0);
  useEffect(() => {
    const element = frame.current;
    if (element === null) {
      return;
    }
    const watcher = new ResizeObserver(() => setRoom(element.clientWidth));
    watcher.observe(element);
    setRoom(element.clientWidth);
    return () => watcher.disconnect();
  }, []);
  const graph = laidOut(steps, room);
  const open = (run_id: string): void => {
    state.current.value = run_id;
  };
  return (
    <div class="nbt-pipeline" data-nbt="pipeline" ref={frame}>
      <div class="nbt-pipeline-frame" style={{ width: `${graph.width}px`, height: `${graph.height}px` }}>
        <Edges graph={graph} />
        <ol aria-label={trans.__("Steps of %1", run.run_name)}>
          {steps.map((step, i) => {
            const place = graph.places[i];
            return place && <Step key={step.name} step={step} place={place} open={open} />;
          })}
        </ol>
      </div>
    </div>
  );
}
