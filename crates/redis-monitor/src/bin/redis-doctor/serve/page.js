// Keeps the page up to date: asks for it again and takes over what changed. Without this file the
// page reloads itself, and actions answer with the page.
'use strict';

const every = Number(document.body.dataset.everyMs);
const said = document.getElementById('said');
const form = document.getElementById('actions');
const pause = document.getElementById('pause');

// Takes over the state of another copy of this page, and keeps what is open and where the focus is.
function take(html) {
  const page = new DOMParser().parseFromString(html, 'text/html');
  const main = document.querySelector('main');
  const focused = main.contains(document.activeElement) ? document.activeElement : null;
  const open = new Set(Array.from(main.querySelectorAll('details[open]'), (details) => details.id));
  main.replaceChildren(...page.querySelector('main').childNodes);
  for (const details of main.querySelectorAll('details')) details.open = open.has(details.id);
  if (focused) {
    const same = (other) => other.value === focused.value && other.textContent === focused.textContent;
    Array.from(main.querySelectorAll(focused.tagName)).find(same)?.focus();
  }
  document.title = page.title;
  return page;
}

function say(text, kind) {
  if (said.textContent !== text) said.textContent = text;
  said.className = kind;
}

let busy = false;
async function refresh() {
  if (busy || document.hidden || pause.getAttribute('aria-pressed') === 'true') return;
  busy = true;
  try {
    const answer = await fetch('./');
    if (!answer.ok) throw new Error(answer.status);
    take(await answer.text());
    if (said.className === 'lost') say('', '');
  } catch {
    say('redis-doctor does not answer: what you see is old.', 'lost');
  }
  busy = false;
}

pause.hidden = false;
pause.setAttribute('aria-pressed', 'false');
pause.addEventListener('click', () => {
  const paused = pause.getAttribute('aria-pressed') !== 'true';
  pause.setAttribute('aria-pressed', String(paused));
  pause.textContent = paused ? 'Go on' : 'Pause';
});
// The notice of an action belongs to that action: it does not come back with a reload.
if (location.search) history.replaceState(null, '', './');

form?.addEventListener('submit', async (event) => {
  event.preventDefault();
  const asked = new URLSearchParams(new FormData(form));
  asked.set('do', event.submitter?.value ?? '');
  try {
    const answer = await fetch(form.action, { method: 'POST', body: asked });
    const page = take(await answer.text());
    const told = page.getElementById('said');
    say(told.textContent, told.className);
  } catch {
    say('redis-doctor does not answer; it may have been done.', 'lost');
  }
});

setInterval(refresh, every);
