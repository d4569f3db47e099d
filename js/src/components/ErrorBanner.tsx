/** What went wrong and what to do about it, beside the thing that went wrong. */
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import type { Failure } from "../wire";
import { Button, Icon } from "./kit";

function title(code: string): string {
  switch (code) {
    case "conflict":
      return trans.__("Somebody else changed this model meanwhile");
    case "gate":
      return trans.__("A gate holds this version back");
    case "not_found":
      return trans.__("Not found");
    case "read_only":
      return trans.__("This store is read-only");
    case "serving":
      return trans.__("The model could not be served");
    case "invalid":
      return trans.__("That is not possible");
    case "unreachable":
    case "no_extension":
    case "forbidden":
      return trans.__("No connection to the store");
    default:
      return trans.__("Something went wrong");
  }
}

interface Props {
  failure: Failure;
  retry?: (() => void) | undefined;
  dismiss?: (() => void) | undefined;
}

export function ErrorBanner({ failure, retry, dismiss }: Props) {
  return (
    <div class="nbt-error" role="alert" data-nbt="error" data-code={failure.code}>
      <Icon name="warn" />
      <div class="nbt-error-text">
        <strong>{title(failure.code)}</strong>
        <p>{failure.message}</p>
      </div>
      <div class="nbt-error-actions">
        {retry && <Button name="retry" kind="plain" icon="refresh" label={trans.__("Try again")} onClick={retry} />}
        {dismiss && (
          <Button name="dismiss" kind="quiet" iconOnly icon="close" label={trans.__("Dismiss")} onClick={dismiss} />
        )}
      </div>
    </div>
  );
}

/** The failure of a whole view, while there is one. */
function ViewError({ state }: ViewProps) {
  const failure = state.failure.value;
  return failure === null ? null : <ErrorBanner failure={failure} retry={state.refresh} />;
}

export const mount = mounter(ViewError, {});
