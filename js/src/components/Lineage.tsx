/** What a run is made of: the cells that made it, the data they read, the environment they ran in. */
import { formatBytes, formatDuration } from "../format";
import { trans } from "../i18n";
import type { RunRecord, SliceCell } from "../record";
import type { RunDetail } from "../wire";
import { RowCurve } from "./Curves";
import { Code } from "./kit";
import { PairRows, Section } from "./Section";

function Cell({ cell }: { cell: SliceCell }) {
  const label = cell.execution_count === null ? trans.__("cell") : trans.__("cell [%1]", cell.execution_count);
  const names = (title: string, list: readonly string[]): string =>
    list.length === 0 ? "" : `${title} ${list.slice(0, 12).join(", ")}`;
  const flow = [names(trans.__("reads"), cell.reads), names(trans.__("makes"), cell.writes)].filter(
    (one) => one !== "",
  );
  return (
    <li class={`nbt-slice-cell${cell.own ? " nbt-own" : ""}`} data-nbt="slice-cell">
      <div class="nbt-slice-head">
        <b>{label}</b>
        {cell.own && <span class="nbt-chip">{trans.__("the tracked cell")}</span>}
        <span class="nbt-meta">{flow.join(" · ")}</span>
      </div>
      <Code label={label} text={cell.source} />
    </li>
  );
}

function Cells({ record }: { record: RunRecord }) {
  const cells = record.cells;
  if (cells.length === 0) {
    return record.source === "" ? null : (
      <Section title={trans.__("The cell")} name="cells">
        <Code label={trans.__("Source of the cell")} text={record.source} name="source" />
      </Section>
    );
  }
  return (
    <Section title={trans.__("The cells that made it")} name="cells" count={cells.length}>
      <ol class="nbt-slice">
        {cells.map((cell, i) => (
          <Cell key={i} cell={cell} />
        ))}
      </ol>
      {(!record.complete || record.missing.length > 0) && (
        <p class="nbt-note nbt-warned">
          {trans.__(
            "Not everything could be followed: %1",
            record.missing.join("; ") || trans.__("the slice is not complete"),
          )}
        </p>
      )}
    </Section>
  );
}

function Data({ run, record }: { run: RunDetail; record: RunRecord }) {
  if (record.data.length === 0 && run.inputs.length === 0) {
    return null;
  }
  return (
    <Section title={trans.__("Data read")} name="data" count={record.data.length + run.inputs.length}>
      {/* biome-ignore lint/a11y: what scrolls must be reachable without a mouse. */}
      <div class="nbt-data-frame" tabIndex={0} role="group" aria-label={trans.__("Data read")}>
        <table class="nbt-data nbt-wide">
          <thead>
            <tr>
              <th scope="col">{trans.__("name")}</th>
              <th scope="col">{trans.__("what")}</th>
              <th scope="col">{trans.__("shape")}</th>
              <th scope="col">{trans.__("size")}</th>
              <th scope="col">{trans.__("fingerprint")}</th>
            </tr>
          </thead>
          <tbody>
            {record.data.map((one) => (
              <tr key={`${one.name} ${one.path}`} data-nbt="data-read">
                <th scope="row">{one.name || one.path}</th>
                <td title={one.path}>{one.kind}</td>
                <td>{one.shape}</td>
                <td>{one.size_bytes === null ? "" : formatBytes(one.size_bytes)}</td>
                <td title={one.digest}>
                  <code>{one.digest.slice(0, 12)}</code>
                  {one.sampled && ` ${trans.__("of a sample")}`}
                </td>
              </tr>
            ))}
            {run.inputs.map((one) => (
              <tr key={`${one.name} ${one.context}`} data-nbt="data-read">
                <th scope="row">{one.name}</th>
                <td>{one.context}</td>
                <td />
                <td />
                <td title={one.digest}>
                  <code>{one.digest.slice(0, 12)}</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  );
}

function usageText(key: string, value: unknown): string | null {
  if (typeof value !== "number") {
    return null;
  }
  if (key.endsWith("_s")) {
    return formatDuration(value * 1000);
  }
  return key.endsWith("_bytes") ? formatBytes(value) : String(value);
}

/** What the processor was at while the cell ran: 100 is one core. */
function Load({ percents }: { percents: readonly number[] }) {
  return (
    <p class="nbt-strip-curve" data-nbt="load">
      <span class="nbt-meta">{trans.__("processor")}</span> <RowCurve points={percents} label={trans.__("processor")} />{" "}
      <span class="nbt-meta">{trans.__("at most %1 %", Math.round(Math.max(...percents)))}</span>
    </p>
  );
}

/** Each GPU at its highest, in words. */
function gpuFacts(value: unknown): [string, string][] {
  return (Array.isArray(value) ? value : []).map(
    (gpu: { name?: unknown; memory_bytes?: unknown; percent?: unknown }) => [
      `GPU ${String(gpu?.name ?? "")}`,
      [
        typeof gpu?.memory_bytes === "number" ? formatBytes(gpu.memory_bytes) : "",
        typeof gpu?.percent === "number" ? `${gpu.percent} %` : "",
      ]
        .filter((part) => part !== "")
        .join(", "),
    ],
  );
}

function Surroundings({ record }: { record: RunRecord }) {
  const facts: [string, string][] = [];
  if (record.python !== "") {
    facts.push(["Python", record.python]);
  }
  if (record.platform !== "") {
    facts.push([trans.__("platform"), record.platform]);
  }
  facts.push(
    ...record.git
      .filter(([key, value]) => key !== "diff" && value !== "")
      .map(([key, value]) => [`git ${key}`, value] as [string, string]),
  );
  facts.push(...record.seeds.map(([key, value]) => [trans.__("seed of %1", key), value] as [string, string]));
  const usage = new Map(record.usage);
  const load = usage.get("cpu_percent");
  const percents = Array.isArray(load) ? load.filter((one): one is number => typeof one === "number") : [];
  for (const [key, value] of record.usage) {
    const text = usageText(key, value);
    if (text !== null) {
      facts.push([key.replace(/_(s|bytes)$/, "").replace(/_/g, " "), text]);
    }
  }
  facts.push(...gpuFacts(usage.get("gpu")));
  const diff = record.git.find(([key]) => key === "diff")?.[1] ?? "";
  if (facts.length === 0 && record.packages.length === 0) {
    return null;
  }
  return (
    <Section title={trans.__("Environment")} name="environment">
      {facts.length > 0 && <PairRows title={trans.__("Environment")} pairs={facts} name="fact" />}
      {percents.length > 1 && <Load percents={percents} />}
      {record.packages.length > 0 && (
        <details class="nbt-more">
          <summary>{trans._n("%1 package", "%1 packages", record.packages.length)}</summary>
          <PairRows title={trans.__("Packages")} pairs={record.packages} name="package" />
        </details>
      )}
      {diff !== "" && (
        <details class="nbt-more">
          <summary>{trans.__("Changes that were not committed")}</summary>
          <Code label={trans.__("Changes that were not committed")} text={diff} />
        </details>
      )}
    </Section>
  );
}

export function Lineage({ run, record }: { run: RunDetail; record: RunRecord }) {
  const lists: [string, string[]][] = [
    [trans.__("Captured"), record.captured],
    [trans.__("Not captured"), record.not_captured],
  ];
  return (
    <>
      <Cells record={record} />
      <Data run={run} record={record} />
      <Surroundings record={record} />
      {(record.captured.length > 0 || record.not_captured.length > 0) && (
        <p class="nbt-note" data-nbt="captured">
          {lists
            .filter(([, list]) => list.length > 0)
            .map(([title, list]) => `${title}: ${list.join(", ")}.`)
            .join(" ")}
        </p>
      )}
    </>
  );
}
