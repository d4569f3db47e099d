/** How the interface talks to a store, whatever lies between: the only thing a component knows of its host. */
import type { Answers, AnyRequest, Failure, Reply } from "./wire";

export interface Client {
  /** Ask; rejects with a {@link CallError} that says what to do. */
  call<R extends AnyRequest>(request: R): Promise<Answers[R["op"]]>;
  /** Be told whenever something in the store may have changed. Returns how to stop. */
  subscribe(changed: (revision: string) => void): () => void;
}

/** Why there is no answer. `code` is the wire's, or `unreachable` if nobody answered at all. */
export class CallError extends Error {
  readonly code: string;

  constructor(failure: Failure) {
    super(failure.message);
    this.name = "CallError";
    this.code = failure.code;
  }
}

/** The answer in an envelope, or its failure as an exception. */
export function unwrap<A>(reply: Reply<A>): A {
  if (reply.ok) {
    return reply.answer;
  }
  throw new CallError(reply.error);
}

/** Anything thrown, as a failure that can be shown. */
export function failureOf(error: unknown): Failure {
  if (error instanceof CallError) {
    return { code: error.code, message: error.message };
  }
  return { code: "internal", message: error instanceof Error ? error.message : String(error) };
}

export interface PollOptions {
  interval_ms: number;
  /** Whether anybody can see the result; nothing is asked while not. */
  visible: () => boolean;
}

/** Tell subscribers when the answer of `ask` changes. Asks only while it is watched and visible; slows down on errors. */
export class RevisionPoll {
  private readonly listeners = new Set<(revision: string) => void>();
  private timer: ReturnType<typeof setTimeout> | null = null;
  private last: string | null = null;
  private failures = 0;

  constructor(
    private readonly ask: () => Promise<string>,
    private readonly options: PollOptions,
  ) {}

  subscribe(changed: (revision: string) => void): () => void {
    this.listeners.add(changed);
    if (this.listeners.size === 1) {
      this.schedule(this.options.interval_ms);
    }
    return () => {
      this.listeners.delete(changed);
      if (this.listeners.size === 0 && this.timer !== null) {
        clearTimeout(this.timer);
        this.timer = null;
      }
    };
  }

  /** Tell subscribers of a revision that became known in another way. */
  publish(revision: string): void {
    if (revision !== this.last) {
      this.last = revision;
      for (const listener of [...this.listeners]) {
        listener(revision);
      }
    }
  }

  /** Look now, whatever the time: somebody came back to the view. */
  async look(): Promise<void> {
    if (this.listeners.size > 0) {
      await this.ask().then(
        (revision) => this.publish(revision),
        () => undefined,
      );
    }
  }

  /** Tell subscribers to ask again although no revision says so: a server was started or stopped. */
  nudge(): void {
    for (const listener of [...this.listeners]) {
      listener("");
    }
  }

  private schedule(delay_ms: number): void {
    this.timer = setTimeout(() => void this.tick(), delay_ms);
  }

  private async tick(): Promise<void> {
    if (this.options.visible()) {
      try {
        this.publish(await this.ask());
        this.failures = 0;
      } catch {
        // The view's own requests show what is wrong; here it only matters not to hammer a server that is away.
        this.failures = Math.min(this.failures + 1, 5);
      }
    }
    if (this.listeners.size > 0) {
      this.schedule(this.options.interval_ms * 2 ** this.failures);
    }
  }
}

/** Whether an element is on screen at all: in the page, not display:none, in a tab that is looked at. */
export function isVisible(element: HTMLElement | null): boolean {
  if (element === null || !element.isConnected || document.visibilityState === "hidden") {
    return false;
  }
  return element.getClientRects().length > 0;
}
