/** Which version was chosen for each environment: all scores on one data set, and why the others were refused. */
import { formatNumber, toNumber } from "../format";
import { trans } from "../i18n";
import type { Decision, Model } from "../wire";
import { Icon } from "./kit";

function DecisionTable({ decision, same }: { decision: Decision; same: boolean }) {
  const scores = Object.entries(decision.scores)
    .map(([version, score]) => ({ version, score: toNumber(score) ?? Number.NaN }))
    .sort((a, b) => b.score - a.score);
  const where = decision.environment === "" ? trans.__("any environment") : decision.environment;
  return (
    <table class="nbt-diff-table" data-nbt="decision" data-environment={decision.environment}>
      <caption>
        <b>{where}</b> {decision.policy !== "" && <code>{decision.policy}</code>}{" "}
        <span class="nbt-meta" title={decision.dataset}>
          {trans.__("%1 on the data %2", decision.metric, decision.dataset.slice(0, 8))}
        </span>
      </caption>
      <tbody>
        {scores.map(({ version, score }) => (
          <tr key={version} class={Number(version) === decision.best ? "nbt-best-row" : ""}>
            <th scope="row">v{version}</th>
            <td class="nbt-value">{formatNumber(score)}</td>
            <td>
              {Number(version) === decision.best && (
                <>
                  <Icon name="check" /> {trans.__("the best")}
                </>
              )}
            </td>
          </tr>
        ))}
        {Object.entries(decision.refused).map(([version, why]) => (
          <tr key={version}>
            <th scope="row">v{version}</th>
            <td class="nbt-meta">–</td>
            <td class="nbt-meta">{why}</td>
          </tr>
        ))}
      </tbody>
      {(!same || !decision.comparable) && (
        <tfoot>
          <tr>
            <td colSpan={3} class="nbt-warn-text">
              <Icon name="warn" />{" "}
              {same
                ? trans.__("The decision before this one was made on other data: its scores are not comparable.")
                : trans.__("Made on other data than the decision above: the scores are not comparable.")}
            </td>
          </tr>
        </tfoot>
      )}
    </table>
  );
}

export function Decisions({ model }: { model: Model }) {
  const first = model.decisions[0];
  return (
    <div class="nbt-section-body nbt-scroll" data-nbt="decisions">
      {model.decisions.map((decision) => (
        <DecisionTable key={decision.environment} decision={decision} same={decision.dataset === first?.dataset} />
      ))}
    </div>
  );
}
