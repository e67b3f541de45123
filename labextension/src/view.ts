/** A run on a page: its saved card until the first snapshot comes, its dashboard from then on. */

import { makeCard } from './dashboard/card';
import { Dashboard } from './dashboard/dashboard';
import { make, setText, show } from './dashboard/element';
import type { PlotlyLoader } from './dashboard/plotly';
import type { RunFeed } from './live/feed';

export interface ViewOptions {
  loadPlotly: PlotlyLoader;
  /** The card in the saved notebook, or nothing. */
  card?: string;
  /** Told once a run has ended, with the card to keep. */
  onFinal?(card: { html: string; text: string }, status: string): void;
}

/** Show `feed` in `host` until the answer is called. */
export function showRun(host: HTMLElement, feed: RunFeed, options: ViewOptions): () => void {
  let dashboard: Dashboard | null = null;
  let told: object | null = null;
  const card = options.card ? makeCard(options.card) : null;
  const note = make('div', { class: 'lepton-saved', role: 'note' });
  const saved = make('div', { class: 'lepton-run lepton-run-saved', 'data-run': feed.run }, card, note);
  host.append(saved);

  const update = (): void => {
    const { record } = feed;
    if (record.view !== null && dashboard === null) {
      dashboard = new Dashboard(feed, options.loadPlotly);
      host.replaceChildren(dashboard.element);
    }
    if (dashboard === null) {
      const words = waitingWords(feed, card !== null);
      setText(note, words);
      show(note, words !== '');
    }
    if (record.card !== null && record.card !== told && record.view !== null) {
      told = record.card;
      options.onFinal?.(record.card, record.view.status);
    }
  };
  const stop = feed.onChange(update);
  update();

  return () => {
    stop();
    dashboard?.dispose();
    feed.dispose();
    host.replaceChildren();
  };
}

function waitingWords(feed: RunFeed, hasCard: boolean): string {
  if (feed.record.refusal !== null) {
    return hasCard
      ? `As saved. This server does not have run ${feed.run}.`
      : `This server does not have run ${feed.run}.`;
  }
  if (feed.connection === 'absent') {
    return hasCard
      ? 'As saved. Lepton Lab is not enabled on this server.'
      : 'Lepton Lab is not enabled on this server.';
  }
  return hasCard ? '' : `Run ${feed.run}`;
}
