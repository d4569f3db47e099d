/** Puts a component into a host's element and takes it out again: the one way in for widget, panel and page. */
import { type ComponentType, h, render } from "preact";
import type { Client } from "./client";
import { StatusLine } from "./components/kit";
import { keepFocus } from "./focus";
import type { State } from "./state";

export interface ViewProps {
  client: Client;
  state: State;
}

export type Mount<P = object> = (host: HTMLElement, client: Client, state: State, props?: P) => () => void;

/** `mount(host, client, state)` for a component: returns how to dispose of it. */
export function mounter<P extends object>(component: ComponentType<ViewProps & P>, defaults: P): Mount<Partial<P>> {
  return (host, client, state, props) => {
    const root = document.createElement("div");
    root.className = "nbt";
    host.appendChild(root);
    const unwatch = state.watch();
    const unkeep = keepFocus(root);
    const view = h(component, { client, state, ...defaults, ...props } as ViewProps & P);
    render([view, h(StatusLine, { state })], root);
    return () => {
      unwatch();
      unkeep();
      render(null, root);
      root.remove();
    };
  };
}
