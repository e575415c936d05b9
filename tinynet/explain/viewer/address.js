// The state of the page in the address, after the #: so that it can be reloaded, copied, and gone back from.

const PACE = 150; // milliseconds between two changes: browsers allow so many a second

class Address {
  constructor() {
    this.written = -Infinity;
  }

  /** Write it at once, and where steps follow each other quickly again when they have ended. With `push`, Back leads here. */
  write(state, push = false) {
    const soon = this.written + PACE - performance.now();
    clearTimeout(this.waiting);
    if (soon > 0 && !push) {
      this.waiting = setTimeout(() => this.write(state), soon);
      return;
    }
    this.written = performance.now();
    const { frame, time, path, mode, flat } = state;
    const said = new URLSearchParams();
    if (time) said.set("t", time);
    if (path.length) said.set("in", path.join("."));
    if (frame) said.set("frame", frame);
    if (mode !== "watch") said.set("mode", mode);
    if (flat !== null) said.set("numbers", flat ? 1 : 0);
    const wanted = said.toString() ? `#${said}` : "#";
    if (location.hash === wanted || (wanted === "#" && !location.hash)) return;
    try {
      history[push ? "pushState" : "replaceState"](null, "", wanted);
    } catch {
      /* a frame without an address of its own */
    }
  }

  /** The state that stands there; nonsense is as if it were not there. */
  read() {
    const said = new URLSearchParams(location.hash.slice(1));
    const whole = (name) => (/^\d+$/.test(said.get(name) || "") ? Number(said.get(name)) : 0);
    return {
      time: whole("t"),
      frame: whole("frame"),
      path: (said.get("in") || "").split(".").filter(Boolean),
      mode: ["predict", "wrong"].includes(said.get("mode")) ? said.get("mode") : "watch",
      flat: said.has("numbers") ? said.get("numbers") === "1" : null,
    };
  }
}
