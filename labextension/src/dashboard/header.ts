/** Who the run is, how it goes, and the stop button. */

import type { RunFeed } from '../live/feed';
import { ENDED, type Status, type Summary } from '../live/messages';
import { make, setText, show } from './element';
import { formatNumber, formatSpan } from './format';
import type { Drawer } from './pace';

const STATUS_WORDS: Record<Status, string> = {
  queued: 'Queued',
  running: 'Running',
  cancelling: 'Stopping',
  succeeded: 'Succeeded',
  failed: 'Failed',
  cancelled: 'Stopped',
  lost: 'Lost'
};
const STATUS_SIGNS: Record<Status, string> = {
  queued: '',
  running: '',
  cancelling: '',
  succeeded: '✓',
  failed: '✕',
  cancelled: '■',
  lost: '?'
};
const KIND_WORDS: Partial<Record<string, string>> = {
  train: 'Training',
  compile: 'Compilation',
  benchmark: 'Benchmark',
  sweep: 'Sweep'
};
const STAGE_WORDS: Partial<Record<string, string>> = {
  start: 'starting',
  data: 'reading data',
  preflight: 'checking data',
  model: 'loading the model',
  train: 'training',
  evaluate: 'evaluating',
  save: 'saving',
  reference: 'scoring the trained model',
  compile: 'compiling',
  latency: 'measuring latency',
  search: 'searching'
};

export class Header implements Drawer {
  readonly element: HTMLElement;

  constructor(
    private readonly _feed: RunFeed,
    private readonly _visible: () => boolean
  ) {
    this._status = make('span', { class: 'lepton-status', role: 'status' });
    this._stop = make('button', { class: 'lepton-button', type: 'button' }, 'Stop');
    this._stop.addEventListener('click', () => void this._cancel());
    const code = make('code', { class: 'lepton-run-id', title: 'Run' }, this._feed.run);
    this._bar = make('div', { class: 'lepton-bar-fill' });
    this._progress = make(
      'div',
      {
        class: 'lepton-bar',
        role: 'progressbar',
        'aria-label': 'Progress',
        'aria-valuemin': '0',
        'aria-valuemax': '100'
      },
      this._bar
    );
    this.element = make(
      'header',
      { class: 'lepton-header' },
      make(
        'div',
        { class: 'lepton-header-row' },
        this._title,
        this._subject,
        make('span', { class: 'lepton-space' }),
        this._note,
        code,
        this._status,
        this._stop
      ),
      this._progress,
      make('div', { class: 'lepton-facts' }, this._facts, make('span', { class: 'lepton-space' }), this._time)
    );
  }

  isVisible(): boolean {
    return this._visible();
  }

  draw(): void {
    const { record, connection } = this._feed;
    const view = record.view;
    if (view === null) {
      return;
    }
    const over = ENDED.has(view.status);
    if (this._status.dataset.status !== view.status) {
      this._status.dataset.status = view.status;
      this._status.replaceChildren(
        make('span', { class: 'lepton-status-sign', 'aria-hidden': 'true' }, STATUS_SIGNS[view.status]),
        STATUS_WORDS[view.status]
      );
    }
    setText(this._title, view.name ?? KIND_WORDS[view.kind] ?? view.kind);
    setText(this._subject, [view.name ? view.kind : null, view.task, view.model].filter(Boolean).join(' · '));
    this._drawProgress(view, over);
    setText(this._facts, facts(view, over));
    setText(this._time, times(view, over, record.toldAt));
    show(this._stop, !over);
    const stopping = view.status === 'cancelling' || this._asked;
    this._stop.disabled = stopping;
    setText(this._stop, stopping ? 'Stopping…' : 'Stop');
    const away = connection === 'retrying' || connection === 'connecting';
    setText(this._note, this._trouble || (away && !over ? 'Reconnecting…' : ''));
  }

  private _drawProgress(view: Summary, over: boolean): void {
    const share = view.progress;
    const percent = share === null ? null : Math.round(share * 1000) / 10;
    this._progress.dataset.state = over ? view.status : percent === null ? 'unknown' : view.status;
    this._bar.style.width = percent === null ? '' : `${percent}%`;
    if (percent === null) {
      this._progress.removeAttribute('aria-valuenow');
    } else {
      this._progress.setAttribute('aria-valuenow', String(Math.round(percent)));
    }
  }

  private async _cancel(): Promise<void> {
    this._asked = true;
    this._trouble = '';
    this.draw();
    try {
      await this._feed.cancel();
    } catch (reason) {
      this._asked = false;
      this._trouble = `Not stopped: ${reason instanceof Error ? reason.message : String(reason)}`;
    }
    this.draw();
  }

  private readonly _status: HTMLElement;
  private readonly _stop: HTMLButtonElement;
  private readonly _progress: HTMLElement;
  private readonly _bar: HTMLElement;
  private readonly _title = make('span', { class: 'lepton-title' });
  private readonly _subject = make('span', { class: 'lepton-subject' });
  private readonly _note = make('span', { class: 'lepton-note' });
  private readonly _facts = make('span');
  private readonly _time = make('span');
  private _asked = false;
  private _trouble = '';
}

function facts(view: Summary, over: boolean): string {
  const parts: string[] = [];
  if (view.status === 'queued') {
    const waitsFor = view.kind === 'train' ? null : view.parent; // the parent of a trial is its sweep
    parts.push(waitsFor ? `waits for its turn, after run ${waitsFor}` : 'waits for its turn');
  } else if (!over && view.stage) {
    parts.push(STAGE_WORDS[view.stage] ?? view.stage);
  }
  if (view.max_steps > 0 && !(over && view.step === 0)) {
    const done = `${formatNumber(view.step)} of ${formatNumber(view.max_steps)}`;
    parts.push(view.kind === 'sweep' ? `${done} trials` : `step ${done}`);
  }
  if (view.epoch !== null && view.epochs) {
    parts.push(`epoch ${Math.round(view.epoch * 100) / 100} of ${formatNumber(view.epochs)}`);
  }
  if (view.attempt > 1) {
    parts.push(`attempt ${view.attempt}`);
  }
  return parts.join('  ·  ');
}

function times(view: Summary, over: boolean, toldAt: number): string {
  const since = over || view.started === null ? 0 : (Date.now() - toldAt) / 1000;
  const parts: string[] = [];
  if (view.seconds !== null) {
    parts.push(formatSpan(view.seconds + since));
  }
  if (!over && view.seconds_left !== null) {
    parts.push(`about ${formatSpan(Math.max(0, view.seconds_left - since))} left`);
  }
  return parts.join('  ·  ');
}
