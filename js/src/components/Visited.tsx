/** A view of one run from which others can be visited, and the way back. */
import type { ComponentChildren } from "preact";
import { trans } from "../i18n";
import type { State } from "../state";
import { Button } from "./kit";

interface Props {
  state: State;
  run_id: string;
  children: (run_id: string) => ComponentChildren;
}

export function Visited({ state, run_id, children }: Props) {
  const other = state.current.value;
  const away = other !== null && other !== run_id;
  return (
    <>
      {away && (
        <div class="nbt-actions nbt-back">
          <Button
            name="back"
            kind="quiet"
            icon="undo"
            label={trans.__("Back")}
            onClick={() => {
              state.current.value = null;
            }}
          />
        </div>
      )}
      {children(away ? other : run_id)}
    </>
  );
}
