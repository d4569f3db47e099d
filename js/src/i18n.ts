/** All text that people read goes through `trans`, in the form of JupyterLab's translation bundles. */
export interface Translator {
  __(text: string, ...values: (string | number)[]): string;
  _n(one: string, many: string, count: number, ...values: (string | number)[]): string;
}

const fill = (text: string, values: (string | number)[]): string =>
  text.replace(/%(\d)/g, (all, index: string) => {
    const value = values[Number(index) - 1];
    return value === undefined ? all : String(value);
  });

const english: Translator = {
  __: (text, ...values) => fill(text, values),
  _n: (one, many, count, ...values) => fill(count === 1 ? one : many, [count, ...values]),
};

let current: Translator = english;

/** Use the host's translations from now on. */
export function setTranslator(translator: Translator): void {
  current = translator;
}

/** The one way to a text: `trans.__("Stop")`, `trans._n("%1 run", "%1 runs", n)`. */
export const trans: Translator = {
  __: (text, ...values) => current.__(text, ...values),
  _n: (one, many, count, ...values) => current._n(one, many, count, ...values),
};
