/** Has all answers inside: for a page that has neither kernel nor server. */
import { CallError, type Client, unwrap } from "../client";
import type { Answers, AnyRequest, Reply } from "../wire";

/** The key under which the answer of a request lies: its parts, sorted by name. */
export function requestKey(request: AnyRequest): string {
  return JSON.stringify(Object.entries(request).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export class EmbeddedClient implements Client {
  readonly saved = true;

  constructor(private readonly replies: Readonly<Record<string, Reply<unknown>>>) {}

  async call<R extends AnyRequest>(request: R): Promise<Answers[R["op"]]> {
    const reply = this.replies[requestKey(request)];
    if (reply === undefined) {
      throw new CallError({
        code: "read_only",
        message: "This page shows what was saved in it. Open the notebook in JupyterLab to see or do more.",
      });
    }
    return unwrap(reply) as Answers[R["op"]];
  }

  subscribe(): () => void {
    return () => undefined; // what is saved does not change
  }
}
