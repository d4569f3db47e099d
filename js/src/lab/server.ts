/** A client of our handlers in jupyter_server, with JupyterLab's own address, token and XSRF cookie. */
import { URLExt } from "@jupyterlab/coreutils";
import { ServerConnection } from "@jupyterlab/services";
import { type Place, ServerClient } from "../clients/server";

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
