/** A page for people who have no Jupyter: which model, how good, since when; and the runs behind it. */
import type { Saved } from "../clients/embedded";
import { formatNumber, formatTime, toNumber, type Value } from "../format";
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import { bestText, directions, qualityText, type Standing, standings, standingText } from "../summary";
import type { Model } from "../wire";
import { MetricChart } from "./MetricChart";
import { RunDetail } from "./RunDetail";
import { RunTable } from "./RunTable";

function Verdict({ standing }: { standing: Standing }) {
  return (
    <li class="nbt-verdict-item" data-nbt="standing">
      <p class="nbt-verdict">{standingText(standing)}</p>
      {standing.quality.length > 0 && <p>{standing.quality.map(qualityText).join(" ")}</p>}
      {standing.note !== "" && <p class="nbt-quote">{standing.note}</p>}
      {standing.version.description !== "" && <p class="nbt-lines">{standing.version.description}</p>}
    </li>
  );
}

const written = (value: Value): string => {
  const number = toNumber(value);
  return number === null ? "–" : formatNumber(number);
};

function ModelTable({ model }: { model: Model }) {
  const keys = [...new Set(model.versions.flatMap((version) => Object.keys(version.metrics)))].slice(0, 6);
  return (
    // biome-ignore lint/a11y: what scrolls must be reachable without a mouse.
    <div class="nbt-data-frame" tabIndex={0} role="group" aria-label={model.name}>
      <table class="nbt-data nbt-wide" data-nbt="versions">
        <caption class="nbt-hidden">{trans.__("Versions of %1", model.name)}</caption>
        <thead>
          <tr>
            <th scope="col">{trans.__("version")}</th>
            <th scope="col">{trans.__("stands in")}</th>
            {keys.map((key) => (
              <th key={key} scope="col" class="nbt-num-cell">
                {key}
              </th>
            ))}
            <th scope="col">{trans.__("made")}</th>
            <th scope="col">{trans.__("by")}</th>
          </tr>
        </thead>
        <tbody>
          {model.versions.map((version) => (
            <tr key={version.version}>
              <th scope="row">{version.version}</th>
              <td>{version.stage === "None" ? "–" : version.stage}</td>
              {keys.map((key) => (
                <td key={key} class="nbt-num-cell">
                  {written(version.metrics[key])}
                </td>
              ))}
              <td>{formatTime(version.created_at)}</td>
              <td>{version.user}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function InShort({ data }: { data: Saved }) {
  const known = directions(data.runs);
  const all = data.models.models.flatMap((model) =>
    standings(
      model,
      data.models.stages,
      data.histories.find((one) => one.name === model.name),
      known,
    ),
  );
  const waiting = data.models.models.filter((model) => !all.some((one) => one.model === model));
  const best = bestText(data.runs);
  return (
    <section class="nbt-section" aria-label={trans.__("In short")} data-nbt="in-short">
      <h2>{trans.__("In short")}</h2>
      <ul class="nbt-verdicts">
        {all.map((standing) => (
          <Verdict key={`${standing.model.name} ${standing.version.version}`} standing={standing} />
        ))}
        {waiting.map((model) => (
          <li key={model.name} class="nbt-verdict-item">
            <p class="nbt-verdict">
              {trans._n(
                "%2 has %1 version; none is in use.",
                "%2 has %1 versions; none is in use.",
                model.versions.length,
                model.name,
              )}
            </p>
          </li>
        ))}
        {best !== "" && (
          <li class="nbt-verdict-item" data-nbt="best-run">
            <p>{best}</p>
          </li>
        )}
        {data.runs.run_ids.length === 0 && <li>{trans.__("There are no runs yet.")}</li>}
      </ul>
    </section>
  );
}

export interface ReportProps {
  data: Saved | null;
}

export function Report({ client, state, data }: ViewProps & ReportProps) {
  if (data === null) {
    return null;
  }
  const current = state.current.value;
  const opened = current !== null && data.details.some((one) => one.run_id === current) ? current : null;
  const beyond = data.runs.total - data.runs.run_ids.length;
  return (
    <div class="nbt-report" data-nbt="report">
      <header class="nbt-report-head">
        <h1>{data.title}</h1>
        <p class="nbt-meta">
          {data.user === ""
            ? trans.__("As of %1.", formatTime(data.saved_at))
            : trans.__("As of %1, saved by %2.", formatTime(data.saved_at), data.user)}
        </p>
      </header>
      <InShort data={data} />
      {data.models.models.length > 0 && (
        <section class="nbt-section" aria-label={trans.__("Models")}>
          <h2>{trans.__("Models")}</h2>
          {data.models.models.map((model) => (
            <div key={model.name} class="nbt-section">
              <h3>{model.name}</h3>
              {model.description !== "" && <p class="nbt-lines">{model.description}</p>}
              <ModelTable model={model} />
            </div>
          ))}
        </section>
      )}
      {data.runs.run_ids.length > 0 && (
        <section class="nbt-section" aria-label={trans.__("Runs")}>
          <h2>{trans.__("Runs")}</h2>
          <p class="nbt-note">
            {trans.__("Each row is one attempt. Click a heading to sort, and a name to see more of that run below.")}
          </p>
          <RunTable client={client} state={state} compact={false} choose={true} />
          {beyond > 0 && <p class="nbt-note">{trans.__("%1 older runs are not in this page.", beyond)}</p>}
          {opened !== null && (
            <RunDetail
              key={opened}
              client={client}
              state={state}
              run_id={opened}
              close={() => {
                state.current.value = null;
              }}
            />
          )}
          {current !== null && opened === null && (
            <p class="nbt-note">{trans.__("No more of this run was saved in this page.")}</p>
          )}
          <MetricChart client={client} state={state} />
        </section>
      )}
      <footer class="nbt-note">
        {trans.__(
          "Made with nbtrack %1. Everything is inside this page; it asks nothing of any network.",
          data.info.server,
        )}
      </footer>
    </div>
  );
}

export const mount = mounter<ReportProps>(Report, { data: null });
