/** Where the steps of a pipeline stand, and how what they hand over is drawn: pure, so that it can be tested. */
import type { PipelineStep } from "./record";
import type { RunDetail } from "./wire";

export interface StepNode extends Omit<PipelineStep, "status"> {
  status: PipelineStep["status"] | "running";
}

/** The steps of a run, with the one that is under way: what is done is told by the parent, what runs by the children. */
export function stepsOf(run: Pick<RunDetail, "status" | "children">, steps: readonly PipelineStep[]): StepNode[] {
  return steps.map((step) => {
    const child = run.children.find(([, name, status]) => name === step.name && status === "RUNNING");
    const waits = step.status === "not run" && run.status === "RUNNING";
    return waits && child !== undefined ? { ...step, status: "running", run_id: child[0] } : step;
  });
}

export interface Placed {
  x: number;
  y: number;
  width: number;
  height: number;
}

interface Edge {
  from: string;
  to: string;
  path: string;
  head: string;
  label: { x: number; y: number; text: string; anchor: "middle" | "start" };
}

export interface Graph {
  width: number;
  height: number;
  places: Placed[];
  edges: Edge[];
}

const NODE = { width: 144, height: 44 };
const NARROW_NODE = 84;
/** Between layers: room for an arrow and the names on it. */
const GAP = 76;
const GAP_DOWN = 34;
const BESIDE = 14;
const HEAD = 5;
const CHARACTER = 5.6; // of a label, in px
const LANE_FIRST = 18; // from the steps to the first line around them
const LANE = 18;
const LANE_LABEL = 64;
const PAD = 2; // for outlines of what has the focus

/** How many steps must be over before each can begin: its layer. */
function layersOf(steps: readonly StepNode[]): number[] {
  const layers: number[] = [];
  const at = new Map(steps.map((step, i) => [step.name, i]));
  steps.forEach((step, i) => {
    const before = step.inputs.map(([, from]) => at.get(from) ?? -1).filter((place) => place >= 0 && place < i);
    // Where nothing is known of a step that did not run, it stands behind the one before it.
    const guess = step.status === "not run" && step.inputs.length === 0 && i > 0 ? [i - 1] : [];
    layers.push(Math.max(-1, ...[...before, ...guess].map((place) => layers[place] ?? 0)) + 1);
  });
  return layers;
}

/** What is handed over from one step to another, in the order of the steps. */
function handOvers(steps: readonly StepNode[]): { from: number; to: number; names: string[] }[] {
  const at = new Map(steps.map((step, i) => [step.name, i]));
  return steps.flatMap((step, to) => {
    const names = new Map<number, string[]>();
    for (const [name, source] of step.inputs) {
      const from = at.get(source);
      if (from !== undefined && from < to) {
        names.set(from, [...(names.get(from) ?? []), name]);
      }
    }
    return [...names].map(([from, handed]) => ({ from, to, names: handed }));
  });
}

const cut = (text: string, room: number): string => {
  const most = Math.max(3, Math.floor(room / CHARACTER));
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
};

/** Steps from left to right where `room` (px) has place for them, else from top to bottom. */
export function laidOut(steps: readonly StepNode[], room: number): Graph {
  const layers = layersOf(steps);
  const depth = Math.max(0, ...layers) + 1;
  const rows = layers.map((layer, i) => layers.slice(0, i).filter((one) => one === layer).length);
  const most = Math.max(0, ...rows) + 1;
  const across = depth * NODE.width + (depth - 1) * GAP + 2 * PAD <= room;
  const handed = handOvers(steps).map((one) => ({
    ...one,
    near: (layers[one.to] ?? 0) - (layers[one.from] ?? 0) === 1,
    alone: !handOvers(steps).some(({ from, to }) => to === one.to && from !== one.from),
  }));
  const far = handed.filter(({ near }) => !near).length;
  const aside = far === 0 ? 0 : LANE_FIRST + (far - 1) * LANE;
  const beside = (room - 2 * PAD - (across ? 0 : aside) - (most - 1) * BESIDE) / most;
  const width = across ? NODE.width : Math.min(NODE.width, Math.max(NARROW_NODE, beside));
  const { height } = NODE;
  const places = layers.map((layer, i) => {
    const row = rows[i] ?? 0;
    return across
      ? { x: PAD + layer * (width + GAP), y: PAD + row * (height + BESIDE + 8), width, height }
      : { x: PAD + row * (width + BESIDE), y: PAD + layer * (height + GAP_DOWN), width, height };
  });
  const right = Math.max(0, ...places.map((place) => place.x + place.width));
  const bottom = Math.max(0, ...places.map((place) => place.y + place.height));
  const box = { across, right, bottom };
  const labelled = across || right + aside + LANE_LABEL <= room;
  let lane = 0;
  const edges = handed.flatMap(({ from, to, names, near, alone }) => {
    const [a, b] = [places[from], places[to]];
    if (a === undefined || b === undefined) {
      return [];
    }
    const ends = { from: steps[from]?.name ?? "", to: steps[to]?.name ?? "" };
    const text = names.join(", ");
    return near
      ? [{ ...ends, ...direct(a, b, text, across, alone) }]
      : [{ ...ends, ...around(a, b, labelled ? text : "", box, lane++) }];
  });
  return {
    width: right + PAD + (across || far === 0 ? 0 : aside + (labelled ? LANE_LABEL : 0)),
    height: bottom + PAD + (across && far > 0 ? aside + PAD : 0),
    places,
    edges,
  };
}

type Line = Omit<Edge, "from" | "to">;

/** From one layer to the next; where several lead to a step (it is not `alone`), their names stand where they begin. */
function direct(a: Placed, b: Placed, text: string, across: boolean, alone: boolean): Line {
  if (across) {
    const [x1, y1, x2, y2] = [a.x + a.width, a.y + a.height / 2, b.x - 1, b.y + b.height / 2];
    const bend = GAP / 2;
    return {
      path: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2 - HEAD} ${y2}`,
      head: `M${x2 - HEAD} ${y2 - HEAD + 1}L${x2} ${y2}L${x2 - HEAD} ${y2 + HEAD - 1}Z`,
      label: { x: x2 - GAP / 2, y: (alone ? y2 : y1) - 5, text: cut(text, GAP - 10), anchor: "middle" },
    };
  }
  const [x1, y1, x2, y2] = [a.x + a.width / 2, a.y + a.height, b.x + b.width / 2, b.y - 1];
  const bend = GAP_DOWN / 2;
  return {
    path: `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2 - HEAD}`,
    head: `M${x2 - HEAD + 1} ${y2 - HEAD}L${x2} ${y2}L${x2 + HEAD - 1} ${y2 - HEAD}Z`,
    label: { x: (alone ? x2 : x1) + 8, y: alone ? y2 - 9 : y1 + 13, text: cut(text, a.width / 2), anchor: "start" },
  };
}

/** To a layer further on: beside all steps, in a lane of its own, so that it crosses none of those between. */
function around(
  a: Placed,
  b: Placed,
  text: string,
  { across, right, bottom }: { across: boolean; right: number; bottom: number },
  lane: number,
): Line {
  const shift = (lane + 1) * 9;
  if (across) {
    const [x1, y1, x2, y2] = [a.x + a.width - 24 - shift, a.y + a.height, b.x + 15 + shift, b.y + b.height + 1];
    const y = bottom + LANE_FIRST + lane * LANE;
    return {
      path: `M${x1} ${y1}V${y - 6}Q${x1} ${y} ${x1 + 6} ${y}H${x2 - 6}Q${x2} ${y} ${x2} ${y - 6}V${y2 + HEAD}`,
      head: `M${x2 - HEAD + 1} ${y2 + HEAD}L${x2} ${y2}L${x2 + HEAD - 1} ${y2 + HEAD}Z`,
      label: { x: (x1 + x2) / 2, y: y - 4, text: cut(text, x2 - x1 - 20), anchor: "middle" },
    };
  }
  const [x1, y1, x2, y2] = [a.x + a.width, a.y + a.height - 8 - lane * 4, b.x + b.width + 1, b.y + 12 + lane * 4];
  const x = right + LANE_FIRST - 4 + lane * LANE;
  return {
    path: `M${x1} ${y1}H${x - 6}Q${x} ${y1} ${x} ${y1 + 6}V${y2 - 6}Q${x} ${y2} ${x - 6} ${y2}H${x2 + HEAD}`,
    head: `M${x2 + HEAD} ${y2 - HEAD + 1}L${x2} ${y2}L${x2 + HEAD} ${y2 + HEAD - 1}Z`,
    label: { x: x + 5, y: (y1 + y2) / 2 + 4 + lane * 12, text: cut(text, LANE_LABEL), anchor: "start" },
  };
}
