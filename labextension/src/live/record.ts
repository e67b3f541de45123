/**
 * What this page knows of one run, folded from the messages about it.
 */

import type { LogLine, Series, ServerMessage, Summary } from './messages';
import { append } from './series';

/** Log lines kept on the page. */
export const MAX_LOG_LINES = 500;

/** What became of a message: taken in, known already, or not to be understood without a snapshot. */
export type Outcome = 'taken' | 'known' | 'gap';

export class RunRecord {
  view: Summary | null = null;
  readonly series = new Map<string, Series>();
  logs: LogLine[] = [];
  /** Lines ever received; tells a drawer how many of `logs` are new. */
  logsSeen = 0;
  /** The card of the run's end. */
  card: { html: string; text: string } | null = null;
  /** Why this run cannot be shown. */
  refusal: string | null = null;
  /** Milliseconds (`Date.now()`) at which `view` was told. */
  toldAt = 0;

  private _sequence = -1;

  /** Take a message in. After `gap` only a snapshot is of use: ask for one. */
  apply(message: ServerMessage): Outcome {
    if (message.type === 'error') {
      this.refusal = message.message;
      return 'taken';
    }
    if (message.type === 'snapshot') {
      this._sequence = message.sequence;
      this._tell(message.view);
      this.series.clear();
      for (const [name, series] of Object.entries(message.series)) {
        this._grow(name, series);
      }
      this.logs = [];
      this._log(message.logs);
      this.refusal = null;
      this.card = null;
      return 'taken';
    }
    if (message.sequence <= this._sequence) {
      return 'known';
    }
    if (this._sequence < 0 || message.sequence > this._sequence + 1) {
      return 'gap';
    }
    this._sequence = message.sequence;
    this._tell(message.view ?? {});
    if (message.type === 'final') {
      this.card = { html: message.html, text: message.text };
      return 'taken';
    }
    for (const [name, series] of Object.entries(message.append ?? {})) {
      this._grow(name, series);
    }
    this._log(message.logs ?? []);
    return 'taken';
  }

  /** The last value of a curve, or null. */
  latest(name: string): number | null {
    const series = this.series.get(name);
    return series && series.values.length > 0 ? series.values[series.values.length - 1] : null;
  }

  private _tell(changed: Partial<Summary>): void {
    this.view = { ...(this.view ?? {}), ...changed } as Summary;
    this.toldAt = Date.now();
  }

  private _grow(name: string, more: Series): void {
    const series = this.series.get(name) ?? { steps: [], values: [] };
    this.series.set(name, series);
    append(series, more);
  }

  private _log(lines: readonly LogLine[]): void {
    this.logs = [...this.logs, ...lines].slice(-MAX_LOG_LINES);
    this.logsSeen += lines.length;
  }
}
