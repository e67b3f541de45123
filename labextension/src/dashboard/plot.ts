/**
 * One chart: a titled frame with its numbers in the heading, drawn by Plotly when that is there.
 */

import { make, setText, show } from './element';
import { pace, type Drawer } from './pace';
import { type Layout, type PlotElement, type Plotly, type Trace } from './plotly';
import { baseLayout, readTheme, type Theme } from './theme';

/** A number in a chart's heading; with a colour it is also the legend. */
export interface Figure {
  label: string;
  value: string;
  unit?: string;
  /** 1 to 4, or 0 for none. */
  series: number;
  /** How the line is drawn, so that colour is not all that tells lines apart. */
  mark?: 'line' | 'dots';
}

/** What a chart shows now. */
export interface Drawing {
  figures: Figure[];
  /** In words, for who cannot see it. */
  description: string;
  /** Shown instead of a chart when there are no traces. */
  empty: string;
  traces(theme: Theme): Trace[];
  /** Laid over the common layout; axes are joined. */
  layout?(theme: Theme): Layout;
}

type Range = [number, number];

export class Plot implements Drawer {
  readonly element: HTMLElement;

  constructor(
    title: string,
    private readonly _drawing: () => Drawing,
    private readonly _dashboardVisible: () => boolean,
    extra: HTMLElement | null = null,
    readonly interval: number = 0
  ) {
    const heading = make('div', { class: 'lepton-plot-title' }, title);
    this._canvas = make('div', {
      class: 'lepton-plot-canvas',
      tabindex: '0',
      role: 'img',
      'aria-keyshortcuts': '+ - ArrowLeft ArrowRight 0'
    });
    const head = make('div', { class: 'lepton-plot-head' }, heading, extra, this._figures);
    this.element = make(
      'section',
      { class: 'lepton-plot', 'aria-label': title },
      head,
      this._empty,
      this._canvas
    );
    this._title = title;
    this._canvas.addEventListener('keydown', event => this._key(event));
    this._canvas.addEventListener('pointerdown', () => {
      this._dragging = true;
      const release = (): void => {
        window.removeEventListener('pointerup', release, true);
        window.removeEventListener('pointercancel', release, true);
        this._dragging = false;
        pace.request(this);
      };
      window.addEventListener('pointerup', release, true);
      window.addEventListener('pointercancel', release, true);
    });
    if (typeof ResizeObserver === 'function') {
      this._resize = new ResizeObserver(() => pace.request(this));
      this._resize.observe(this.element);
    }
  }

  /** Plotly has come. */
  use(plotly: Plotly): void {
    this._plotly = plotly;
    pace.request(this);
  }

  isVisible(): boolean {
    return this._dashboardVisible();
  }

  draw(): void {
    const drawing = this._drawing();
    this._drawFigures(drawing.figures);
    const label = `${this._title}. ${drawing.description}`;
    if (this._canvas.getAttribute('aria-label') !== label) {
      this._canvas.setAttribute('aria-label', label);
    }
    const width = this._canvas.clientWidth || this.element.clientWidth;
    const height = this._canvas.clientHeight || 120;
    const theme = readTheme(this.element);
    const traces = this._plotly && !this._dragging && width > 0 ? drawing.traces(theme) : [];
    setText(this._empty, drawing.empty);
    show(this._empty, drawing.empty !== '');
    if (!this._plotly || traces.length === 0) {
      return;
    }
    const layout = baseLayout(theme, width, height);
    const own = drawing.layout?.(theme) ?? {};
    for (const [name, value] of Object.entries(own)) {
      const isAxis = name === 'xaxis' || name === 'yaxis';
      layout[name] = isAxis ? { ...(layout[name] as Layout), ...(value as Layout) } : value;
    }
    // The reader's zoom outlives every redraw: it is part of what is drawn.
    for (const [name, range] of Object.entries(this._zoom)) {
      layout[name] = { ...(layout[name] as Layout), range: range.slice(), autorange: false };
    }
    this._plotly.react(this._canvas, traces, layout, CONFIG).catch(() => {
      setText(this._empty, 'This chart cannot be drawn; the numbers above are right.');
      show(this._empty, true);
    });
    if (!this._listening) {
      this._listening = true;
      this._canvas.on?.('plotly_relayout', changes => this._relayout(changes));
    }
  }

  dispose(): void {
    pace.forget(this);
    this._resize?.disconnect();
    this._plotly?.purge(this._canvas);
  }

  private _drawFigures(figures: Figure[]): void {
    const shape = figures
      .map(each => `${each.label}/${each.unit ?? ''}/${each.series}/${each.mark ?? ''}`)
      .join('|');
    if (shape !== this._shape) {
      this._shape = shape;
      this._figures.replaceChildren(
        ...figures.map(each =>
          make(
            'span',
            { class: 'lepton-figure' },
            each.series > 0
              ? make('span', {
                  class: `lepton-swatch lepton-series-${each.series} lepton-mark-${each.mark ?? 'line'}`,
                  'aria-hidden': 'true'
                })
              : null,
            each.label ? make('span', { class: 'lepton-figure-label' }, each.label) : null,
            make('span', { class: 'lepton-figure-value' }),
            each.unit ? make('span', { class: 'lepton-figure-label' }, each.unit) : null
          )
        )
      );
    }
    figures.forEach((each, i) => {
      const value = this._figures.children[i].querySelector('.lepton-figure-value');
      if (value !== null) {
        setText(value, each.value);
      }
    });
  }

  private _relayout(changes: Record<string, unknown>): void {
    for (const name of ['xaxis', 'yaxis']) {
      if (changes[`${name}.autorange`] === true) {
        this._zoom = {};
      } else if (typeof changes[`${name}.range[0]`] === 'number') {
        this._zoom = {
          ...this._zoom,
          [name]: [changes[`${name}.range[0]`], changes[`${name}.range[1]`]] as Range
        };
      }
    }
  }

  private _key(event: KeyboardEvent): void {
    const range = this._canvas.layout?.xaxis?.range;
    if (range === undefined || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const [from, to] = range.map(Number);
    const span = to - from;
    const moves: Record<string, Range> = {
      '+': [from + span / 6, to - span / 6],
      '=': [from + span / 6, to - span / 6],
      '-': [from - span / 4, to + span / 4],
      ArrowLeft: [from - span / 8, to - span / 8],
      ArrowRight: [from + span / 8, to + span / 8]
    };
    if (event.key === '0' || event.key === 'Home') {
      this._zoom = {};
    } else if (event.key in moves) {
      this._zoom = { ...this._zoom, xaxis: moves[event.key] };
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    pace.request(this);
  }

  private readonly _title: string;
  private readonly _canvas: PlotElement;
  private readonly _figures = make('div', { class: 'lepton-figures' });
  private readonly _empty = make('div', { class: 'lepton-plot-empty' });
  private readonly _resize: ResizeObserver | null = null;
  private _plotly: Plotly | null = null;
  private _zoom: Record<string, Range> = {};
  private _dragging = false;
  private _listening = false;
  private _shape = '';
}

const CONFIG = { displayModeBar: false, responsive: false, doubleClick: 'reset+autosize', showTips: false };
