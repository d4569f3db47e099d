/** Lumino widgets around our components: the side panels, the tabs, and the line in the status bar. */
import type { ServerConnection } from "@jupyterlab/services";
import type { Message } from "@lumino/messaging";
import { Widget } from "@lumino/widgets";
import { type Signal, signal } from "@preact/signals";
import type { Alert } from "../alerts";
import { type Client, isVisible } from "../client";
import type { Place } from "../clients/server";
import { type FollowedCell, mount as mountHistory } from "../components/CellHistory";
import { mount as mountCompare } from "../components/Compare";
import { mount as mountPanel, type Tab } from "../components/Panel";
import { mount as mountPage } from "../components/RunDetail";
import { mount as mountStatus } from "../components/StatusItem";
import type { Picking, StoreChoice } from "../components/StorePicker";
import { trans } from "../i18n";
import { createState, type State } from "../state";
import { connect, type LabClient } from "./server";
import { INSPECTOR_ID, PANEL_ID, runsIcon, trackIcon } from "./tokens";

export interface Surroundings {
  settings: ServerConnection.ISettings;
  interval_ms: () => number;
}

/** Where runs are shown, for commands that are about one of them. */
export interface RunsHost {
  readonly client: Client;
  readonly state: State;
}

const hosts = new Map<HTMLElement, RunsHost>();

/** The host of ours that holds an element of the page. */
export function hostOf(element: Element): RunsHost | null {
  const node = element.closest<HTMLElement>(".nbt-host");
  return node === null ? null : (hosts.get(node) ?? null);
}

/** Shows a component while it is attached to the page, and nothing (not even requests) while it is not. */
abstract class Host extends Widget {
  private dispose_view: () => void = () => undefined;

  constructor() {
    super();
    this.addClass("nbt-host");
    this.node.dataset.nbtMenus = "host"; // the menu of a run is JupyterLab's here, made of commands
  }

  /** Let commands find what this shows. */
  protected register(host: RunsHost): void {
    hosts.set(this.node, host);
  }

  override dispose(): void {
    hosts.delete(this.node);
    super.dispose();
  }

  protected abstract mountView(): () => void;

  protected mayMount(): boolean {
    return this.isAttached;
  }

  protected remount(): void {
    this.dispose_view();
    this.dispose_view = this.mayMount() ? this.mountView() : () => undefined;
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

const folderOf = (path: string): string => path.split("/").slice(0, -1).join("/");

/** The notebook's own name: what its view of the table is kept under. */
const notebookOf = (path: string): { notebook?: string } =>
  path.endsWith(".ipynb") ? { notebook: path.split("/").pop() ?? "" } : {};

/** What follows the notebook in front: another folder, or another store named by its outputs, shows other runs. */
abstract class Follower extends Host {
  /** What commands act on. */
  state: State;
  readonly client: LabClient;
  /** Where the notebook in front lies, and the store that its outputs name. */
  place: Place = { path: "", store: null };

  constructor(surroundings: Surroundings) {
    super();
    this.client = connect({
      ...surroundings,
      place: () => this.place,
      visible: () => this.isVisible && isVisible(this.node),
    });
    this.state = this.newState();
    this.register(this);
  }

  protected abstract newState(): State;

  /** Whether another notebook in the same folder is shown anew, too. */
  protected abstract readonly eachNotebook: boolean;

  follow(place: Place): void {
    const before = this.place;
    const moved =
      folderOf(place.path) !== folderOf(before.path) ||
      place.store !== before.store ||
      place.stores?.join("\n") !== before.stores?.join("\n") ||
      (this.eachNotebook && place.path !== before.path);
    this.place = place;
    if (moved) {
      this.state = this.newState();
      this.remount();
    }
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.state.refresh(); // nothing was asked while hidden
  }
}

/** Runs & models of the store that the current notebook uses. */
export class RunsPanel extends Follower {
  readonly tab: Signal<Tab> = signal<Tab>("runs");
  /** What is amiss between the server's nbtrack and the kernel's; "" for nothing. */
  readonly mismatch: Signal<string> = signal("");
  private readonly picking: Signal<Picking | null> = signal<Picking | null>(null);
  protected override readonly eachNotebook = true;

  constructor(
    surroundings: Surroundings,
    private readonly acts: {
      compare: (place: Place, run_ids: string[] | null) => void;
      page: (place: Place, run_id: string, name: string | undefined) => void;
      stores: Pick<StoreChoice, "more" | "choose">;
    },
  ) {
    super(surroundings);
    this.id = PANEL_ID;
    this.title.icon = runsIcon;
    this.title.caption = trans.__("Runs & models");
    this.node.setAttribute("role", "region");
    this.node.setAttribute("aria-label", trans.__("Runs & models"));
  }

  protected newState(): State {
    return createState(this.client, notebookOf(this.place.path));
  }

  protected mountView(): () => void {
    const { state } = this;
    return mountPanel(this.node, this.client, state, {
      tab: this.tab,
      mismatch: this.mismatch,
      stores: { ...this.acts.stores, picking: this.picking, list: () => this.client.stores(this.place) },
      compare: (run_ids) => this.acts.compare(this.place, run_ids),
      page: (run_id) => this.acts.page(this.place, run_id, state.known(run_id)?.name),
    });
  }
}

/** The runs of the cell in front. */
export class InspectorPanel extends Follower {
  readonly cell: Signal<FollowedCell | null> = signal<FollowedCell | null>(null);
  protected override readonly eachNotebook = false;

  constructor(
    surroundings: Surroundings,
    private readonly acts: {
      track: () => void;
      page: (place: Place, run_id: string) => void;
      compare: (place: Place, run_ids: string[]) => void;
    },
  ) {
    super(surroundings);
    this.id = INSPECTOR_ID;
    this.title.icon = trackIcon;
    this.title.caption = trans.__("Run inspector");
    this.node.setAttribute("role", "region");
    this.node.setAttribute("aria-label", trans.__("Run inspector"));
  }

  protected newState(): State {
    return createState(this.client, { table: false });
  }

  /** It follows every cell: nothing is asked, nothing drawn, while nobody looks. */
  protected override mayMount(): boolean {
    return this.isVisible;
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.remount();
  }

  protected override onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this.remount();
  }

  protected mountView(): () => void {
    return mountHistory(this.node, this.client, this.state, {
      cell: this.cell,
      track: this.acts.track,
      page: (run_id) => this.acts.page(this.place, run_id),
      compare: (run_ids) => this.acts.compare(this.place, run_ids),
    });
  }
}

/** A tab of the main area that shows runs of one place. */
abstract class TabPanel extends Host {
  readonly client: Client;
  abstract readonly state: State;

  constructor(
    surroundings: Surroundings,
    readonly place: Place,
  ) {
    super();
    this.addClass("nbt-host-main");
    this.client = connect({ ...surroundings, place: () => place, visible: () => isVisible(this.node) });
  }
}

/** The comparison with room for its charts. */
export class ComparePanel extends TabPanel {
  readonly state: State;

  constructor(
    surroundings: Surroundings,
    place: Place,
    readonly run_ids: string[] | null,
  ) {
    super(surroundings, place);
    this.state = createState(this.client, { run_ids, ...notebookOf(place.path) });
    this.register(this);
  }

  protected mountView(): () => void {
    return mountCompare(this.node, this.client, this.state);
  }
}

/** Everything about one run. */
export class PagePanel extends TabPanel {
  readonly state: State;

  constructor(
    surroundings: Surroundings,
    place: Place,
    readonly run_id: string,
  ) {
    super(surroundings, place);
    this.state = createState(this.client, { table: false });
    this.register(this);
  }

  protected mountView(): () => void {
    return mountPage(this.node, this.client, this.state, { run_id: this.run_id });
  }
}

/** What runs now, in the status bar. */
export class StatusLine extends Follower {
  protected override readonly eachNotebook = false;

  constructor(
    surroundings: Surroundings,
    private readonly acts: {
      open: () => void;
      page: (place: Place, run_id: string) => void;
      alerted: (run_id: string, name: string, alert: Alert, show: () => void) => void;
    },
  ) {
    super(surroundings);
    this.removeClass("nbt-host");
    this.addClass("nbt-status-host");
  }

  protected newState(): State {
    return createState(this.client, { table: false });
  }

  protected mountView(): () => void {
    const { place } = this;
    const page = (run_id: string): void => this.acts.page(place, run_id);
    return mountStatus(this.node, this.client, this.state, {
      open: this.acts.open,
      page,
      alerted: (run_id, name, alert) => this.acts.alerted(run_id, name, alert, () => page(run_id)),
    });
  }
}
