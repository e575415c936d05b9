// Predict mode: the learner says what each link hands on before it is shown, and is marked, with a hint that names the rule.

class Predictions {
  constructor() {
    this.answers = new Map(); // "frame:link" -> { tries, done, first }
  }

  key(page, link) {
    return `${page.state.frame}:${link}`;
  }

  /** Whether a link is still to be answered; nobody can type what is no number. */
  isOpen(page, link) {
    return Number.isFinite(page.frame.contributions[link]) && !this.answers.get(this.key(page, link))?.done;
  }

  score() {
    const done = [...this.answers.values()].filter((answer) => answer.done);
    return done.length ? `${done.filter((answer) => answer.first).length} of ${done.length} right at the first try` : "";
  }

  /** The question about a link, as a form; `onward` is called when it has been answered. */
  form(page, link, onward) {
    const { graph, frame } = page;
    const told = describeLink(graph, frame, link);
    const answer = this.answers.get(this.key(page, link)) || { tries: 0, done: false, first: false };
    this.answers.set(this.key(page, link), answer);
    const remark = el("p", { class: "remark", role: "status" });
    const field = el("input", {
      id: "guess",
      type: "text",
      inputmode: "text",
      autocomplete: "off",
      spellcheck: "false",
      "aria-describedby": "remark",
    });
    remark.id = "remark";
    const show = el(
      "button",
      {
        type: "button",
        hidden: answer.tries < 2,
        onclick: () => {
          answer.done = true;
          onward();
        },
      },
      "Show me",
    );
    return el(
      "form",
      {
        class: "guess",
        onsubmit: (event) => {
          event.preventDefault();
          const guess = readNumber(field.value);
          if (guess === null) {
            remark.textContent = "Type a number: −0.25, 1e-3, 3/4 or 2*0.5.";
            return;
          }
          if (isRight(guess, told.contribution) || isRight(guess, frame.rounded[link] ?? NaN)) {
            answer.first = answer.tries === 0;
            answer.done = true;
            onward("Right.");
            return;
          }
          answer.tries++;
          const total = told.before.sum + told.contribution;
          remark.textContent =
            told.before.count && isRight(guess, total)
              ? `${number(total)} is all that will have arrived. Asked is what this one link hands on.`
              : `${isRight(-guess, told.contribution) ? "Right but for its sign" : `Not ${number(guess)}`}. Use ${told.operation.rule}: ${told.operation.hint}`;
          remark.className = "remark wrong";
          show.hidden = answer.tries < 2;
          field.select();
        },
      },
      el("label", { for: "guess" }, `How much of the gradient does ${told.giver} hand on to ${told.taker}?`),
      field,
      el("button", { type: "submit" }, "Check"),
      show,
      remark,
    );
  }
}

/** Whether a guess is the number, to one part in a hundred or to the digits shown. */
function isRight(guess, wanted) {
  return number(guess) === number(wanted) || Math.abs(guess - wanted) <= 0.01 * Math.abs(wanted);
}

/** A number as people type it, a product or a fraction too; null where it is none. */
function readNumber(text) {
  if (/^[1-9]\d{0,2}(,\d{3})+$/.test(text.trim())) return null; // a thousand, or one and no thousandths
  const parts = text
    .replace(/[−–]/g, "-")
    .replace(/[×·]/g, "*")
    .replace(/\s/g, "")
    .split(/([*/])/);
  const numbers = parts.filter((_, i) => i % 2 === 0);
  const value = numbers
    .map((part) => (/^[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?$/i.test(part) ? Number(part.replace(",", ".")) : NaN))
    .reduce((product, x, i) => (parts[2 * i - 1] === "/" ? product / x : product * x));
  return Number.isFinite(value) ? value : null;
}
