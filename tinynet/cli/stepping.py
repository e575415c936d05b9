"""``tinynet explain --step``: backpropagation walked step by step; with ``--predict``, each step is computed first.

What a key does and what is shown, as lines of text of any size. Must not know how a terminal is read or drawn.
"""

import io
import os
import sys
from itertools import takewhile

from tinynet.cli import keys
from tinynet.cli.keys import Line, fitted, wrapped
from tinynet.cli.walk import Quiz, Walk, link
from tinynet.explain.hints import rule_of
from tinynet.explain.notation import columns, number, padded
from tinynet.explain.trace import Trace
from tinynet.explain.words import forward_sentence, slope, step_sentences

UNKNOWN, WIDEST, LONGEST_ANSWER = "·", 110, 200

FORWARD, BACK = ("right", " ", "n", "enter"), ("left", "b", "p", "backspace")
START, END, LEAVE = ("home", "g"), ("end", "G"), ("q", "escape", "closed")
HELP = """\
→ space n Enter   one step forward
← b p Backspace   one step back
Home g            to the start
End G             to the end
q Esc Ctrl-C      leave
?                 this help"""
QUIZ_HELP = """\
Type what is handed on, upstream × local, then Enter: -0.75, -3/4 or 0.5*3. 1 % off is near enough.
After two wrong answers an empty Enter shows it. End G goes to the next question."""
SHORT_HELP = "Enter = next, b = back, g = start, G = end, q = leave"


class Stepper:
    """What is shown, and what a key does.

    Args:
        trace: what is walked.
        predict: whether each step of the chain rule is asked for before it is shown.
    """

    def __init__(self, trace: Trace, predict: bool = False) -> None:
        self.walk = Walk(trace)
        self.quiz = Quiz(self.walk) if predict else None
        self.typed, self.message, self.help = "", Line(""), False
        kinds = {True: "(constant)", False: "(given)"}
        self._cells = [(x.name, x.formula.printed() if x.parents else kinds[x.nameless]) for x in trace.nodes]
        numbers = ([x.value for x in trace.nodes], [1.0, *[step.total for step in trace.steps]])
        texts = (*zip(*self._cells), *[[number(x) for x in xs] for xs in numbers], ["hands on"])
        heads = ("name", "formula", "value", "gradient", "")
        self._columns = [(head, max(map(columns, (head, *column)))) for head, column in zip(heads, texts)]

    # --- what a key does ----------------------------------------------------------------------------------------------

    @property
    def asking(self) -> bool:
        """Whether an answer is waited for."""
        return self.quiz is not None and self.quiz.is_question(self.walk.position)

    def press(self, key: str) -> bool:
        """Do what the key says; False to leave."""
        if not key:
            return True
        self.message = Line("")
        if self.help or key == "?":
            self.help = not self.help
        elif self.asking and key == "enter":
            assert self.quiz
            reply = self.quiz.answer(self.typed.strip())
            self.message, self.typed = Line(reply.text, {True: "good", False: "bad", None: ""}[reply.right]), ""
        elif self.asking and key == "backspace":
            self.typed = self.typed[:-1]
        elif self.asking and len(key) == 1 and (self.typed or key not in "bpgGqn "):  # no function begins with these
            self.typed = (self.typed + key)[:LONGEST_ANSWER]
        else:
            return self._go(key)
        return True

    def enter(self, line: str) -> bool:
        """Do what a whole line says, where keys cannot be read; False to leave, and after the last step."""
        line = line.strip()
        if not line or line in ("b", "p", "g", "G", "q", "n", "?"):
            at_end = self.walk.position == self.walk.last and not self.asking and line in ("", "n")
            return self.press(line or "enter") and not at_end
        self.typed = line
        if not self.asking:
            self.message, self.typed = Line(SHORT_HELP), ""
            return True
        return self.press("enter")

    def _go(self, key: str) -> bool:
        walk, here = self.walk, self.walk.position
        if key in FORWARD and self.asking:
            self.message = Line("First type what is handed on, then Enter.", "bad")
        elif key in FORWARD and here == walk.last:
            self.message = Line("That was the last step; q leaves.")
        elif key in FORWARD + BACK:
            walk.go(here + (1 if key in FORWARD else -1))
        elif key in START:
            walk.go(1)
        elif key in END:
            known = takewhile(lambda at: not (self.quiz and self.quiz.is_question(at)), range(here, walk.last))
            walk.go(here + sum(1 for _ in known))
        self.typed = "" if walk.position != here else self.typed
        return key not in LEAVE

    # --- what is shown ------------------------------------------------------------------------------------------------

    @property
    def place(self) -> str:
        """``step 5 of 11 · backward``."""
        walk = self.walk
        return f"step {walk.position} of {walk.last} · {'forward' if walk.position < walk.seed else 'backward'}"

    @property
    def help_text(self) -> str:
        """Every key, and how to answer."""
        return HELP + (f"\n\n{QUIZ_HELP}" if self.quiz else "")

    def told(self) -> list[Line]:
        """The step at hand in words, or the question; at the end, the score."""
        walk, step, root = self.walk, self.walk.step, self.walk.trace.root
        node = walk.at_hand[0]
        if step is None and walk.position < walk.seed:
            how = "Computed from the values before it." if node.parents else "A leaf: its value is given, not computed."
            told = [Line(how), Line(forward_sentence(node), "strong")]
        elif step is None:
            how = f"Backward begins at the result: when {root.name} changes, {root.name} changes by just as much."
            told = [Line(how), Line(f"{slope(root.name, root.name)} = 1", "strong")]
        elif self.asking:
            upstream = f"{slope(root.name, node.name)} = {number(step.upstream)}"
            told = [
                Line(
                    f"{node.name} = {node.formula.printed()} hands on to {step.parent.name}. What arrives: {upstream}."
                ),
                Line(f"{slope(root.name, node.name)} × {link(step)} = ?", "strong"),
            ]
        else:
            rule, hint = rule_of(node.primitive)
            local, chain = step_sentences(step, root)
            told = [Line(f"{rule[:1].upper()}{rule[1:]}. {hint}"), Line(local), Line(chain, "strong")]
        if walk.position == walk.last and not self.asking:
            told.append(Line(f"Every gradient is complete. {self.quiz.score if self.quiz else ''}".strip(), "good"))
        return told

    def screen(self, width: int, height: int) -> list[Line]:
        """All of it, on at most that many lines of at most that many columns; the keys on the last one."""
        wide, room = min(width, WIDEST), max(height - 2, 0)
        left = fitted(f"Backpropagation through {self.walk.trace.root.name}", wide - columns(self.place) - 2)
        title = padded(left, wide - columns(self.place)) + self.place if left else self.place
        done = wide * self.walk.position // self.walk.last
        bar = [Line("━" * done + "─" * (wide - done), "quiet")] if height >= 14 else []
        if self.help:
            body = [*bar, *[Line(part) for line in self.help_text.split("\n") for part in wrapped(line, wide)]]
        else:
            words = self._words(wide, max(room - len(bar) - 3, 1))
            airy = [Line("")] if height >= len(self._cells) + 16 else []
            heading = [self._row(wide, [head for head, _ in self._columns], "  ", "quiet")] if height >= 12 else []
            taken = 2 * len(bar) + 2 * len(airy) + len(heading)
            table, total = self._table(wide, room - taken - max(len(words), min(7, room // 3))), len(self._cells)
            part = f"── {len(table)} of {total} values " if len(table) < total else ""
            rule = [Line(part + "─" * (wide - len(part)), "quiet")] if bar else []
            body = [*bar, *airy, *heading, *table, *airy, *rule, *words]
        body = body[:room]
        lines = [Line(title, "title"), *body, *[Line("")] * (room - len(body)), Line(self._keys(wide), "quiet")]
        return [Line(fitted(line.text, width), line.style) for line in lines[:height]]

    def _words(self, width: int, room: int) -> list[Line]:
        """The words, the least needed left out first where there is no room: an explanation, then the oldest line."""
        told = [*self.told(), *([self.message] if self.message.text else [])]
        told += [Line(f"> {self.typed[-max(width - 4, 1) :]}_", "at")] if self.asking else []
        parts = [[Line(part, line.style) for part in wrapped(line.text, width)] for line in told]
        while len(parts) > 1 and sum(map(len, parts)) > room:
            parts.pop(0)
        return [line for part in parts for line in part][:room]

    def _table(self, width: int, room: int) -> list[Line]:
        walk, revealed = self.walk, not self.asking
        gradients, hand = walk.gradients(revealed), [node.id for node in walk.at_hand]
        notes = ["hands on", "receives"] if walk.step else [""]
        lines = []
        for i in _window(len(walk.trace.nodes), hand, room):
            if i is None:
                lines.append(Line("  …", "quiet"))
                continue
            value, gradient = walk.value(walk.trace.nodes[i]), gradients.get(i)
            cells = [*self._cells[i], *[UNKNOWN if x is None else number(x) for x in (value, gradient)], ""]
            style = ""
            if i in hand:
                cells[-1] = notes[hand.index(i)]
                style = "at" if i == hand[-1] else "from"
            lines.append(self._row(width, cells, "> " if i in hand else "  ", style))
        return lines

    def _row(self, width: int, cells: list[str], mark: str, style: str) -> Line:
        """The cells side by side. Where there is no room the notes go first, then the formula, then the name's end."""
        name, formula, value, gradient, note = [natural for _, natural in self._columns]
        left = width - len(mark) - (value + 2) - (gradient + 2)
        if name + 2 + formula + 2 + note > left:
            note = 0
        if name + 2 + formula > left:
            name = max(min(name, left // 2), min(name, left - 2 - formula), 3)
            formula = left - 2 - name
            if formula < 5:
                name, formula = max(min(self._columns[0][1], left), 3), 0
        shown = [padded(fitted(cell, w), w) for cell, w in zip(cells, (name, formula, value, gradient, note)) if w]
        return Line((mark + "  ".join(shown)).rstrip(), style)

    def _keys(self, width: int) -> str:
        """What can be pressed, in as many words as there is room for."""
        if self.help:
            return "any key: back"
        if self.asking:
            wordings = ["type the number, Enter   ← back   ? help   Esc leave", "number, Enter   ← back   ? help"]
        else:
            wordings = ["→ next   ← back   Home start   End end   ? help   q leave", "→ next  ← back  ? help  q leave"]
        return next((words for words in wordings if columns(words) <= width), "? help")


def _window(n: int, hand: list[int], room: int) -> list[int | None]:
    """Which of ``n`` rows to show: those at hand and what lies around or between them; None for a gap."""
    low, high, room = min(hand), max(hand), max(room, 0)
    if n <= room:
        return [*range(n)]
    if room < 3 and high - low >= room:
        return [low, high] if room == 2 else [*hand[-room:]] if room else []
    if high - low < room:
        start = min(max((low + high + 1) // 2 - room // 2, 0), n - room)
        return [*range(start, start + room)]
    first = (room - 1) // 2
    return [*range(low, low + first), None, *range(high - (room - 2 - first), high + 1)]


# --- the program ------------------------------------------------------------------------------------------------------


def step_through(trace: Trace, last_words: str, predict: bool = False) -> None:
    """Walk until whoever sits there leaves: on a screen of its own, or by lines where there is no terminal.

    Args:
        trace: what is walked.
        last_words: what is said in the end, below the score.
        predict: whether each step of the chain rule is asked for before it is shown.
    """
    stepper, encoding = Stepper(trace, predict), getattr(sys.stdout, "encoding", None)
    if keys.usable(sys.stdin, sys.stdout):
        _by_keys(stepper, encoding)
    else:
        _by_lines(stepper, encoding)
    if stepper.quiz:
        print(stepper.quiz.score)
    print(keys.readable(last_words, encoding))


def _by_keys(stepper: Stepper, encoding: str | None) -> None:
    colour = not os.environ.get("NO_COLOR")
    with keys.full_screen() as screen:
        key, size = "", (0, 0)
        while stepper.press(key):
            if key or keys.size() != size:
                size = keys.size()
                screen.show(keys.frame(stepper.screen(*size), colour, encoding))
            key = screen.key()


def _by_lines(stepper: Stepper, encoding: str | None) -> None:
    """Each step once, and what is said to each line."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    walk, shown, typed = stepper.walk, None, ""
    while not shown or (typed and stepper.enter(typed)):
        texts = [stepper.message.text] if stepper.message.text else []
        texts += [stepper.help_text] if stepper.help else []
        if shown != (walk.position, stepper.asking):
            texts += [stepper.place, *[f"  {line.text}" for line in stepper.told()]]
        print(*[keys.readable(text, encoding) for text in [*texts, ""]], sep="\n", flush=True)
        shown, stepper.help = (walk.position, stepper.asking), False
        typed = sys.stdin.readline() if sys.stdin else ""
