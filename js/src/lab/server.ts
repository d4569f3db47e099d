/** A client of our handlers in jupyter_server, with JupyterLab's own address, token and XSRF cookie. */
import { URLExt } from "@jupyterlab/coreutils";
import { ServerConnection } from "@jupyterlab/services";
import { CallError } from "../client";
import { type Place, ServerClient } from "../clients/server";
import type { Stores } from "../components/StorePicker";
import { trans } from "../i18n";
import type { Failure } from "../wire";

export interface ConnectOptions {
  settings: ServerConnection.ISettings;
  place: () => Place;
  visible: () => boolean;
  interval_ms: () => number;
}

/** A client that can also say which nbtrack answers. */
export class LabClient extends ServerClient {
  constructor(
    options: ConnectOptions,
    private readonly settings: ServerConnection.ISettings,
    post: (body: string) => Promise<Response>,
  ) {
    super(post, options.place, {
      visible: options.visible,
      get interval_ms() {
        return options.interval_ms();
      },
    });
  }

  href(path: string): string {
    return URLExt.join(this.settings.baseUrl, path);
  }

  /** The stores below the folder that the server shows, and which of them a notebook uses. */
  async stores({ path, store }: Place): Promise<Stores> {
    const query = URLExt.objectToQueryString({ path, store: store ?? "" });
    const url = URLExt.join(this.settings.baseUrl, "nbtrack", "api", "stores") + query;
    const response = await ServerConnection.makeRequest(url, {}, this.settings);
    const { stores, own, error } = (await response.json()) as { stores?: string[]; own?: string; error?: Failure };
    if (!response.ok || stores === undefined) {
      throw new CallError(error ?? { code: "unreachable", message: trans.__("The Jupyter server did not tell them.") });
    }
    return { all: stores, own: own ?? "" };
  }

  /** The version of nbtrack in the server's environment. */
  async health(): Promise<string> {
    const url = URLExt.join(this.settings.baseUrl, "nbtrack", "api", "health");
    const response = await ServerConnection.makeRequest(url, {}, this.settings);
    const { version } = (await response.json()) as { version?: unknown };
    return response.ok && typeof version === "string" ? version : "";
  }
}

export function connect(options: ConnectOptions): LabClient {
  const { settings } = options;
  const url = URLExt.join(settings.baseUrl, "nbtrack", "api", "call");
  const post = (body: string): Promise<Response> =>
    ServerConnection.makeRequest(url, { method: "POST", body }, settings);
  return new LabClient(options, settings, post);
}
