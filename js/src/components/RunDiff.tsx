/** "Why is this run different?": what most likely matters first; two runs as a list with code, more as a table. */
import { formatDelta, formatNumber, toNumber } from "../format";
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import type { RunDiff as Diff, Difference, MetricDifference } from "../wire";
import { ErrorBanner } from "./ErrorBanner";
import { Loading, useCall } from "./kit";

function kindName(kind: Difference["kind"]): string {
  switch (kind) {
    case "param":
      return trans.__("Param");
    case "cell":
      return trans.__("Tracked cell");
    case "upstream":
      return trans.__("Cell before it");
    case "data":
      return trans.__("Data");
    case "seed":
      return trans.__("Seed");
    case "environment":
      return trans.__("Environment");
    case "git":
      return trans.__("Git");
  }
}

/** How much a difference weighs, in words: never the length of a bar alone. */
function weightName(weight: number): string {
  if (weight >= 0.7) {
    return trans.__("likely");
  }
  return weight >= 0.35 ? trans.__("possible") : trans.__("unlikely");
}

function lineKind(line: string): "add" | "cut" | "place" | "same" {
  if (line.startsWith("@@")) {
    return "place";
  }
  if (line.startsWith("+") && !line.startsWith("+++")) {
    return "add";
  }
  return line.startsWith("-") && !line.startsWith("---") ? "cut" : "same";
}

/** A unified diff; each line keeps its sign, so that colour is not all there is. */
export function Patch({ patch, label }: { patch: string; label: string }) {
  const lines = patch.split("\n").filter((line) => !/^(\+\+\+|---) /.test(line));
  return (
    // biome-ignore lint/a11y: what scrolls must be reachable without a mouse.
    <pre class="nbt-code nbt-patch" data-nbt="patch" tabIndex={0} role="group" aria-label={label}>
      {lines.map((line, i) => (
        <span key={i} class={`nbt-line-${lineKind(line)}`}>
          {`${line}\n`}
        </span>
      ))}
    </pre>
  );
}

function Metrics({ diff }: { diff: Diff }) {
  if (diff.metrics.length === 0) {
    return null;
  }
  const said = (value: number | string | null): string => {
    const number = toNumber(value);
    return number === null ? String(value ?? "–") : formatNumber(number);
  };
  const change = (metric: MetricDifference, at: number) => {
    const delta = at === 0 ? null : formatDelta(metric.values[at], metric.values[0], metric.better);
    return (
      delta && (
        <span class={`nbt-delta nbt-${delta.tone}`}>
          {" "}
          {delta.text}
          {delta.tone === "better" && <span class="nbt-hidden"> {trans.__("better")}</span>}
          {delta.tone === "worse" && <span class="nbt-hidden"> {trans.__("worse")}</span>}
        </span>
      )
    );
  };
  return (
    // biome-ignore lint/a11y: what scrolls must be reachable without a mouse.
    <div class="nbt-data-frame" tabIndex={0} role="group" aria-label={trans.__("Metrics")}>
      <table class="nbt-data nbt-wide" data-nbt="diff-metrics">
        <thead>
          <tr>
            <th scope="col">{trans.__("metric")}</th>
            {diff.run_names.map((name, i) => (
              <th key={diff.run_ids[i]} scope="col" class="nbt-num-cell">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {diff.metrics.map((metric) => (
            <tr key={metric.key}>
              <th scope="row">{metric.key}</th>
              {metric.values.map((value, i) => (
                <td key={diff.run_ids[i]} class="nbt-num-cell">
                  {said(value)}
                  {change(metric, i)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function One({ difference }: { difference: Difference }) {
  const patch = difference.patches.find((one) => one !== "") ?? "";
  const percent = Math.round(difference.weight * 100);
  return (
    <li class="nbt-difference" data-nbt="difference" data-kind={difference.kind} data-key={difference.key}>
      <div class="nbt-difference-head">
        <span class="nbt-weight" title={trans.__("weight %1 %", percent)}>
          <span class="nbt-weight-bar" aria-hidden="true">
            <span style={{ width: `${Math.max(4, percent)}%` }} />
          </span>
          {weightName(difference.weight)}
        </span>
        <span class="nbt-chip">{kindName(difference.kind)}</span>
        <span class="nbt-difference-text">{difference.text}</span>
      </div>
      {patch !== "" && <Patch patch={patch} label={trans.__("What changed in %1", difference.key)} />}
    </li>
  );
}

/** More than two runs: a row a difference, a column a run. */
function Many({ diff }: { diff: Diff }) {
  return (
    // biome-ignore lint/a11y: what scrolls must be reachable without a mouse.
    <div class="nbt-data-frame" tabIndex={0} role="group" aria-label={trans.__("Differences")}>
      <table class="nbt-data nbt-wide" data-nbt="diff-table">
        <thead>
          <tr>
            <th scope="col">{trans.__("matters")}</th>
            <th scope="col">{trans.__("what")}</th>
            {diff.run_names.map((name, i) => (
              <th key={diff.run_ids[i]} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {diff.differences.map((one) => (
            <tr key={`${one.kind} ${one.key}`} data-nbt="difference" data-kind={one.kind} data-key={one.key}>
              <td>{weightName(one.weight)}</td>
              <th scope="row" title={one.text}>
                {one.kind === "cell" ? kindName(one.kind) : `${kindName(one.kind)} ${one.key}`}
              </th>
              {diff.run_ids.map((id, i) => (
                <td
                  key={id}
                  title={one.values[i] ?? ""}
                  class={i > 0 && one.values[i] !== one.values[0] ? "nbt-differs" : ""}
                >
                  {(one.patches[i] ?? "") !== "" ? trans.__("other code") : (one.values[i] ?? "–").split("\n")[0]}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export interface DiffProps {
  /** The first is what the others are compared with. */
  run_ids: string[];
}

export function RunDiff({ client, state, run_ids }: ViewProps & DiffProps) {
  const request = run_ids.length > 1 ? ({ op: "diff", run_ids } as const) : null;
  const { answer, failure } = useCall(client, request && { ...request, run_ids: [...run_ids] }, state.revision.value);
  if (request === null) {
    return (
      <p class="nbt-note">
        {trans.__("Mark two runs or more to see in what they differ: click the shape before a name, or press Space.")}
      </p>
    );
  }
  if (failure !== null) {
    return <ErrorBanner failure={failure} retry={state.refresh} />;
  }
  if (answer === null) {
    return <Loading label={trans.__("Comparing…")} />;
  }
  return (
    <section class="nbt-diff" data-nbt="run-diff" aria-label={trans.__("Differences")}>
      <p class="nbt-verdict" data-nbt="verdict">
        {answer.verdict}
      </p>
      <Metrics diff={answer} />
      {answer.run_ids.length === 2 ? (
        <ol class="nbt-differences">
          {answer.differences.map((one) => (
            <One key={`${one.kind} ${one.key}`} difference={one} />
          ))}
        </ol>
      ) : (
        answer.differences.length > 0 && <Many diff={answer} />
      )}
      {answer.same.length > 0 && <p class="nbt-note">{trans.__("The same in all: %1.", answer.same.join(", "))}</p>}
      {answer.unknown.length > 0 && (
        <p class="nbt-note">{trans.__("Could not be compared: %1.", answer.unknown.join("; "))}</p>
      )}
    </section>
  );
}

export const mount = mounter<DiffProps>(RunDiff, { run_ids: [] });
