/** What went wrong and what deserves a look. */

import type { Problem, Summary } from '../live/messages';
import { make, show } from './element';
import { isObject } from './table';

export class Notices {
  readonly element = make('div', { class: 'lepton-notices' });

  draw(view: Summary): void {
    const warnings = findWarnings(view);
    const shape = JSON.stringify([view.status, view.message, view.problems, warnings]);
    if (shape === this._shape) {
      return;
    }
    this._shape = shape;
    const boxes: HTMLElement[] = [];
    const bad = view.status === 'failed' || view.status === 'lost';
    if (bad || ((view.problems.length > 0 || view.message !== '') && view.status !== 'running')) {
      const message = view.message.trim();
      boxes.push(
        make(
          'div',
          { class: bad ? 'lepton-notice lepton-notice-bad' : 'lepton-notice', role: bad ? 'alert' : 'note' },
          message ? make('p', { class: 'lepton-notice-message' }, message) : null,
          problemList(view.problems.filter(problem => !message.includes(problemText(problem))))
        )
      );
    }
    if (warnings.length > 0) {
      boxes.push(
        make('div', { class: 'lepton-notice lepton-notice-warning', role: 'note' }, problemList(warnings))
      );
    }
    this.element.replaceChildren(...boxes);
    show(this.element, boxes.length > 0);
  }

  private _shape = '';
}

function problemText(problem: Problem): string {
  return (problem.what ?? '').replace(/\.$/, '');
}

function problemList(problems: readonly Problem[]): HTMLElement | null {
  if (problems.length === 0) {
    return null;
  }
  return make(
    'ul',
    {},
    ...problems.map(problem =>
      make(
        'li',
        {},
        make('span', {}, `${problemText(problem)}${problem.got ? `, got ${problem.got}` : ''}.`),
        problem.do ? make('span', { class: 'lepton-notice-do' }, ` ${problem.do}`) : null
      )
    )
  );
}

const MOST_WARNINGS = 12;

function findWarnings(view: Summary): Problem[] {
  const found = Object.values(view.reports).flatMap((report): unknown[] =>
    isObject(report) && Array.isArray(report.warnings) ? report.warnings : []
  );
  return found
    .slice(0, MOST_WARNINGS)
    .map(each => (isObject(each) ? (each as Problem) : { what: String(each) }));
}
