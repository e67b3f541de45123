/** The anywidget entry: the same view over the kernel's comm, for hosts without our server extension. */

import css from '../style/dashboard.css';

import { CommTransport, plotlyOverComm, type WidgetModel } from './live/comm';
import { RunFeed } from './live/feed';
import { showRun } from './view';

function render({ model, el }: { model: WidgetModel; el: HTMLElement }): () => void {
  const style = document.createElement('style');
  style.textContent = css;
  const host = document.createElement('div');
  el.append(style, host);
  const feed = new RunFeed(String(model.get('run')), new CommTransport(model));
  return showRun(host, feed, { loadPlotly: () => plotlyOverComm(model) });
}

export default { render };
