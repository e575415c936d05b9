// What can be changed on a served page. Every change is an act that the engine carries out; the page shows what comes back.
//
// Acts are sent one after the other, each with the revision of the state that it was meant for, so that page and engine
// cannot drift apart. Of several waiting acts with the same key (a slider on the move) only the last is sent.

class Live {
  constructor(page, state) {
    this.page = page;
    this.waiting = [];
    this.busy = false;
    this.running = false;
    this.place = byId("live");
    this.place.hidden = false;
    document.body.classList.add("with-live");
    this.kind = { expression: ExpressionPanel, points: PointsPanel, digits: DigitsPanel }[state.kind];
    this.take(state, false);
    this.build();
    page.onPick = (item) => this.panel.pick?.(item);
    if (!location.hash) page.state.time = page.graph.end; // whoever changes numbers wants to see what comes of it
    page.look();
    page.picture.fit();
    globalThis.live = this; // for those who want to try things from the console
  }

  build() {
    this.message = el("p", { class: "message", role: "alert" });
    this.counts = el("p", { class: "quiet" });
    this.curve = el("div");
    this.rate = field("learning rate", "number", { step: "any", min: 0, id: "rate" }, (text) =>
      this.send({ act: "lr", value: Number(text) }, "lr"),
    );
    this.runButton = el("button", { type: "button", id: "run", onclick: () => this.toggleRun() }, "Run");
    this.panel = new this.kind(this);
    const training = [
      el(
        "div",
        { class: "row" },
        el("button", { type: "button", id: "step", onclick: () => this.send({ act: "step" }) }, "One step"),
        this.runButton,
        el("button", { type: "button", id: "reset", onclick: () => this.send({ act: "reset" }) }, "Start afresh"),
      ),
      this.rate,
      this.counts,
      this.curve,
    ];
    this.place.replaceChildren(this.message, ...this.panel.build(training));
    this.draw();
  }

  // --- to the engine and back -------------------------------------------------------------------------------------

  /** Ask the engine for an act. Returns a promise of the state after it, null where it was refused. */
  send(act, key = null) {
    return new Promise((done) => {
      const later = key && this.waiting.find((other) => other.key === key);
      if (later) {
        later.act = act;
        later.done.push(done);
      } else this.waiting.push({ act, key, done: [done] });
      this.pump();
    });
  }

  async pump() {
    if (this.busy) return;
    this.busy = true;
    while (this.waiting.length) {
      const { act, done } = this.waiting.shift();
      const state = await this.ask(act);
      done.forEach((tell) => tell(state));
    }
    this.busy = false;
    if (!this.running) this.draw();
  }

  async ask(act) {
    let answer, state;
    try {
      answer = await fetch("act", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ ...act, revision: this.state.revision }),
      });
      state = await answer.json();
    } catch {
      this.say("The engine does not answer. Was tinynet play ended? Start it again; this page shows the last state.");
      return null;
    }
    if (answer.ok) {
      this.say(state.note || "");
      this.take(state);
      return state;
    }
    this.say(state.error || `The engine refused (${answer.status}).`);
    if (state.state) this.take(state.state);
    this.draw(true);
    return null;
  }

  take(state, redraw = true) {
    this.state = state;
    if (!redraw) return;
    if (state.run) {
      const { size: before, end } = this.page.graph;
      this.page.load(state.run);
      if (this.page.state.time >= end) this.page.state.time = this.page.graph.end;
      this.page.look();
      if (this.page.graph.size !== before) this.page.picture.fit();
    }
    this.draw();
  }

  say(text) {
    this.message.textContent = text;
  }

  draw(restore = false) {
    if (!this.panel) return;
    const { state } = this;
    write(this.rate, state.lr, restore);
    this.counts.textContent = `${counted(state.steps, "step")} taken; loss ${number(Number(state.loss))}`;
    const losses = [...state.history, state.loss].map(Number);
    this.curve.replaceChildren(...(losses.length > 1 ? [chart([losses], losses.length - 1, () => {}, "loss")] : []));
    this.runButton.textContent = this.running ? "Pause" : "Run";
    this.runButton.setAttribute("aria-pressed", this.running);
    this.panel.draw(state, restore);
  }

  async toggleRun() {
    this.running = !this.running;
    this.draw();
    while (this.running) {
      const state = await this.send({ act: "run", steps: this.panel.stride }, "run");
      if (!state || state.note) this.running = false;
      await new Promise((later) => setTimeout(later, 40));
    }
    this.draw();
  }
}

/** A labelled input that reports what was typed when it is done. */
function field(label, type, attributes, changed) {
  const input = el("input", { type, autocomplete: "off", ...attributes });
  input.addEventListener("change", () => {
    if (type !== "number" || (input.value !== "" && Number.isFinite(Number(input.value)))) {
      changed(input.value);
      return;
    }
    globalThis.live.say(`${label}: that is no number that can be computed with. It stays as it was.`);
    globalThis.live.draw(true);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") input.blur();
  });
  return el("label", { class: "field" }, el("span", {}, label), input);
}

function select(label, id, choices, changed) {
  const chosen = el("select", { id }, ...choices.map((name) => el("option", { value: name }, name)));
  chosen.addEventListener("change", () => changed(chosen.value));
  return el("label", { class: "field" }, el("span", {}, label), chosen);
}

/** Put a value into a field, unless somebody is typing there. */
function write(label, value, restore = false) {
  const input = label.querySelector("input, select");
  if (restore || document.activeElement !== input) input.value = value;
}

/** `tinynet play "(a*b + 10).tanh()"`: the expression, and a row for each of its leaves. */
class ExpressionPanel {
  constructor(live) {
    this.live = live;
    this.stride = 5;
    this.rows = new Map();
  }

  build(training) {
    this.text = field("expression", "text", { id: "expression", spellcheck: "false" }, async (text) => {
      const done = await this.live.send({ act: "expression", text, values: this.values() });
      const input = this.text.querySelector("input");
      input.setAttribute("aria-invalid", !done);
      if (!done) input.value = text; // to be mended, not to be typed again
    });
    this.table = el("tbody");
    return [
      el("h2", {}, "What is computed"),
      this.text,
      el("h2", {}, "Its leaves"),
      el(
        "table",
        { class: "leaves" },
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "name"), el("th", { scope: "col" }, "value"))),
        this.table,
      ),
      el("h2", {}, "Downhill"),
      ...training,
    ];
  }

  values() {
    return Object.fromEntries(this.live.state.leaves.filter((leaf) => leaf.variable).map((leaf) => [leaf.variable, leaf.value]));
  }

  draw(state, restore) {
    write(this.text, state.expression, restore);
    const nodes = state.leaves.map((leaf) => leaf.node).join();
    if (nodes !== this.nodes) {
      this.nodes = nodes;
      this.rows = new Map(
        state.leaves.map(({ node }) => [
          node,
          {
            name: field("name", "text", { "data-label": node, spellcheck: "false" }, (label) =>
              this.live.send({ act: "label", node, label }),
            ),
            value: field("value", "number", { step: "any", "data-value": node }, (text) =>
              this.live.send({ act: "value", node, value: Number(text) }, `value ${node}`),
            ),
          },
        ]),
      );
      this.table.replaceChildren(...[...this.rows.values()].map((row) => el("tr", {}, el("td", {}, row.name), el("td", {}, row.value))));
    }
    for (const { node, name, value } of state.leaves) {
      write(this.rows.get(node).name, name, restore);
      write(this.rows.get(node).value, value, restore);
    }
  }

  pick(item) {
    this.rows.get(item.node)?.value.querySelector("input").focus();
  }
}
