/** Lumino widgets around our components: the side panel and the comparison tab. */
import type { ServerConnection } from "@jupyterlab/services";
import type { Message } from "@lumino/messaging";
import { Widget } from "@lumino/widgets";
import { type Signal, signal } from "@preact/signals";
import { type Client, isVisible } from "../client";
import type { Place } from "../clients/server";
import { mount as mountCompare } from "../components/Compare";
import { mount as mountPanel, type Tab } from "../components/Panel";
import { trans } from "../i18n";
import { createState, type State } from "../state";
import { connect } from "./server";
import { PANEL_ID, runsIcon } from "./tokens";

export interface Surroundings {
  settings: ServerConnection.ISettings;
  interval_ms: () => number;
}

/** Shows a component while it is attached to the page, and nothing (not even requests) while it is not. */
abstract class Host extends Widget {
  private dispose_view: () => void = () => undefined;

  constructor() {
    super();
    this.addClass("nbt-host");
  }

  protected abstract mountView(): () => void;

  protected remount(): void {
    this.dispose_view();
    this.dispose_view = this.isAttached ? this.mountView() : () => undefined;
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.remount();
  }

  protected override onBeforeDetach(message: Message): void {
    this.dispose_view();
    this.dispose_view = () => undefined;
    super.onBeforeDetach(message);
  }
}

/** Runs & models of the store that the current notebook uses. */
export class RunsPanel extends Host {
  readonly tab: Signal<Tab> = signal<Tab>("runs");
  /** What commands act on. */
  state: State;
  private readonly client: Client;
  /** Where the notebook in front lies, and the store that its outputs name. */
  place: Place = { path: "", store: null };

  constructor(
    surroundings: Surroundings,
    private readonly compare: (place: Place, run_ids: string[] | null) => void,
  ) {
    super();
    this.id = PANEL_ID;
    this.title.icon = runsIcon;
    this.title.caption = trans.__("Runs & models");
    this.node.setAttribute("role", "region");
    this.node.setAttribute("aria-label", trans.__("Runs & models"));
    this.client = connect({
      ...surroundings,
      place: () => this.place,
      visible: () => this.isVisible && isVisible(this.node),
    });
    this.state = createState(this.client);
  }

  /** Follow the notebook: another folder, or another store named by its outputs, shows other runs. */
  follow(place: Place): void {
    const folder = (path: string): string => path.split("/").slice(0, -1).join("/");
    const moved = folder(place.path) !== folder(this.place.path) || place.store !== this.place.store;
    this.place = place;
    if (moved) {
      this.state = createState(this.client);
      this.remount();
    }
  }

  protected mountView(): () => void {
    const { state } = this;
    return mountPanel(this.node, this.client, state, {
      tab: this.tab,
      compare: () => this.compare(this.place, state.chosen.value === null ? null : [...state.chosen.value]),
    });
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.state.refresh(); // nothing was asked while hidden
  }
}

/** The comparison with room for its charts. */
export class ComparePanel extends Host {
  private readonly client: Client;

  constructor(
    surroundings: Surroundings,
    readonly place: Place,
    readonly run_ids: string[] | null,
  ) {
    super();
    this.addClass("nbt-host-main");
    this.client = connect({ ...surroundings, place: () => place, visible: () => isVisible(this.node) });
  }

  protected mountView(): () => void {
    return mountCompare(this.node, this.client, createState(this.client, { run_ids: this.run_ids }));
  }
}
