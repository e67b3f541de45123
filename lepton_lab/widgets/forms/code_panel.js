/** Buttons for each code; the one that is chosen is shown with a button that copies it. */

async function copy(text, from) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Outside a secure context there is no clipboard to write to; a selection can always be copied.
    getSelection().selectAllChildren(from);
    document.execCommand('copy');
  }
}

function button(text, act) {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = text;
  made.style.cssText =
    'font: inherit; padding: 3px 12px; border-radius: 3px; cursor: pointer; color: inherit; background: transparent;' +
    'border: 1px solid var(--jp-border-color1, rgba(128,128,128,.5))';
  made.addEventListener('click', act);
  return made;
}

function render({ model, el }) {
  el.classList.add('lepton-form-code');
  const bar = document.createElement('div');
  bar.style.cssText = 'display: flex; gap: 6px; align-items: center; flex-wrap: wrap; font-size: 13px; min-height: 32px';
  const code = document.createElement('pre');
  code.tabIndex = 0;
  code.style.cssText =
    'margin: 6px 0; padding: 8px 10px; overflow-x: auto; white-space: pre; max-height: 320px; border-radius: 3px;' +
    'background: var(--jp-layout-color2, rgba(128,128,128,.12)); border: none';

  function draw() {
    const codes = model.get('codes');
    const shown = model.get('shown');
    bar.replaceChildren(
      Object.assign(document.createElement('span'), { textContent: 'As code:' }),
      ...Object.keys(codes).map(title => {
        const made = button(title, () => {
          model.set('shown', title === model.get('shown') ? '' : title);
          model.save_changes();
        });
        made.setAttribute('aria-pressed', String(title === shown));
        if (title === shown) made.style.borderColor = 'var(--jp-brand-color1, #1976d2)';
        return made;
      })
    );
    if (shown) {
      const copier = button('Copy', async () => {
        await copy(code.textContent, code);
        copier.textContent = 'Copied';
      });
      bar.append(copier);
    }
    code.textContent = codes[shown] ?? '';
    code.hidden = !shown;
    code.setAttribute('aria-label', `The form as ${shown}`);
  }

  draw();
  el.append(bar, code);
  model.on('change:codes', draw);
  model.on('change:shown', draw);
  return () => {
    model.off('change:codes', draw);
    model.off('change:shown', draw);
  };
}

export default { render };
