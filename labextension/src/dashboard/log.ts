/** The last lines that the run wrote for people, folded. */

import type { RunRecord } from '../live/record';
import { make, setText, show } from './element';
import { formatClock } from './format';

export class Log {
  readonly element: HTMLElement;

  constructor() {
    this.element = make(
      'details',
      { class: 'lepton-fold' },
      make('summary', {}, 'Log', this._last),
      this._lines
    );
    this.element.addEventListener('toggle', () => this._toEnd());
  }

  draw(record: RunRecord): void {
    show(this.element, record.logs.length > 0);
    const fresh = record.logsSeen - this._seen;
    if (fresh <= 0) {
      return;
    }
    this._seen = record.logsSeen;
    const atEnd = this._lines.scrollTop + this._lines.clientHeight >= this._lines.scrollHeight - 4;
    for (const line of record.logs.slice(-fresh)) {
      this._lines.append(
        make(
          'div',
          { class: `lepton-log-line lepton-log-${/^\w+$/.test(line.level) ? line.level : 'info'}` },
          make('time', {}, formatClock(line.time)),
          line.message
        )
      );
    }
    while (this._lines.childElementCount > record.logs.length) {
      this._lines.firstElementChild?.remove();
    }
    setText(this._last, record.logs[record.logs.length - 1].message);
    if (atEnd) {
      this._toEnd();
    }
  }

  private _toEnd(): void {
    this._lines.scrollTop = this._lines.scrollHeight;
  }

  private readonly _last = make('span', { class: 'lepton-fold-hint' });
  private readonly _lines = make('div', {
    class: 'lepton-log',
    tabindex: '0',
    role: 'log',
    'aria-live': 'off'
  });
  private _seen = 0;
}
