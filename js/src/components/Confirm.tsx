/** A question before what reaches other people or cannot be taken back. Everything else just happens, with Undo. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { trans } from "../i18n";
import { Button } from "./kit";

interface Props {
  title: string;
  label: string;
  confirm: () => void;
  close: () => void;
  children?: ComponentChildren;
}

export function Confirm({ title, label, confirm, close, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const element = dialog.current;
    const root = element?.getRootNode() as Document | ShadowRoot | undefined;
    const before = root?.activeElement as HTMLElement | null | undefined;
    if (element !== null && !element.open) {
      element.showModal();
      element.querySelector<HTMLElement>('[data-nbt="confirm"]')?.focus();
    }
    return () => before?.focus?.();
  }, []);
  return (
    <dialog
      ref={dialog}
      class="nbt-dialog"
      data-lm-suppress-shortcuts="true"
      data-nbt="dialog"
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onKeyDown={(event) => event.stopPropagation()}
      onClick={(event) => {
        if (event.target === dialog.current) {
          close();
        }
      }}
    >
      <div class="nbt-dialog-body">
        <h4 id={id}>{title}</h4>
        {children}
        <div class="nbt-actions">
          <Button name="confirm" kind="primary" label={label} onClick={confirm} />
          <Button name="refuse" kind="quiet" label={trans.__("Cancel")} onClick={close} />
        </div>
      </div>
    </dialog>
  );
}
