// The page: what is in sight, at which moment, and the controls.

class Page {
  constructor(data) {
    this.picture = new Picture(byId("graph"), {
      open: (item) => this.open(item),
      point: (item) => this.point(item),
      pick: (item) => this.pick(item),
    });
    this.playing = null;
    this.address = new Address();
    this.load(data);
    this.bind();
    this.state = this.address.read();
    this.look(true);
  }

  /** Take another run, or the same one after an edit; the place and the moment stay where they can. */
  load(data) {
    this.run = new Run(data);
    this.trees = new Map();
    this.predictions = new Predictions(); // what was answered was answered of other numbers
    byId("title").textContent = this.run.title;
    document.title = this.run.title;
  }

  get frame() {
    return this.run.frames[this.state.frame];
  }
  get graph() {
    return this.frame.graph;
  }
  get flat() {
    return this.state.flat ?? this.graph.size <= FLAT;
  }

  tree() {
    const key = `${this.run.graphs.indexOf(this.graph)} ${this.flat}`;
    if (!this.trees.has(key)) this.trees.set(key, itemTree(this.graph, this.flat));
    return this.trees.get(key);
  }

  // --- what is in sight -------------------------------------------------------------------------------------------

  /** Lay out the sight that the state asks for, and bring it up to the moment. */
  look(fit = false) {
    const frames = this.run.frames.length;
    this.state.frame = Math.min(Math.max(this.state.frame, 0), frames - 1);
    this.way = follow(this.tree(), this.state.path);
    this.state.path = this.way.slice(1).map((item) => item.key);
    this.here = this.way[this.way.length - 1];
    this.view = sight(this.graph, this.way);
    this.moments = this.state.mode === "wrong" ? this.wrongMoments() : moments(this.graph, this.view);
    this.picture.show(this.run, this.graph, this.view);
    if (fit) this.picture.fit();
    this.drawTrail();
    this.refresh();
  }

  wrongMoments() {
    const { wrong } = this.frame;
    const found = [{ time: 0, kind: "wrongStart" }];
    if (!wrong) return found;
    const seen = new Map(this.view.items.filter((item) => item.kind === "node" && !item.ghost).map((item) => [item.node, item]));
    wrong.links.forEach((link, step) => {
      const item = seen.get(this.graph.links[link][0]);
      if (item) found.push({ time: step + 1, kind: "wrong", step, link, item });
    });
    if (found[found.length - 1].time < wrong.end) found.push({ time: wrong.end, kind: "wrongEnd" });
    return found;
  }

  /** Bring words, numbers and controls up to the moment. */
  refresh(moved = true) {
    this.at = this.moments.findLastIndex((moment) => moment.time <= this.state.time);
    this.moment = this.moments[this.at];
    const asks =
      this.state.mode === "predict" &&
      this.moment.kind === "link" &&
      this.moment.time === this.state.time &&
      this.predictions.isOpen(this, this.moment.link);
    this.asking = asks ? this.predictions.form(this, this.moment.link, (remark) => this.answered(remark)) : null;
    this.now = this.nowAt(asks ? this.moment.time - 1 : Math.max(this.state.time, this.moment.time), moved, asks);
    this.picture.update(this.now);
    byId("told").replaceChildren(...tell({ ...this, graph: this.graph, frame: this.frame, mode: this.state.mode }));
    byId("portrait").replaceChildren(...portrait(this.graph, this.now, this.here));
    byId("score").textContent = this.state.mode === "predict" ? this.predictions.score() : "";
    this.point(this.view.items.find((item) => item.key === this.pointed?.key) || null);
    this.drawControls();
    this.drawTraining();
    this.address.write(this.state, this.opened);
    this.opened = false;
    if (asks) byId("guess").focus({ preventScroll: true });
  }

  nowAt(time, moved, asks) {
    const { frame, graph, moment, state } = this;
    const wrong = state.mode === "wrong" && frame.wrong;
    const link = moment.link;
    const item = (node) =>
      this.view.items.find((one) => !one.ghost && has(one.nodes, node)) || this.view.items.find((one) => has(one.nodes, node));
    return {
      frame,
      moved,
      current: moment.item ? moment.item.key : moment.kind === "seed" ? item(graph.root).key : null,
      reached: link === undefined ? null : item(graph.target(link)).key,
      isComputed: (node) => state.mode === "wrong" || frame.isComputed(node, time),
      arrived: (node) => (wrong ? wrong.arrived(node, this.state.time) : frame.arrived(node, time)),
      spoilt: (node) =>
        Boolean(
          wrong &&
          wrong.spoilt.has(node) &&
          (this.state.time >= wrong.end || wrong.arrived(node, this.state.time).count === graph.arriving[node].length),
        ),
      flow: (edge) => flowOf(edge, this, asks),
    };
  }

  drawTrail() {
    byId("trail").replaceChildren(
      ...this.way.map((item, depth) => {
        const last = depth === this.way.length - 1;
        return el(
          "li",
          {},
          last
            ? el("span", { "aria-current": "location" }, titleOf(item))
            : el("button", { type: "button", onclick: () => this.go(this.state.path.slice(0, depth)) }, titleOf(item)),
        );
      }),
    );
    byId("trail").parentElement.hidden = this.way.length < 2;
    byId("flat").parentElement.hidden = !this.graph.groups.length || this.graph.size > 2000;
    byId("flat").checked = !this.flat;
  }

  drawControls() {
    const last = this.moments.length - 1;
    byId("scrub").max = last;
    byId("scrub").value = this.at;
    const phase =
      { start: "before", value: "forward", values: "forward", seed: "backward", link: "backward", links: "backward" }[this.moment.kind] ||
      "wrong order";
    byId("counter").textContent = `step ${this.at} of ${last} · ${phase}`;
    byId("scrub").setAttribute("aria-valuetext", byId("counter").textContent);
    for (const id of ["first", "back"]) byId(id).setAttribute("aria-disabled", this.at === 0); // and it keeps the focus
    for (const id of ["next", "last"]) byId(id).setAttribute("aria-disabled", this.at === last && !this.asking);
    for (const [id, what, name] of [
      ["play", "steps", "Play"],
      ["train", "frames", "Play training"],
    ]) {
      byId(id).textContent = this.playing === what ? "Pause" : name;
      byId(id).setAttribute("aria-pressed", this.playing === what);
    }
    modeButtons().forEach((button) => button.setAttribute("aria-pressed", button.dataset.mode === this.state.mode));
  }

  drawTraining() {
    const { frames } = this.run;
    byId("training").hidden = frames.length < 2;
    if (frames.length < 2) return;
    byId("frame").max = frames.length - 1;
    byId("frame").value = this.state.frame;
    byId("frame-shown").textContent = `training step ${this.state.frame} of ${frames.length - 1}`;
    byId("frame").setAttribute("aria-valuetext", byId("frame-shown").textContent);
    byId("curves").replaceChildren(...curves(this.run, this.state.frame, (k) => this.goFrame(k)));
  }

  // --- moving -----------------------------------------------------------------------------------------------------

  goMoment(k) {
    let to = Math.min(Math.max(k, 0), this.moments.length - 1);
    if (this.state.mode === "predict") {
      // no way past a question that has not been answered
      const open = this.moments.findIndex((moment) => moment.kind === "link" && this.predictions.isOpen(this, moment.link));
      if (open >= 0) to = Math.min(to, open);
    }
    this.state.time = this.moments[to].time;
    this.refresh();
  }

  forward() {
    if (this.asking) {
      byId("guess").focus();
      return;
    }
    this.goMoment(this.at + 1);
  }

  back() {
    this.pause();
    this.goMoment(this.state.time > this.moment.time ? this.at : this.at - 1);
  }

  answered(remark) {
    this.refresh();
    if (remark) byId("told").append(el("p", { class: "remark right", role: "status" }, remark));
    byId("next").focus({ preventScroll: true });
  }

  goFrame(k) {
    const before = this.graph;
    this.state.frame = Math.min(Math.max(k, 0), this.run.frames.length - 1);
    if (before === this.graph && this.state.mode !== "wrong") this.refresh(false);
    else this.look();
  }

  go(path) {
    this.state.path = path;
    this.opened = true; // the browser's Back leads out again
    this.look(true);
    byId("stage").focus({ preventScroll: true });
  }

  open(item) {
    const depth = this.way.findIndex((above) => above.children.some((child) => child.key === item.key));
    if (item.ghost && depth >= 0) this.go(item.children ? [...this.state.path.slice(0, depth), item.key] : this.state.path.slice(0, depth));
    else if (item.ghost) this.find(item.node);
    else if (item.children) this.go([...this.state.path, item.key]);
  }

  /** Go to where a node stands, and put the focus on it. */
  find(node) {
    const path = [];
    let at = this.tree();
    for (;;) {
      const next = at.children.find((item) => has(item.nodes, node));
      if (!next || !next.children) break;
      path.push(next.key);
      at = next;
    }
    this.go(path);
    this.picture.focusOn(`n${node}`);
  }

  /** An item was clicked; a live page offers to change it. */
  pick(item) {
    this.point(item);
    this.onPick?.(item);
  }

  point(item) {
    this.pointed = item;
    if (item) byId("about").replaceChildren(...about({ graph: this.graph, frame: this.frame, now: this.now }, item));
    else byId("about").textContent = "Point at a number, or move to it with Tab, to see what it is.";
  }

  /** Go through the steps of this frame by itself. */
  play() {
    if (this.playing !== "steps" && this.at === this.moments.length - 1) this.goMoment(0);
    this.keepGoing(
      "steps",
      () => !this.asking && this.at < this.moments.length - 1,
      () => this.forward(),
    );
  }

  /** Go through the training steps by itself, at the moment in sight. */
  train() {
    const last = this.run.frames.length - 1;
    if (this.playing !== "frames" && this.state.frame === last) this.goFrame(0);
    this.keepGoing(
      "frames",
      () => this.state.frame < last,
      () => this.goFrame(this.state.frame + 1),
    );
  }

  keepGoing(what, canGo, go) {
    const before = this.playing;
    this.pause();
    if (before === what) return;
    this.playing = what;
    const tick = () => {
      if (!canGo()) {
        this.pause();
        return;
      }
      go();
      this.timer = setTimeout(tick, Number(byId("pace").value));
    };
    this.timer = setTimeout(tick, 50);
    this.drawControls();
  }

  pause() {
    clearTimeout(this.timer);
    this.playing = null;
    this.drawControls();
  }

  setMode(mode) {
    this.state.mode = mode;
    this.state.time = 0;
    this.look();
  }

  bind() {
    const on = (id, event, act) => byId(id).addEventListener(event, act);
    on("first", "click", () => this.goMoment(0));
    on("back", "click", () => this.back());
    on("play", "click", () => this.play());
    on("train", "click", () => this.train());
    on("next", "click", () => this.forward());
    on("last", "click", () => this.goMoment(this.moments.length - 1));
    on("scrub", "input", () => this.goMoment(Number(byId("scrub").value)));
    on("frame", "input", () => this.goFrame(Number(byId("frame").value)));
    on("flat", "change", () => {
      this.state.flat = !byId("flat").checked;
      this.go([]);
    });
    on("larger", "click", () => this.picture.zoom(this.picture.scale * 1.25));
    on("smaller", "click", () => this.picture.zoom(this.picture.scale / 1.25));
    on("fit", "click", () => this.picture.fit());
    modeButtons().forEach((button) => button.addEventListener("click", () => this.setMode(button.dataset.mode)));
    addEventListener("hashchange", () => {
      this.state = this.address.read();
      this.look(true);
    });
    addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (
      event.ctrlKey ||
      event.metaKey ||
      event.altKey ||
      event.target.closest("input:not([type=checkbox], [type=range]), textarea, select, summary")
    )
      return;
    if (event.target.closest("[type=range]") && /^(Arrow|Home|End|Page)/.test(event.key)) return; // the slider's own
    const onButton = event.target.closest("button, [type=checkbox]");
    const act = {
      ArrowRight: () => this.forward(),
      ArrowLeft: () => this.back(),
      Home: () => this.goMoment(0),
      End: () => this.goMoment(this.moments.length - 1),
      " ": onButton ? null : () => this.play(),
      Escape: () => this.state.path.length && this.go(this.state.path.slice(0, -1)),
      "[": () => this.goFrame(this.state.frame - 1),
      "]": () => this.goFrame(this.state.frame + 1),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}

/** What flows along an edge at the moment: which way, and how much; null where nothing does. */
function flowOf(edge, { graph, frame, moment, view, state }, asks) {
  if (moment.kind === "value" || moment.kind === "values") {
    if (view.items[edge.to].key !== moment.item.key) return null;
    const from = view.items[edge.from];
    return { way: "forward", text: from.kind === "node" ? number(frame.values[from.node]) : "" };
  }
  if (moment.kind === "link" || moment.kind === "wrong") {
    if (!edge.links.includes(moment.link)) return null;
    const much = moment.kind === "wrong" ? frame.wrong.contributions[moment.step] : frame.contributions[moment.link];
    const bad =
      moment.kind === "wrong" && number(frame.wrong.upstreams[moment.step]) !== number(frame.gradients[graph.links[moment.link][0]]);
    return { way: bad ? "backward bad" : "backward", text: asks ? "?" : number(much) };
  }
  return moment.kind === "links" && view.items[edge.to].key === moment.item.key ? { way: "backward", text: "" } : null;
}

function modeButtons() {
  return [...document.querySelectorAll("[data-mode]")];
}

function byId(id) {
  return document.getElementById(id);
}
