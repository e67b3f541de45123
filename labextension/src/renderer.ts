/** The output of a run in a notebook: what JupyterLab calls for our media type. */

import type { IRenderMime } from '@jupyterlab/rendermime';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import type { Plotly } from './dashboard/plotly';
import { RunFeed } from './live/feed';
import type { LiveSocket } from './live/socket';
import { showRun } from './view';

export const MEDIA_TYPE = 'application/vnd.lepton-lab.run+json';

/** What a cell's output says: which run, and, once it has ended, how. */
interface RunOutput {
  run: string;
  home?: string;
  final?: string;
}

export class RunRenderer extends Widget implements IRenderMime.IRenderer {
  constructor(private readonly _socket: LiveSocket) {
    super();
    this.addClass('lepton-output');
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const output = model.data[MEDIA_TYPE] as RunOutput | undefined;
    this._model = model;
    if (output === undefined || typeof output.run !== 'string' || output.run === this._run) {
      return Promise.resolve();
    }
    this._stop();
    this._run = output.run;
    const card = model.data['text/html'];
    const feed = new RunFeed(output.run, this._socket.transport(output.run));
    this._stop = showRun(this.node, feed, {
      loadPlotly: async () => {
        const module = (await import('plotly.js-basic-dist-min')) as unknown as { default: Plotly };
        return module.default;
      },
      card: Array.isArray(card) ? card.join('') : typeof card === 'string' ? card : undefined,
      onFinal: (final, status) => this._keep(final, status)
    });
    return Promise.resolve();
  }

  dispose(): void {
    this._stop();
    this._stop = () => undefined;
    super.dispose();
  }

  protected onCloseRequest(message: Message): void {
    super.onCloseRequest(message);
    this.dispose();
  }

  /** Write the card of the end into the notebook, once: opening it again must not change it. */
  private _keep(card: { html: string; text: string }, status: string): void {
    const model = this._model;
    const output = model?.data[MEDIA_TYPE] as RunOutput | undefined;
    if (!model || output === undefined || output.final === status) {
      return;
    }
    model.setData({
      data: {
        ...model.data,
        [MEDIA_TYPE]: { ...output, final: status },
        'text/html': card.html,
        'text/plain': card.text
      }
    });
  }

  private _model: IRenderMime.IMimeModel | null = null;
  private _run = '';
  private _stop: () => void = () => undefined;
}
