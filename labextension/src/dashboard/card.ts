/** The saved card of a run, shown where nothing live is to be had. */

import { make } from './element';

/**
 * The card in a frame that runs no scripts, loads nothing, and takes the colours of the page.
 *
 * A notebook comes from anywhere: what it says is its card is not to be trusted.
 */
export function makeCard(html: string): HTMLElement {
  const frame = make('iframe', {
    class: 'lepton-frame',
    sandbox: 'allow-same-origin',
    title: 'Run, as saved'
  });
  frame.addEventListener('load', () => fit(frame));
  frame.srcdoc = '';
  // Colours are known once the frame is in the page.
  requestAnimationFrame(() => {
    frame.srcdoc = page(html, frame.parentElement ?? document.body);
  });
  return frame;
}

function page(html: string, host: Element): string {
  const style = getComputedStyle(host);
  const names = new Set([...html.matchAll(/var\(\s*(--[\w-]+)/g)].map(match => match[1]));
  const values = [...names]
    .map(name => [name, style.getPropertyValue(name).trim()])
    .filter(([, value]) => value !== '' && !/[<>{}]/.test(value))
    .map(([name, value]) => `${name}:${value}`)
    .join(';');
  const policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
  return (
    `<!doctype html><meta http-equiv="Content-Security-Policy" content="${policy}">` +
    `<style>:root{${values}}body{margin:0;color:${style.color};font:${style.font.replace(/[<>{}]/g, '')}}</style>` +
    `<body>${html}</body>`
  );
}

function fit(frame: HTMLIFrameElement): void {
  const inside = frame.contentDocument?.documentElement;
  if (inside) {
    frame.style.height = `${inside.scrollHeight}px`;
  }
}
