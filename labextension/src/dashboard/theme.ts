/** The colours and fonts of the host, read from the style sheet for Plotly. */

import type { Layout } from './plotly';

export interface Theme {
  ink: string;
  muted: string;
  grid: string;
  surface: string;
  font: string;
  /** Safe for the colour-blind, told apart by lightness too. */
  series: string[];
}

/** The theme as `element` sees it. */
export function readTheme(element: Element): Theme {
  const style = getComputedStyle(element);
  const read = (name: string): string => style.getPropertyValue(name).trim();
  return {
    ink: read('--lepton-ink') || '#212121',
    muted: read('--lepton-muted') || '#616161',
    grid: read('--lepton-grid') || '#e0e0e0',
    surface: read('--lepton-surface') || '#ffffff',
    font: read('--lepton-font') || 'sans-serif',
    series: [1, 2, 3, 4].map(n => read(`--lepton-series-${n}`) || '#0072b2')
  };
}

/** Tells when the host changes its theme; the answer stops telling. */
export function onThemeChange(listener: () => void): () => void {
  // The host sets the attribute before or after its new style sheet is in force: look again a little later.
  let timer: ReturnType<typeof setTimeout> | null = null;
  const tell = (): void => {
    listener();
    if (timer !== null) {
      clearTimeout(timer);
    }
    timer = setTimeout(listener, 400);
  };
  const observer = new MutationObserver(tell);
  const attributeFilter = [
    'class',
    'theme',
    'data-jp-theme-name',
    'data-jp-theme-light',
    'data-vscode-theme-kind'
  ];
  observer.observe(document.body, { attributes: true, attributeFilter });
  observer.observe(document.documentElement, { attributes: true, attributeFilter });
  const media = typeof matchMedia === 'function' ? matchMedia('(prefers-color-scheme: dark)') : null;
  media?.addEventListener('change', tell);
  return () => {
    observer.disconnect();
    media?.removeEventListener('change', tell);
    if (timer !== null) {
      clearTimeout(timer);
    }
  };
}

/** What every chart looks like. */
export function baseLayout(theme: Theme, width: number, height: number): Layout {
  const axis = {
    color: theme.muted,
    gridcolor: theme.grid,
    linecolor: theme.grid,
    zeroline: false,
    exponentformat: 'e',
    minexponent: 4,
    nticks: Math.max(3, Math.round(width / 90)),
    // Margins that are measured cost a second layout for each redraw, and charts would not line up.
    automargin: false
  };
  return {
    width,
    height,
    paper_bgcolor: 'rgba(0,0,0,0)',
    plot_bgcolor: 'rgba(0,0,0,0)',
    font: { family: theme.font, size: 11, color: theme.muted },
    margin: { l: 54, r: 12, t: 6, b: 22, pad: 2 },
    showlegend: false,
    hovermode: 'x unified',
    hoverlabel: {
      bgcolor: theme.surface,
      bordercolor: theme.grid,
      font: { family: theme.font, size: 12, color: theme.ink }
    },
    dragmode: 'zoom',
    xaxis: { ...axis, showgrid: false, ticks: 'outside', ticklen: 3, tickcolor: theme.grid, showline: true },
    yaxis: { ...axis, nticks: Math.max(3, Math.round(height / 36)) }
  };
}
