/** Components that are drawn anew only if something in them is another. */
import { Component, type ComponentType, type FunctionComponent, h } from "preact";

type Same<P> = (before: P, now: P) => boolean;

/** `Drawn`, drawn anew when `same` is false of what it was given, or when a signal that it reads changes. */
export function steady<P extends object>(Drawn: FunctionComponent<P>, same: Same<P>): ComponentType<P> {
  return class extends Component<P> {
    override shouldComponentUpdate(next: P): boolean {
      return !same(this.props as P, next);
    }

    override render() {
      return h(Drawn, this.props as P);
    }
  };
}

/** Whether two things have the same in each of these parts. */
export const sameIn =
  <P extends object>(keys: readonly (keyof P)[]): Same<P> =>
  (before, now) =>
    keys.every((key) => before[key] === now[key]);
