/** How the interface talks to a store, whatever lies between: the only thing a component knows of its host. */
import type { Answers, AnyRequest, Failure, Reply } from "./wire";

export interface Client {
  /** Whether this only shows what was saved: nothing can be asked anew, and nothing changed. */
  readonly saved?: boolean;
  /** Ask; rejects with a {@link CallError} that says what to do. */
  call<R extends AnyRequest>(request: R): Promise<Answers[R["op"]]>;
  /** The address of something that the Jupyter server hands out, given by its path below the base URL. */
  href?(path: string): string;
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

interface Watcher {
  changed: (revision: string) => void;
  visible: () => boolean;
  seen: string | null;
}

/**
 * Tell watchers when the answer of `ask` changes. Asks only while one of them can be seen, tells the others when they
 * come into sight, and slows down on errors.
 */
export class RevisionPoll {
  private readonly watchers = new Set<Watcher>();
  private timer: ReturnType<typeof setTimeout> | null = null;
  private failures = 0;

  constructor(
    private readonly ask: () => Promise<string>,
    private readonly interval_ms: () => number,
  ) {}

  get watched(): boolean {
    return this.watchers.size > 0;
  }

  subscribe(changed: (revision: string) => void, visible: () => boolean): () => void {
    const watcher: Watcher = { changed, visible, seen: null };
    this.watchers.add(watcher);
    if (this.timer === null) {
      this.schedule();
    }
    return () => {
      this.watchers.delete(watcher);
      if (!this.watched && this.timer !== null) {
        clearTimeout(this.timer);
        this.timer = null;
      }
    };
  }

  /** Tell all watchers of a revision that became known in another way. */
  publish(revision: string): void {
    this.tell(revision, [...this.watchers]);
  }

  /** Look now, whatever the time: somebody came back to the view. */
  async look(): Promise<void> {
    if (this.watched) {
      await this.ask().then(
        (revision) => this.publish(revision),
        () => undefined,
      );
    }
  }

  /** Tell watchers to ask again although no revision says so: a server was started or stopped. */
  nudge(): void {
    for (const watcher of [...this.watchers]) {
      watcher.changed("");
    }
  }

  private tell(revision: string, watchers: readonly Watcher[]): void {
    for (const watcher of watchers) {
      if (watcher.seen !== revision) {
        watcher.seen = revision;
        watcher.changed(revision);
      }
    }
  }

  private schedule(): void {
    this.timer = setTimeout(() => void this.tick(), this.interval_ms() * 2 ** this.failures);
  }

  private async tick(): Promise<void> {
    const visible = [...this.watchers].filter((watcher) => watcher.visible());
    if (visible.length > 0) {
      try {
        const revision = await this.ask();
        this.tell(
          revision,
          visible.filter((watcher) => this.watchers.has(watcher)),
        );
        this.failures = 0;
      } catch (error) {
        if (failureOf(error).code === "no_store") {
          this.tell("", visible); // an answer like any other: soon there may be one
          this.failures = 0;
        } else {
          // The view's own requests show what is wrong; here it only matters not to hammer a server that is away.
          this.failures = Math.min(this.failures + 1, 5);
        }
      }
    }
    this.timer = null;
    if (this.watched) {
      this.schedule();
    }
  }
}

/** Whether any of an element is on screen: in the page, shown, not scrolled away, in a tab that is looked at. */
export function isVisible(element: HTMLElement | null): boolean {
  if (element === null || !element.isConnected || document.visibilityState === "hidden") {
    return false;
  }
  const { top, bottom, width, height } = element.getBoundingClientRect();
  return width + height > 0 && bottom >= 0 && top <= window.innerHeight;
}
