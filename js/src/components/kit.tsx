/** Small parts that all components share. */
import { effect, type ReadonlySignal, untracked } from "@preact/signals";
import type { ComponentChildren, JSX, RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type Client, failureOf } from "../client";
import { colorOf, formatAgo, formatTime, shapeOf, statusText } from "../format";
import { trans } from "../i18n";
import type { State } from "../state";
import type { Answers, AnyRequest, Failure } from "../wire";

const ICONS = {
  bookmark: "M4 2.5h8v11l-4-3l-4 3z",
  columns: "M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10",
  check: "M3 8.5l3.2 3.2L13 5",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M6 2.5h7.5V10M2.5 6H10v7.5H2.5z",
  cross: "M4.5 4.5l7 7M11.5 4.5l-7 7",
  dots: "M3 8h.01M8 8h.01M13 8h.01",
  info: "M8 2a6 6 0 1 1 0 12a6 6 0 1 1 0-12zM8 7.5v3.5M8 5v.01",
  pin: "M8 10.5V14M5 10.5h6M6 2.5h4M6.5 2.5v4L5 10.5M9.5 2.5v4l1.5 4",
  play: "M5 3l8 5l-8 5z",
  refresh: "M13 8a5 5 0 1 1-1.5-3.5M13 2v3h-3",
  search: "M7 2.5a4.5 4.5 0 1 1 0 9a4.5 4.5 0 1 1 0-9zM10.3 10.3L13.5 13.5",
  stack: "M8 2.5l6 3l-6 3l-6-3zM2 8.5l6 3l6-3M2 11.5l6 3l6-3",
  stop: "M4 4h8v8h-8z",
  undo: "M3 6h6.5a3.5 3.5 0 0 1 0 7H6M3 6l3-3M3 6l3 3",
  warn: "M8 2.5l6 11H2zM8 6.5v3M8 11.5v.01",
} as const;

export type IconName = keyof typeof ICONS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="nbt-icon" viewBox="0 0 16 16" aria-hidden="true">
      <path
        d={ICONS[name]}
        fill="none"
        stroke="currentColor"
        stroke-width="1.5"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}

/** The colour and shape by which a run is known in tables and charts. Hollow where it is not drawn. */
export function Mark({ color, hollow = false }: { color: number; hollow?: boolean }) {
  return (
    <svg class="nbt-mark" viewBox="-1 -1 14 14" aria-hidden="true">
      <path
        d={shapeOf(color)}
        class={color % 8 === 0 ? "nbt-blue" : undefined}
        fill={hollow ? "none" : colorOf(color, false)}
        stroke={hollow ? "var(--nbt-muted)" : colorOf(color, false)}
        stroke-width={hollow ? 1.3 : 1}
        stroke-linejoin="round"
      />
    </svg>
  );
}

interface ButtonProps {
  label: string;
  onClick: () => void;
  /** A stable hook for tests and style. */
  name: string;
  icon?: IconName;
  kind?: "primary" | "plain" | "quiet" | "warn";
  busy?: boolean;
  disabled?: boolean;
  title?: string;
  iconOnly?: boolean;
  pressed?: boolean;
  expanded?: boolean;
  buttonRef?: RefObject<HTMLButtonElement>;
}

export function Button(props: ButtonProps) {
  const { label, icon, kind = "plain", busy = false, iconOnly = false } = props;
  const off = props.disabled === true || busy;
  return (
    <button
      type="button"
      ref={props.buttonRef}
      class={`nbt-button nbt-${kind}${iconOnly ? " nbt-icon-only" : ""}`}
      data-nbt={props.name}
      aria-disabled={off}
      aria-busy={busy}
      aria-pressed={props.pressed}
      aria-expanded={props.expanded}
      aria-label={iconOnly ? label : undefined}
      title={props.title ?? (iconOnly ? label : undefined)}
      onClick={() => {
        // aria-disabled rather than disabled, so that focus is not lost while something is under way.
        if (!off) {
          props.onClick();
        }
      }}
    >
      {busy ? <span class="nbt-spinner" aria-hidden="true" /> : icon && <Icon name={icon} />}
      {!iconOnly && <span>{label}</span>}
    </button>
  );
}

export function CopyButton({ text, label, state }: { text: string; label: string; state: State }) {
  const [copied, setCopied] = useState(false);
  const copy = (): void => {
    void navigator.clipboard
      ?.writeText(text)
      .then(() => {
        setCopied(true);
        state.status.value = trans.__("Copied");
        setTimeout(() => setCopied(false), 1500);
      })
      .catch(() => {
        state.status.value = trans.__("The browser does not allow copying here; select the text instead");
      });
  };
  return <Button name="copy" kind="quiet" iconOnly icon={copied ? "check" : "copy"} label={label} onClick={copy} />;
}

/** What a stage is called in a chip; the border differs too, so that colour is not all there is. */
export function StageChip({ stage }: { stage: string }) {
  const known = ["Staging", "Production", "Archived"].includes(stage);
  return (
    <span class={`nbt-chip nbt-stage-${known ? stage.toLowerCase() : "none"}`} data-nbt="stage">
      {stage === "None" ? trans.__("no stage") : stage}
    </span>
  );
}

const STATUS_ICON: Readonly<Record<string, IconName>> = {
  FINISHED: "check",
  FAILED: "cross",
  CRASHED: "warn",
  KILLED: "stop",
  RUNNING: "play",
};

export function StatusBadge({ status }: { status: string }) {
  return (
    <span class={`nbt-status nbt-status-${status.toLowerCase()}`}>
      {status === "RUNNING" ? (
        <span class="nbt-spinner" aria-hidden="true" />
      ) : (
        <Icon name={STATUS_ICON[status] ?? "dots"} />
      )}
      {statusText(status)}
    </span>
  );
}

export function Ago({ at }: { at: number }) {
  return (
    <time dateTime={new Date(at).toISOString()} title={formatTime(at)}>
      {formatAgo(at)}
    </time>
  );
}

/** Text of a fixed width. It may scroll, so keys must reach it. */
export function Code({
  text,
  name,
  label,
  bad = false,
}: {
  text: string;
  name?: string;
  label: string;
  bad?: boolean;
}) {
  return (
    // biome-ignore lint/a11y: what scrolls must be reachable without a mouse.
    <pre class={`nbt-code${bad ? " nbt-bad" : ""}`} data-nbt={name} tabIndex={0} role="group" aria-label={label}>
      {text}
    </pre>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="nbt-empty" data-nbt="empty">
      <p class="nbt-empty-title">{title}</p>
      {children}
    </div>
  );
}

export function Loading({ label }: { label: string }) {
  return (
    <div class="nbt-loading" role="status">
      <span class="nbt-spinner" aria-hidden="true" />
      {label}
    </div>
  );
}

/** The polite voice of a view: one hidden line that screen readers follow. */
export function StatusLine({ state }: { state: State }) {
  return (
    <div class="nbt-hidden" aria-live="polite" role="status">
      {state.status.value}
    </div>
  );
}

/** `ask` now, and whenever the revision is another: a signal is followed without drawing anything anew before the answer. */
export function onRevision(
  revision: number | ReadonlySignal<number>,
  ask: (isWanted: () => boolean) => void,
): () => void {
  let latest = 0;
  const stop = effect(() => {
    void (typeof revision === "number" || revision.value);
    latest += 1;
    const mine = latest;
    untracked(() => ask(() => mine === latest));
  });
  return () => {
    latest = -1;
    stop();
  };
}

export interface Called<A> {
  answer: A | null;
  failure: Failure | null;
}

/** Ask, and ask again when the request or the store changes; the last answer stays until the next one is there. */
export function useCall<R extends AnyRequest>(
  client: Client,
  request: R | null,
  revision: number | ReadonlySignal<number>,
): Called<Answers[R["op"]]> {
  const [called, setCalled] = useState<Called<Answers[R["op"]]> & { key: string }>({
    answer: null,
    failure: null,
    key: "",
  });
  const key = request === null ? "" : JSON.stringify(request);
  useEffect(() => {
    if (request === null) {
      return;
    }
    return onRevision(revision, (isWanted) => {
      client.call(request).then(
        (answer) => isWanted() && setCalled({ answer, failure: null, key }),
        (error: unknown) =>
          isWanted() &&
          setCalled((was) => ({ answer: was.key === key ? was.answer : null, failure: failureOf(error), key })),
      );
    });
  }, [client, key, revision]);
  return called;
}

/** Ask several things of one kind at once; null where there is no answer yet. */
export function useCalls<R extends AnyRequest>(
  client: Client,
  requests: readonly R[],
  revision: number,
): (Answers[R["op"]] | null)[] {
  const key = JSON.stringify(requests);
  const [found, setFound] = useState<{ key: string; answers: (Answers[R["op"]] | null)[] }>({ key: "", answers: [] });
  useEffect(() => {
    let wanted = true;
    void Promise.all(requests.map((request) => client.call(request).catch(() => null))).then(
      (answers) => wanted && setFound({ key, answers }),
    );
    return () => {
      wanted = false;
    };
  }, [client, key, revision]);
  return found.key === key ? found.answers : requests.map(() => null);
}

export interface Action {
  busy: string | null;
  failure: Failure | null;
  /** Do something named `name`; `done` says what to tell when it worked. */
  run<T>(name: string, act: () => Promise<T>, done?: (result: T) => string): Promise<T | null>;
  clear(): void;
}

/** One thing at a time, with its progress and its failure to show beside the button. */
export function useAction(state: State): Action {
  const [busy, setBusy] = useState<string | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const alive = useRef(true);
  useEffect(
    () => () => {
      alive.current = false;
    },
    [],
  );
  return {
    busy,
    failure,
    clear: () => setFailure(null),
    async run(name, act, done) {
      setBusy(name);
      setFailure(null);
      try {
        const result = await act();
        state.status.value = done?.(result) ?? "";
        state.refresh();
        return result;
      } catch (error) {
        const told = failureOf(error);
        state.status.value = told.message;
        if (alive.current) {
          setFailure(told);
        }
        return null;
      } finally {
        if (alive.current) {
          setBusy(null);
        }
      }
    },
  };
}

/** Submit on Enter, leave on Escape. */
export function onKeys(keys: Readonly<Record<string, () => void>>): JSX.KeyboardEventHandler<HTMLElement> {
  return (event) => {
    const act = keys[event.key];
    if (act !== undefined && !event.isComposing) {
      event.preventDefault();
      event.stopPropagation();
      act();
    }
  };
}
