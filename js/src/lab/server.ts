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

export function connect(options: ConnectOptions): ServerClient {
  const { settings } = options;
  const url = URLExt.join(settings.baseUrl, "nbtrack", "api", "call");
  const post = (body: string): Promise<Response> =>
    ServerConnection.makeRequest(url, { method: "POST", body }, settings);
  return new ServerClient(post, options.place, {
    visible: options.visible,
    get interval_ms() {
      return options.interval_ms();
    },
  });
}
