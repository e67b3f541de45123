/** The part of Plotly that is used, and its loading: once a page, whoever asks first. */

export type Trace = Record<string, unknown>;
export type Layout = Record<string, unknown>;

export interface Plotly {
  react(
    element: HTMLElement,
    data: Trace[],
    layout: Layout,
    config: Record<string, unknown>
  ): Promise<unknown>;
  purge(element: HTMLElement): void;
}

/** What Plotly adds to the element it draws in. */
export interface PlotElement extends HTMLElement {
  layout?: { xaxis?: { range?: [number, number] } };
  on?(event: 'plotly_relayout', listener: (changes: Record<string, unknown>) => void): void;
}

export type PlotlyLoader = () => Promise<Plotly>;

const KEY = Symbol.for('lepton-lab.plotly');
const page = globalThis as unknown as Record<symbol, Promise<Plotly> | undefined>;

/** Load Plotly, or share what another view of this page loaded. */
export function plotlyOncePerPage(load: PlotlyLoader): Promise<Plotly> {
  const known = page[KEY];
  if (known !== undefined) {
    return known;
  }
  const loading = load();
  page[KEY] = loading;
  loading.catch(() => {
    page[KEY] = undefined; // the next view tries again
  });
  return loading;
}
