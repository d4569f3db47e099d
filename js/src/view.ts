/** The comparison or the card in a cell, answered by the kernel: what the anywidget's small entry loads once a page. */
import type { InitializeProps, RenderProps } from "@anywidget/types";
import { isVisible } from "./client";
import { KernelClient, type Seed } from "./clients/kernel";
import { mount as mountCompare } from "./components/Compare";
import { mount as mountCard } from "./components/RunCard";
import { dress } from "./dress";
import { createState } from "./state";

/** The traits of `nbtrack.widget.View`. */
interface Traits {
  view: "compare" | "card";
  run_ids: string[] | null;
  filter: string;
  experiment: string | null;
  /** JSON of what this view asks first, with the answers. */
  seed: string;
  /** The class of the static picture that this view stands for. */
  picture: string;
  /** Whether the view is no output of its own: then it is mounted over its picture. */
  inplace: boolean;
}

type Model = RenderProps<Traits>["model"];

/** The style sheet; the build puts it in. */
declare const NBT_STYLE: string;

/** Every look wakes the kernel, so look rarely; after each cell it tells of changes by itself. */
const POLL_MS = 5000;

/** Mount the view in an element; return how to dispose of it. */
function show(model: Model, el: HTMLElement): () => void {
  const host = document.createElement("div");
  el.replaceChildren(host);
  const root = host.getRootNode();
  dress(root instanceof ShadowRoot ? root : document, NBT_STYLE);
  const visible = (): boolean => isVisible(host) && host.dataset.running === "1";
  const seed = JSON.parse(model.get("seed") || "[]") as Seed[];
  const client = new KernelClient(model, { interval_ms: POLL_MS, visible }, seed);
  // Changes that came from elsewhere, such as the panel, are seen when somebody turns to this view.
  const look = (): void => client.look();
  host.addEventListener("pointerenter", look);
  document.addEventListener("visibilitychange", look);
  const run_ids = model.get("run_ids");
  const table = model.get("view") === "compare";
  const state = createState(client, {
    run_ids,
    query: model.get("filter"),
    experiment: model.get("experiment"),
    table,
  });
  const unwatch = state.runs.subscribe((runs) => {
    const status = runs?.columns.find((column) => column.kind === "attribute" && column.key === "status");
    host.dataset.running = status?.values.includes("RUNNING") === true ? "1" : "0";
  });
  const dispose =
    model.get("view") === "card"
      ? mountCard(host, client, state, { run_id: run_ids?.[0] ?? "" })
      : mountCompare(host, client, state);
  client.look(); // the seed may be old: the page may have been reloaded since
  return () => {
    document.removeEventListener("visibilitychange", look);
    unwatch();
    dispose();
    client.dispose();
    host.remove();
  };
}

/** The static picture of this view, unless our JupyterLab extension looks after it. */
function pictureOf(model: Model): HTMLElement | null {
  const name = model.get("picture");
  const found = name === "" ? null : document.querySelector<HTMLElement>(`.${CSS.escape(name)}`);
  return found?.closest(".nbt-output") ? null : found;
}

/** Show the view over a picture, which comes back when the view goes. */
function cover(model: Model, picture: HTMLElement): () => void {
  const place = document.createElement("div");
  picture.before(place);
  const dispose = show(model, place);
  picture.hidden = true;
  return () => {
    dispose();
    place.remove();
    picture.hidden = false;
  };
}

/** Runs once a page and view, also where no output shows it: what a notebook keeps is the picture alone. */
export function initialize({ model, signal }: InitializeProps<Traits>): void {
  if (!model.get("inplace")) {
    return;
  }
  let covered: HTMLElement | null = null;
  let uncover: () => void = () => undefined;
  let asked = 0;
  const look = (): void => {
    asked = 0;
    const picture = pictureOf(model);
    if (picture !== covered) {
      uncover();
      covered = picture;
      uncover = picture === null ? () => undefined : cover(model, picture);
    }
  };
  // Outputs come and go as a notebook is scrolled, and the picture may be drawn after this.
  const observer = new MutationObserver(() => {
    asked ||= requestAnimationFrame(look);
  });
  observer.observe(document.body, { childList: true, subtree: true });
  look();
  signal.addEventListener("abort", () => {
    observer.disconnect();
    cancelAnimationFrame(asked);
    uncover();
  });
}

/** Where the view is an output of its own, it stands beside its picture and hides it. */
export function render({ model, el, signal }: RenderProps<Traits>): void {
  const dispose = show(model, el);
  const picture = pictureOf(model);
  if (picture !== null) {
    picture.hidden = true;
  }
  signal.addEventListener("abort", () => {
    dispose();
    if (picture !== null) {
      picture.hidden = false;
    }
  });
}
