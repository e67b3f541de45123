/** The JupyterLab and Notebook 7 extension. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';

import { LiveSocket } from './live/socket';
import { MEDIA_TYPE, RunRenderer } from './renderer';

/** Draws the runs in notebooks, live. */
const runs: JupyterFrontEndPlugin<void> = {
  id: 'lepton-lab:runs',
  description: 'Shows runs of Lepton Lab live in notebooks',
  autoStart: true,
  requires: [IRenderMimeRegistry],
  activate: (app: JupyterFrontEnd, registry: IRenderMimeRegistry) => {
    const socket = new LiveSocket(app.serviceManager.serverSettings);
    registry.addFactory(
      {
        safe: true, // shows saved markup only in a frame without scripts
        mimeTypes: [MEDIA_TYPE],
        defaultRank: 10, // before the card in text/html
        createRenderer: () => new RunRenderer(socket)
      },
      10
    );
  }
};

export default [runs];
