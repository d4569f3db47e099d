/** One metric over steps, small: drawn anew several times a second without a flicker. */
import { formatAlone, toNumber } from "../format";
import { trans } from "../i18n";
import type { LiveCurve } from "../live";

const WIDTH = 200;
const HEIGHT = 48;
const PAD = 3;

/** The curve as an SVG path, broken where a value is not finite; "" for fewer than two finite values. */
export function curvePath(step: readonly number[], value: readonly (number | null)[]): string {
  const finite = value.filter((one): one is number => one !== null && Number.isFinite(one));
  if (finite.length < 2) {
    return "";
  }
  const low = Math.min(...finite);
  const span = Math.max(...finite) - low || 1;
  const first = Math.min(...step);
  const range = Math.max(...step) - first || 1;
  let pen = "M";
  let path = "";
  value.forEach((one, i) => {
    if (one === null || !Number.isFinite(one)) {
      pen = "M";
      return;
    }
    const x = (WIDTH * ((step[i] ?? first) - first)) / range;
    const y = HEIGHT - PAD - ((HEIGHT - 2 * PAD) * (one - low)) / span;
    path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = "L";
  });
  return path;
}

export function SmallCurve({ curve }: { curve: LiveCurve }) {
  const values = curve.value.map(toNumber);
  const path = curvePath(curve.step, values);
  if (path === "") {
    return null;
  }
  const finite = values.filter((one): one is number => one !== null && Number.isFinite(one));
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const last = finite[finite.length - 1] ?? Number.NaN;
  const steps = trans.__("steps %1 to %2", Math.min(...curve.step), Math.max(...curve.step));
  const said = trans.__(
    "%1 by step: lowest %2, highest %3, last %4",
    curve.key,
    ...[low, high, last].map((n) => formatAlone(n)),
  );
  return (
    <figure class="nbt-small-curve" data-nbt="curve" data-key={curve.key} data-points={curve.step.length}>
      <figcaption>
        <span class="nbt-small-key" title={curve.key}>
          {curve.key}
        </span>
        <b class="nbt-value">{formatAlone(last)}</b>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={said}>
        <path d={path} fill="none" vector-effect="non-scaling-stroke" />
      </svg>
      <div class="nbt-small-scale" aria-hidden="true">
        <span>{steps}</span>
        <span title={trans.__("lowest and highest value")}>
          {formatAlone(low)} – {formatAlone(high)}
        </span>
      </div>
    </figure>
  );
}
