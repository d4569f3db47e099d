/** How the curves are looked at: along what, on which scales, how smooth, and by which groups. */
import { useRef } from "preact/hooks";
import type { CurveView } from "../curves";
import { trans } from "../i18n";
import { columnId } from "../rows";
import type { Runs } from "../wire";
import { Button } from "./kit";

const MOST_GROUPS = 12;

interface Choice {
  value: string;
  label: string;
}

export function Choose(props: {
  name: string;
  label: string;
  value: string;
  choices: readonly Choice[];
  change: (value: string) => void;
}) {
  return (
    <label class="nbt-select">
      <span>{props.label}</span>
      <select data-nbt={props.name} value={props.value} onChange={(event) => props.change(event.currentTarget.value)}>
        {props.choices.map((choice) => (
          <option key={choice.value} value={choice.value}>
            {choice.label}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Params and tags that make a few groups of the runs. */
const kindsOf = new WeakMap<readonly unknown[], number>();

/** How many different values a column has; counted once as long as it is the same. */
function countKinds(values: readonly unknown[]): number {
  const known = kindsOf.get(values) ?? new Set(values).size;
  kindsOf.set(values, known);
  return known;
}

function groupings(runs: Runs): Choice[] {
  return runs.columns.flatMap((column) => {
    const fits = (column.kind === "param" || column.kind === "tag") && !column.key.startsWith("nbtrack.");
    const kinds = fits && column.varies ? countKinds(column.values) : 0;
    return kinds > 1 && kinds <= MOST_GROUPS ? [{ value: columnId(column), label: column.key }] : [];
  });
}

interface Props {
  runs: Runs;
  view: CurveView;
  change: (view: CurveView) => void;
}

export function CurveTools({ runs, view, change }: Props) {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const set = (part: Partial<CurveView>): void => change({ ...view, ...part });
  const groups = groupings(runs);
  return (
    <fieldset class="nbt-tools nbt-curve-tools" aria-label={trans.__("How curves are drawn")}>
      <Choose
        name="axis"
        label={trans.__("Along")}
        value={view.axis}
        choices={[
          { value: "step", label: trans.__("steps") },
          { value: "time", label: trans.__("time of day") },
          { value: "relative", label: trans.__("time since start") },
        ]}
        change={(axis) => set({ axis: axis as CurveView["axis"], logX: axis === "step" && view.logX })}
      />
      <Button
        name="log-x"
        kind="quiet"
        pressed={view.logX}
        disabled={view.axis === "time"}
        label={trans.__("log x")}
        onClick={() => set({ logX: !view.logX })}
      />
      <Button
        name="log-y"
        kind="quiet"
        pressed={view.logY}
        label={trans.__("log y")}
        onClick={() => set({ logY: !view.logY })}
      />
      {view.group === "" && (
        <label class="nbt-select">
          <span>{trans.__("Smooth")}</span>
          <input
            type="range"
            data-nbt="smooth"
            min="0"
            max="0.99"
            step="0.01"
            value={view.smooth}
            title={trans.__("The raw values stay visible behind the smoothed curve")}
            onInput={(event) => {
              const smooth = Number(event.currentTarget.value);
              clearTimeout(timer.current ?? 0);
              timer.current = setTimeout(() => set({ smooth }), 120);
            }}
          />
        </label>
      )}
      {groups.length > 0 && (
        <Choose
          name="group"
          label={trans.__("Groups")}
          value={view.group}
          choices={[{ value: "", label: trans.__("each run") }, ...groups]}
          change={(group) => set({ group, smooth: 0 })}
        />
      )}
      {view.group !== "" && (
        <Choose
          name="spread"
          label={trans.__("Band")}
          value={view.spread}
          choices={[
            { value: "range", label: trans.__("lowest to highest") },
            { value: "std", label: trans.__("± standard deviation") },
          ]}
          change={(spread) => set({ spread: spread as CurveView["spread"] })}
        />
      )}
    </fieldset>
  );
}
