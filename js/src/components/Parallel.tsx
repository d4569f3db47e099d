/** Parallel coordinates: a brush on an axis, by mouse or by typing, filters the table. */
import { useEffect, useRef, useState } from "preact/hooks";
import { type BrushAxis, brushQuery, type Range } from "../brush";
import { toNumber } from "../format";
import { trans } from "../i18n";
import type { ViewProps } from "../mount";
import type { Plotly, PlotlyElement } from "../plotly";
import type { Figure as FigureData } from "../wire";
import { Figure } from "./Figure";
import { Button } from "./kit";

interface Meta {
  run_ids?: string[];
  axes?: BrushAxis[];
}

const metaOf = (figure: FigureData): Meta => (figure.spec.layout as { meta?: Meta } | undefined)?.meta ?? {};

/** The ranges that are brushed on the axes of the drawn element: plotly gives one pair, or several. */
export function rangesOf(constraint: unknown): Range[] {
  if (!Array.isArray(constraint) || constraint.length === 0) {
    return [];
  }
  const pairs = Array.isArray(constraint[0]) ? (constraint as unknown[]) : [constraint];
  return pairs.flatMap((pair) => {
    const [from, to] = pair as [unknown, unknown];
    return typeof from === "number" && typeof to === "number" ? [[from, to] as const] : [];
  });
}

interface Dimension {
  constraintrange?: unknown;
}

/** The same brushes as numbers to type: for those who have no mouse, or want an exact border. */
function BrushFields(props: {
  axes: BrushAxis[];
  ranges: Range[][];
  change: (axis: number, ranges: Range[]) => void;
  clear: () => void;
}) {
  const { axes, ranges } = props;
  const text = (axis: BrushAxis, value: number | undefined): string =>
    value === undefined || !Number.isFinite(value)
      ? ""
      : String(Number((axis.log ? 10 ** value : value).toPrecision(4)));
  const edit = (at: number, side: 0 | 1, typed: string): void => {
    const axis = axes[at];
    const number = typed.trim() === "" ? null : toNumber(typed);
    if (axis === undefined) {
      return;
    }
    const placed =
      number === null ? (side === 0 ? -1e300 : 1e300) : axis.log ? Math.log10(Math.max(number, 1e-300)) : number;
    const [low, high] = ranges[at]?.[0] ?? [-1e300, 1e300];
    const next: Range = side === 0 ? [placed, high] : [low, placed];
    props.change(at, next[0] <= -1e300 && next[1] >= 1e300 ? [] : [next]);
  };
  return (
    <details class="nbt-more" data-nbt="brush-fields">
      <summary>{trans.__("Brush by typing")}</summary>
      <div class="nbt-brushes">
        {axes.map((axis, at) =>
          axis.categories.length > 0 ? (
            <label key={axis.id} class="nbt-brush">
              <span title={axis.label}>{axis.label}</span>
              <select
                class="nbt-input"
                value={String(
                  ranges[at]?.[0] === undefined ? "" : Math.round((ranges[at][0][0] + ranges[at][0][1]) / 2),
                )}
                onChange={(event) => {
                  const place = toNumber(event.currentTarget.value);
                  props.change(at, place === null ? [] : [[place - 0.4, place + 0.4]]);
                }}
              >
                <option value="">{trans.__("any")}</option>
                {axis.categories.map((one, i) => (
                  <option key={one} value={String(i)}>
                    {one}
                  </option>
                ))}
              </select>
            </label>
          ) : (
            <fieldset key={axis.id} class="nbt-brush" aria-label={axis.label}>
              <span title={axis.label}>{axis.label}</span>
              {([0, 1] as const).map((side) => (
                <input
                  key={side}
                  class="nbt-input"
                  inputMode="decimal"
                  data-axis={axis.id}
                  placeholder={side === 0 ? trans.__("from") : trans.__("to")}
                  aria-label={side === 0 ? trans.__("%1 from", axis.label) : trans.__("%1 to", axis.label)}
                  value={text(
                    axis,
                    Math.abs(ranges[at]?.[0]?.[side] ?? 1e300) >= 1e300 ? undefined : ranges[at]?.[0]?.[side],
                  )}
                  onChange={(event) => edit(at, side, event.currentTarget.value)}
                />
              ))}
            </fieldset>
          ),
        )}
      </div>
      <Button name="clear-brushes" kind="quiet" label={trans.__("Clear the brushes")} onClick={props.clear} />
    </details>
  );
}

/** Parallel coordinates whose brushes filter the table. */
export function Parallel({ client, state, figure }: ViewProps & { figure: FigureData }) {
  const axes = metaOf(figure).axes ?? [];
  const [ranges, setRanges] = useState<Range[][]>([]);
  const drawn = useRef<{ element: PlotlyElement; plotly: Plotly } | null>(null);
  const shown = useRef(axes);
  shown.current = axes;
  const keep = (next: Range[][]): void => {
    setRanges(next);
    state.brush.value = brushQuery(shown.current.map((axis, i) => ({ axis, ranges: next[i] ?? [] })));
  };
  const change = (at: number, next: Range[]): void => {
    const all = axes.map((_, i) => (i === at ? next : (ranges[i] ?? [])));
    keep(all);
    const bounded = next.map((range) => [Math.max(range[0], -1e300), Math.min(range[1], 1e300)]);
    void drawn.current?.plotly.restyle(
      drawn.current.element,
      { [`dimensions[${at}].constraintrange`]: [bounded[0] ?? null] },
      [0],
    );
  };
  useEffect(() => {
    if (state.brush.value === "" && ranges.some((one) => one.length > 0)) {
      // cleared beside the filter: the picture follows
      setRanges([]);
      const none = Object.fromEntries(axes.map((_, i) => [`dimensions[${i}].constraintrange`, null]));
      void drawn.current?.plotly.restyle(drawn.current.element, none, [0]);
    }
  }, [state.brush.value]);
  return (
    <>
      <Figure
        client={client}
        state={state}
        figure={figure}
        name="parallel"
        drawn={(element, plotly) => {
          drawn.current = { element, plotly };
          element.on?.("plotly_restyle", () => {
            const dimensions = (element.data?.[0]?.dimensions ?? []) as Dimension[];
            keep(dimensions.map((one) => rangesOf(one.constraintrange)));
          });
        }}
      />
      {axes.length > 0 && (
        <BrushFields
          axes={axes}
          ranges={ranges}
          change={change}
          clear={() => {
            state.brush.value = "";
          }}
        />
      )}
    </>
  );
}
