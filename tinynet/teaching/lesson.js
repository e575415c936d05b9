// A lesson's page: predictions are marked, what came out is shown after them, and sliders choose among runs that were made.
// Must not compute anything of a lesson: every number and picture comes with the page.

const data = JSON.parse(document.getElementById('data').textContent);

for (const [index, experiment] of (data.experiments ?? []).entries()) start(document.getElementById(`experiment-${index}`), experiment);

function start(section, experiment) {
  const shown = section.querySelector('.shown');
  const skip = section.querySelector('.skip');
  shown.hidden = true;
  skip.hidden = false;
  skip.addEventListener('click', () => reveal(section));
  if (experiment.prediction.options) choices(section, experiment.prediction);
  else guess(section, experiment.prediction);
  knobs(section, experiment);
}

function reveal(section) {
  section.querySelector('.shown').hidden = false;
  section.querySelector('.skip').hidden = true;
}

function marked(section, right, words) {
  const mark = section.querySelector('.mark');
  mark.className = `mark ${right ? 'right' : 'wrong'}`;
  mark.textContent = words;
  reveal(section);
}

function choices(section, prediction) {
  const buttons = [...section.querySelectorAll('.options button')];
  for (const [index, button] of buttons.entries()) {
    button.disabled = false;
    button.addEventListener('click', () => {
      for (const other of buttons) other.disabled = true;
      button.classList.add('chosen');
      buttons[prediction.right].classList.add('right');
      const right = index === prediction.right;
      marked(section, right, right ? 'Right.' : `Not so: ${prediction.options[prediction.right]}`);
    });
  }
}

function guess(section, prediction) {
  const form = section.querySelector('.guess');
  const field = form.querySelector('input');
  field.disabled = form.querySelector('button').disabled = false;
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const said = read(field.value);
    if (said === null) {
      field.setAttribute('aria-invalid', 'true');
      section.querySelector('.mark').textContent = 'Write a number, such as 0.25 or 12000.';
      return;
    }
    field.removeAttribute('aria-invalid');
    field.disabled = form.querySelector('button').disabled = true;
    const off = Math.abs(said - prediction.right);
    const right = off <= prediction.margin * (1 + 1e-9);
    const words = right ? (off === 0 ? 'Right' : 'Close enough') : 'Not so';
    marked(section, right, `${words}: it is ${prediction.written}.`);
  });
}

// A number as people write it: 12,000 and −3 and 1e-3 too; null where it is none.
function read(text) {
  const plain = text.trim().replace(/−/g, '-').replace(/^([+-]?\d{1,3})((,\d{3})+)(?=$|\.)/, (all) => all.replace(/,/g, ''));
  return plain !== '' && Number.isFinite(Number(plain)) ? Number(plain) : null;
}

function knobs(section, experiment) {
  const places = experiment.sliders.map((slider) => slider.start);
  const show = () => {
    const frame = experiment.frames[places.reduce((at, place, i) => at * experiment.sliders[i].values.length + place, 0)];
    section.querySelector('.picture').innerHTML = frame.svg;
    section.querySelector('figcaption').textContent = frame.says;
  };
  for (const [i, slider] of experiment.sliders.entries()) {
    const knob = section.querySelectorAll('.knob')[i];
    const range = knob.querySelector('input');
    const buttons = [...knob.querySelectorAll('button')];
    const set = (place) => {
      places[i] = place;
      const words = slider.values[place];
      if (range) {
        range.value = place;
        range.setAttribute('aria-valuetext', words);
        knob.querySelector('output').textContent = words;
      }
      for (const [k, button] of buttons.entries()) button.setAttribute('aria-pressed', String(k === place));
    };
    if (range) range.addEventListener('input', () => (set(Number(range.value)), show()));
    for (const [k, button] of buttons.entries()) button.addEventListener('click', () => (set(k), show()));
    set(slider.start);
  }
}
