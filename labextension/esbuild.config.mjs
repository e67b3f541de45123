// Bundles what goes over the comm where our JupyterLab extension is not there:
// the anywidget module and the partial Plotly it asks for once a page.
import { build } from 'esbuild';

const production = process.argv.includes('--production');
const common = {
  bundle: true,
  format: 'esm',
  target: 'es2020',
  platform: 'browser',
  minify: production,
  legalComments: 'inline',
  loader: { '.css': 'text' },
  logLevel: 'warning'
};

await Promise.all([
  build({ ...common, entryPoints: ['src/widget.ts'], outfile: '../lepton_lab/widgets/static/widget.js' }),
  build({
    ...common,
    stdin: {
      contents: "export { default } from 'plotly.js-basic-dist-min';",
      resolveDir: '.',
      sourcefile: 'plotly.js'
    },
    outfile: '../lepton_lab/widgets/static/plotly.js'
  })
]);
