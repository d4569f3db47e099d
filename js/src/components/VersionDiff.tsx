/** Two versions of a model side by side: only what is different. */
import { useState } from "preact/hooks";
import type { Client } from "../client";
import { trans } from "../i18n";
import type { ViewProps } from "../mount";
import type { Model, VersionDifference } from "../wire";
import { ErrorBanner } from "./ErrorBanner";
import { Loading, useCall } from "./kit";

function kindText(kind: string): string {
  switch (kind) {
    case "metric":
      return trans.__("Metrics");
    case "score":
      return trans.__("Scores on pinned data");
    case "param":
      return trans.__("Params");
    case "input":
      return trans.__("Inputs");
    case "output":
      return trans.__("Outputs");
    case "package":
      return trans.__("Packages");
    case "tag":
      return trans.__("Tags");
    default:
      return trans.__("Model");
  }
}

interface TableProps {
  client: Client;
  revision: number;
  name: string;
  a: number;
  b: number;
}

export function DiffTable({ client, revision, name, a, b }: TableProps) {
  const { answer, failure } = useCall(client, { op: "version_diff", name, a, b }, revision);
  if (failure !== null) {
    return <ErrorBanner failure={failure} />;
  }
  if (answer === null) {
    return <Loading label={trans.__("Comparing v%1 and v%2…", a, b)} />;
  }
  if (answer.differences.length === 0) {
    return <p class="nbt-note">{trans.__("Nothing that is recorded is different between v%1 and v%2.", a, b)}</p>;
  }
  const kinds = [...new Set(answer.differences.map((one) => one.kind))];
  const value = (one: VersionDifference, side: "a" | "b") => (
    <td class="nbt-value">{one[side] ?? <span class="nbt-meta">–</span>}</td>
  );
  return (
    // biome-ignore lint/a11y: what scrolls must be reachable without a mouse.
    <div class="nbt-scroll" tabIndex={0} role="group" aria-label={trans.__("v%1 and v%2 compared", a, b)}>
      <table class="nbt-diff-table" data-nbt="version-diff">
        <thead>
          <tr>
            <th scope="col">
              <span class="nbt-hidden">{trans.__("What")}</span>
            </th>
            <th scope="col">v{a}</th>
            <th scope="col">v{b}</th>
          </tr>
        </thead>
        {kinds.map((kind) => (
          <tbody key={kind}>
            <tr>
              <th scope="rowgroup" colSpan={3} class="nbt-diff-kind">
                {kindText(kind)}
              </th>
            </tr>
            {answer.differences
              .filter((one) => one.kind === kind)
              .map((one) => (
                <tr key={one.key}>
                  <th scope="row">{one.key}</th>
                  {value(one, "a")}
                  {value(one, "b")}
                </tr>
              ))}
          </tbody>
        ))}
      </table>
    </div>
  );
}

/** The version that a newer one is most likely compared with: the highest that stands in a stage, else the one before. */
export function usualPair(model: Model): [number, number] | null {
  const [newest, before] = model.versions;
  if (newest === undefined || before === undefined) {
    return null;
  }
  const ladder = model.stages.slice(1, -1).reverse();
  for (const stage of ladder) {
    const there = model.versions.find((one) => one.stage === stage && one.version !== newest.version);
    if (there !== undefined) {
      return [there.version, newest.version];
    }
  }
  return [before.version, newest.version];
}

export function VersionDiff({ client, state, model }: ViewProps & { model: Model }) {
  const usual = usualPair(model);
  const [picked, setPicked] = useState<[number, number] | null>(null);
  const pair = picked ?? usual;
  if (pair === null) {
    return <p class="nbt-note">{trans.__("There is only one version; two can be compared.")}</p>;
  }
  const choose = (side: 0 | 1) => (
    <label class="nbt-select">
      <span class="nbt-hidden">{side === 0 ? trans.__("First version") : trans.__("Second version")}</span>
      <select
        data-nbt={side === 0 ? "diff-a" : "diff-b"}
        value={String(pair[side])}
        onChange={(event) => {
          const chosen = Number(event.currentTarget.value);
          setPicked(side === 0 ? [chosen, pair[1]] : [pair[0], chosen]);
        }}
      >
        {model.versions.map(({ version, stage }) => (
          <option key={version} value={version}>
            {stage === "None" ? `v${version}` : `v${version} · ${stage}`}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <div class="nbt-section-body" data-nbt="versions-compared">
      <div class="nbt-version-line">
        {choose(0)} <span aria-hidden="true">→</span> {choose(1)}
      </div>
      <DiffTable client={client} revision={state.revision.value} name={model.name} a={pair[0]} b={pair[1]} />
    </div>
  );
}
