/** The live view of one run, whatever brings the messages. */

import type { RunFeed } from '../live/feed';
import { ENDED, type Summary } from '../live/messages';
import { Candidates } from './candidates';
import { drawCurves, SWEEP_CHARTS, TRAINING_CHARTS } from './curves';
import { make } from './element';
import { Header } from './header';
import { Latency } from './latency';
import { Log } from './log';
import { Notices } from './notices';
import { pace, type Drawer } from './pace';
import { Plot } from './plot';
import { plotlyOncePerPage, type Plotly, type PlotlyLoader } from './plotly';
import { Preflight } from './preflight';
import { Results } from './results';
import { onThemeChange } from './theme';
import { Trials } from './trials';

/** The eye is on the loss; what stands beside it is drawn less often. */
const ASIDE_INTERVAL_MS = 500;

export class Dashboard implements Drawer {
  readonly element: HTMLElement;

  /** `feed` must have its first snapshot. */
  constructor(
    private readonly _feed: RunFeed,
    private readonly _loadPlotly: PlotlyLoader
  ) {
    const kind = _feed.record.view?.kind ?? 'train';
    const visible = (): boolean => this._visible;
    this._header = new Header(_feed, visible);
    if (kind === 'benchmark') {
      this._latency = new Latency(
        () => _feed.record.view,
        visible,
        () => this._update()
      );
    } else if (kind === 'compile') {
      this._candidates = new Candidates();
    } else {
      this._trials = kind === 'sweep' ? new Trials() : null;
      this._plots = (kind === 'sweep' ? SWEEP_CHARTS : TRAINING_CHARTS).map(
        (chart, i) =>
          new Plot(
            chart.title,
            () => drawCurves(chart, _feed.record),
            visible,
            null,
            i === 0 ? 0 : ASIDE_INTERVAL_MS
          )
      );
    }
    this.element = make(
      'div',
      // Keys pressed in here are ours: JupyterLab must not take "d d" for "delete the cell".
      { class: 'lepton-run', 'data-kind': kind, 'data-run': _feed.run, 'data-lm-suppress-shortcuts': 'true' },
      this._header.element,
      this._notices.element,
      this._results.element,
      this._plots.length > 0
        ? make(
            'div',
            { class: this._plots.length > 1 ? 'lepton-plots' : 'lepton-plots lepton-plots-one' },
            ...this._plots.map(plot => plot.element)
          )
        : null,
      this._latency?.element ?? null,
      this._candidates?.element ?? null,
      this._trials?.element ?? null,
      this._preflight.element,
      this._log.element
    );
    this._stops.push(
      _feed.onChange(() => this._update()),
      onThemeChange(() => this._update())
    );
    this._clock = setInterval(() => {
      const view = _feed.record.view;
      if (view !== null && !ENDED.has(view.status)) {
        pace.request(this._header);
      }
    }, 1000);
    this._watchSight();
    this._update();
  }

  isVisible(): boolean {
    return this._visible;
  }

  /** Draw what is not a chart. */
  draw(): void {
    const { record } = this._feed;
    const view = record.view;
    if (view === null) {
      return;
    }
    this._notices.draw(view);
    this._results.draw(view);
    this._latency?.draw(view);
    this._candidates?.draw(view);
    this._trials?.draw(view);
    this._preflight.draw(view);
    this._log.draw(record);
  }

  dispose(): void {
    clearInterval(this._clock);
    this._sight?.disconnect();
    this._stops.forEach(stop => stop());
    this._plots.forEach(plot => plot.dispose());
    this._latency?.dispose();
    pace.forget(this);
    pace.forget(this._header);
    this._disposed = true;
  }

  private _update(): void {
    const status = this._feed.record.view?.status ?? null;
    if (status !== this._status) {
      // Out of sight too, the words are true at the start and at the end: people search and print pages.
      this._status = status;
      this._header.draw();
      this.draw();
    }
    pace.request(this._header);
    pace.request(this);
    this._plots.forEach(plot => pace.request(plot));
    if (this._latency) {
      pace.request(this._latency.plot);
    }
    if (!this._asked && this._visible && this._hasPoints()) {
      this._asked = true;
      void this._fetchPlotly();
    }
  }

  private _hasPoints(): boolean {
    const view: Summary | null = this._feed.record.view;
    return this._feed.record.series.size > 0 || Object.keys(view?.latency ?? {}).length > 0;
  }

  private async _fetchPlotly(): Promise<void> {
    let plotly: Plotly;
    try {
      plotly = await plotlyOncePerPage(this._loadPlotly);
    } catch {
      this.element.dataset.plotly = 'missing'; // the numbers are there all the same
      return;
    }
    if (!this._disposed) {
      this._plots.forEach(plot => plot.use(plotly));
      this._latency?.use(plotly);
    }
  }

  /** Out of sight nothing is drawn; back in sight everything is. */
  private _watchSight(): void {
    if (typeof IntersectionObserver !== 'function') {
      this._visible = true;
      return;
    }
    this._sight = new IntersectionObserver(
      entries => {
        this._visible = entries[entries.length - 1].isIntersecting;
        if (this._visible) {
          this._update();
        }
      },
      { rootMargin: '200px' }
    );
    this._sight.observe(this.element);
  }

  private readonly _header: Header;
  private readonly _notices = new Notices();
  private readonly _results = new Results();
  private readonly _preflight = new Preflight();
  private readonly _log = new Log();
  private readonly _plots: Plot[] = [];
  private readonly _latency: Latency | null = null;
  private readonly _candidates: Candidates | null = null;
  private readonly _trials: Trials | null = null;
  private readonly _stops: (() => void)[] = [];
  private readonly _clock: ReturnType<typeof setInterval>;
  private _sight: IntersectionObserver | null = null;
  private _visible = false;
  private _status: string | null = null;
  private _asked = false;
  private _disposed = false;
}
