/** Asks the store through the kernel: `{id, request}` goes out as a custom message, `{id}` and the reply's bytes come back. */
import { type Client, type PollOptions, RevisionPoll, unwrap } from "../client";
import type { Answers, AnyRequest, Reply } from "../wire";

/** What this client needs of an anywidget model. */
export interface MessageModel {
  send(content: unknown): void;
  on(event: "msg:custom", callback: (message: unknown, buffers: DataView[]) => void): void;
  off(event: "msg:custom", callback: (message: unknown, buffers: DataView[]) => void): void;
}

/** A request and its answer. */
export interface Seed {
  request: AnyRequest;
  reply: Reply<unknown>;
}

/** The key under which the answer of a request lies: its parts, sorted by name. */
export function requestKey(request: AnyRequest): string {
  return JSON.stringify(Object.entries(request).sort(([a], [b]) => (a < b ? -1 : 1)));
}

interface Incoming {
  id?: string;
  revision?: string;
  reply?: Reply<unknown>;
}

export class KernelClient implements Client {
  private readonly waiting = new Map<string, (reply: Reply<unknown>) => void>();
  private readonly poll: RevisionPoll;
  private readonly seeds: Map<string, Reply<unknown>>;
  private count = 0;
  private readonly prefix = Math.random().toString(36).slice(2);

  /** `seed`: answers that came with the widget, so that it is complete before a busy kernel says its first word. */
  constructor(
    private readonly model: MessageModel,
    private readonly options: PollOptions,
    seed: readonly Seed[] = [],
  ) {
    this.seeds = new Map(seed.map(({ request, reply }) => [requestKey(request), reply]));
    this.poll = new RevisionPoll(
      async () => (await this.call({ op: "revision" })).revision,
      () => options.interval_ms,
    );
    model.on("msg:custom", this.receive);
  }

  call<R extends AnyRequest>(request: R): Promise<Answers[R["op"]]> {
    const key = requestKey(request);
    const seed = this.seeds.get(key);
    if (seed !== undefined) {
      this.seeds.delete(key); // good for the first look only
      return Promise.resolve(seed).then((reply) => unwrap(reply) as Answers[R["op"]]);
    }
    // All views of a cell share one model, so an id must not be another view's.
    const id = `${this.prefix}-${this.count++}`;
    return new Promise<Reply<unknown>>((resolve) => {
      this.waiting.set(id, resolve);
      this.model.send({ id, request });
    }).then((reply) => unwrap(reply) as Answers[R["op"]]);
  }

  subscribe(changed: (revision: string) => void): () => void {
    return this.poll.subscribe(changed, this.options.visible);
  }

  /** Look for changes now. */
  look(): void {
    void this.poll.look();
  }

  dispose(): void {
    this.model.off("msg:custom", this.receive);
    this.waiting.clear();
  }

  private readonly receive = (message: unknown, buffers: DataView[]): void => {
    const incoming = message as Incoming;
    if (typeof incoming !== "object" || incoming === null) {
      return;
    }
    if (typeof incoming.revision === "string") {
      this.poll.publish(incoming.revision);
      return;
    }
    const resolve = incoming.id === undefined ? undefined : this.waiting.get(incoming.id);
    if (incoming.id === undefined || resolve === undefined) {
      return;
    }
    this.waiting.delete(incoming.id);
    const bytes = buffers[0];
    const reply =
      bytes === undefined ? incoming.reply : (JSON.parse(new TextDecoder().decode(bytes)) as Reply<unknown>);
    if (reply !== undefined) {
      resolve(reply);
    }
  };
}
