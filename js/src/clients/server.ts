/** Asks the store through jupyter_server: for JupyterLab, with or without a kernel. */
import { CallError, type Client, type PollOptions, RevisionPoll, unwrap } from "../client";
import type { Answers, AnyRequest, Reply } from "../wire";

/** How a host sends one body to `nbtrack/api/call` of its server, with its own authentication. */
export type Post = (body: string) => Promise<Response>;

export interface Place {
  /** The open notebook, relative to the server's root. */
  path: string;
  /** The store that a saved output names, or null to find it from `path`. */
  store: string | null;
  /** Several stores that an output names, which are shown together. */
  stores?: readonly string[] | undefined;
}

/** What changes something that the store's revision does not tell of. */
const UNSEEN: ReadonlySet<AnyRequest["op"]> = new Set(["serve", "stop_server", "rollback_server"]);

export class ServerClient implements Client {
  /** One poll for all clients of this page that ask about the same place. */
  private static readonly polls = new Map<string, RevisionPoll>();

  constructor(
    private readonly post: Post,
    private readonly place: () => Place,
    private readonly options: PollOptions,
  ) {}

  /** Look for changes now, for all views of this page: something was done that may have made some. */
  static look(): void {
    for (const poll of ServerClient.polls.values()) {
      void poll.look();
    }
  }

  async call<R extends AnyRequest>(request: R): Promise<Answers[R["op"]]> {
    const answer = await this.callAt(this.place(), request);
    if (UNSEEN.has(request.op)) {
      for (const poll of ServerClient.polls.values()) {
        poll.nudge();
      }
    }
    return answer;
  }

  subscribe(changed: (revision: string) => void): () => void {
    const { polls } = ServerClient;
    const place = this.place();
    const key = JSON.stringify([place.path.split("/").slice(0, -1), place.store, place.stores]);
    const poll =
      polls.get(key) ??
      new RevisionPoll(
        async () => (await this.callAt(place, { op: "revision" })).revision,
        () => this.options.interval_ms,
      );
    polls.set(key, poll);
    const unsubscribe = poll.subscribe(changed, this.options.visible);
    return () => {
      unsubscribe();
      if (!poll.watched && polls.get(key) === poll) {
        polls.delete(key);
      }
    };
  }

  private async callAt<R extends AnyRequest>({ path, store, stores }: Place, request: R): Promise<Answers[R["op"]]> {
    let response: Response;
    try {
      response = await this.post(JSON.stringify({ path, store, request, ...(stores ? { stores } : {}) }));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new CallError({
        code: "unreachable",
        message: `The Jupyter server does not answer (${reason}). Check that it still runs, then try again.`,
      });
    }
    const text = await response.text();
    let reply: Reply<Answers[R["op"]]>;
    try {
      reply = JSON.parse(text) as Reply<Answers[R["op"]]>;
    } catch {
      throw new CallError(notOurs(response.status));
    }
    if (typeof reply !== "object" || reply === null || !("ok" in reply)) {
      throw new CallError(notOurs(response.status));
    }
    return unwrap(reply);
  }
}

function notOurs(status: number): { code: string; message: string } {
  if (status === 404) {
    return {
      code: "no_extension",
      message:
        "The Jupyter server has no nbtrack extension. Install nbtrack in the environment that runs JupyterLab and restart it.",
    };
  }
  if (status === 401 || status === 403) {
    return { code: "forbidden", message: "The Jupyter server refused the request. Reload the page and log in again." };
  }
  return { code: "unreachable", message: `The Jupyter server answered with status ${status}. Look at its log.` };
}
