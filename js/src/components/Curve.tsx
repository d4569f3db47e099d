/** One metric over steps, drawn by uPlot in the colours of the page. */
import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import { colorOf, formatNumber, shapeOf, toNumber } from "../format";
import { trans } from "../i18n";
import type { Drawn } from "./MetricChart";

const HEIGHT_PX = 190;

/** The curves on the union of their steps; a step that a run does not have is left open (undefined), not broken (null). */
export function align(drawn: readonly Drawn[]): uPlot.AlignedData {
  const steps = [...new Set(drawn.flatMap((one) => one.series.step))].sort((a, b) => a - b);
  const place = new Map(steps.map((step, i) => [step, i]));
  const curves = drawn.map((one) => {
    const values: (number | null | undefined)[] = new Array(steps.length).fill(undefined);
    one.series.step.forEach((step, i) => {
      const value = toNumber(one.series.value[i]);
      const index = place.get(step);
      if (index !== undefined) {
        values[index] = value !== null && Number.isFinite(value) ? value : null;
      }
    });
    return values;
  });
  return [steps, ...curves];
}

/** The shape of each run at the end of its curve, so that curves are told apart without colour. */
function endMarks(drawn: readonly Drawn[]): (plot: uPlot) => void {
  return (plot) => {
    const ratio = uPlot.pxRatio;
    drawn.forEach((one, i) => {
      const values = plot.data[i + 1];
      const steps = plot.data[0];
      let last = (values?.length ?? 0) - 1;
      while (last >= 0 && (values?.[last] === null || values?.[last] === undefined)) {
        last -= 1;
      }
      const x = steps[last];
      const y = values?.[last];
      if (x === undefined || y === null || y === undefined) {
        return;
      }
      const { ctx } = plot;
      ctx.save();
      ctx.translate(plot.valToPos(x, "x", true) - 5 * ratio, plot.valToPos(y, "y", true) - 5 * ratio);
      ctx.scale((10 / 12) * ratio, (10 / 12) * ratio);
      ctx.fillStyle = colorOf(one.color);
      ctx.fill(new Path2D(shapeOf(one.color)));
      ctx.restore();
    });
  };
}

function options(host: HTMLElement, drawn: readonly Drawn[], current: string | null): uPlot.Options {
  const style = getComputedStyle(host);
  const text = style.getPropertyValue("--nbt-muted").trim() || style.color;
  const grid = style.getPropertyValue("--nbt-line").trim() || "rgba(128,128,128,0.2)";
  const font = `11px ${style.fontFamily}`;
  const axis: uPlot.Axis = {
    stroke: text,
    font,
    grid: { stroke: grid, width: 1 },
    ticks: { stroke: grid, width: 1, size: 4 },
  };
  return {
    width: Math.max(160, host.clientWidth),
    height: HEIGHT_PX,
    padding: [8, 10, 0, 0],
    legend: { show: false },
    cursor: { points: { size: 6 }, drag: { x: true, y: false }, y: false },
    scales: { x: { time: false } },
    axes: [
      { ...axis, size: 26, space: 60 },
      {
        ...axis,
        size: 52,
        space: 34,
        values: (_plot, splits) => splits.map((value) => formatNumber(Number(value.toPrecision(6)))),
      },
    ],
    series: [
      {},
      ...drawn.map((one) => ({
        label: one.name,
        stroke: colorOf(one.color),
        width: one.run_id === current ? 2.5 : 1.5,
        alpha:
          current === null || one.run_id === current || !drawn.some((other) => other.run_id === current) ? 1 : 0.45,
        spanGaps: false,
        points: { show: one.series.step.length < 2 },
      })),
    ],
    hooks: { draw: [endMarks(drawn)] },
  };
}

/** What stands at the cursor: the step and each run's value there. */
function readout(plot: uPlot, drawn: readonly Drawn[], box: HTMLElement): void {
  const index = plot.cursor.idx;
  if (index === null || index === undefined || (plot.cursor.left ?? -1) < 0) {
    box.textContent = "";
    return;
  }
  const lines = drawn.flatMap((one, i) => {
    const value = plot.data[i + 1]?.[index];
    return value === null || value === undefined ? [] : [`${one.name} ${formatNumber(Number(value.toPrecision(5)))}`];
  });
  box.textContent = `${trans.__("step %1", plot.data[0][index] ?? "")}  ·  ${lines.slice(0, 6).join("  ·  ")}`;
}

export function Curve({ title, drawn, current }: { title: string; drawn: Drawn[]; current: string | null }) {
  const host = useRef<HTMLDivElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const data = useMemo(() => align(drawn), [drawn]);
  useEffect(() => {
    const element = host.current;
    const text = box.current;
    if (element === null || text === null) {
      return;
    }
    let plot: uPlot | null = null;
    const draw = (): void => {
      plot?.destroy();
      const made = options(element, drawn, current);
      plot = new uPlot(
        { ...made, hooks: { ...made.hooks, setCursor: [(now: uPlot) => readout(now, drawn, text)] } },
        data,
        element,
      );
    };
    draw();
    const resized = new ResizeObserver(() =>
      plot?.setSize({ width: Math.max(160, element.clientWidth), height: HEIGHT_PX }),
    );
    resized.observe(element);
    // JupyterLab changes its theme by an attribute on <body>, other hosts by a class on <html> or <body>.
    const themed = new MutationObserver(draw);
    const watched = {
      attributes: true,
      attributeFilter: ["class", "data-jp-theme-light", "data-jp-theme-name", "data-vscode-theme-kind", "theme"],
    };
    themed.observe(document.body, watched);
    themed.observe(document.documentElement, watched);
    return () => {
      resized.disconnect();
      themed.disconnect();
      plot?.destroy();
    };
  }, [data, drawn, current]);
  return (
    <div class="nbt-curve" aria-hidden="true">
      <div ref={host} data-title={title} />
      <div class="nbt-readout" ref={box} />
    </div>
  );
}
