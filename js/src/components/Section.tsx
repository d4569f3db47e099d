/** The parts of a page: a heading with what stands below it, and pairs as a table. */
import type { ComponentChildren } from "preact";

export function Section({
  title,
  name,
  children,
  count,
}: {
  title: string;
  name: string;
  children: ComponentChildren;
  count?: number;
}) {
  return (
    <section class="nbt-section" data-nbt={`section-${name}`} aria-label={title}>
      <h3>
        {title}
        {count !== undefined && count > 1 && <span class="nbt-badge">{count}</span>}
      </h3>
      {children}
    </section>
  );
}

export function PairRows({
  title,
  pairs,
  name,
}: {
  title: string;
  pairs: readonly (readonly [string, string])[];
  name: string;
}) {
  return (
    // biome-ignore lint/a11y: what scrolls must be reachable without a mouse.
    <div class="nbt-data-frame" tabIndex={0} role="group" aria-label={title}>
      <table class="nbt-data nbt-wide nbt-pair-table">
        <tbody>
          {pairs.map(([key, value]) => (
            <tr key={key} data-nbt={name} data-key={key}>
              <th scope="row">{key}</th>
              <td title={value}>{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
