"""A lesson as a page, and the course as a page of links: one file each, with everything in it, that asks nobody.

HTML, CSS and JavaScript of our own stand beside this file. Must not run anything: what it shows was made.
"""

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from tinynet.explain.viewer import in_script, policy
from tinynet.teaching.glossary import used
from tinynet.teaching.lesson import Choice, Lesson, Number, Slider, written
from tinynet.teaching.made import Made, MadeLesson
from tinynet.teaching.prose import inline, paragraphs, python, source_link
from tinynet.teaching.source import engine_lines, experiment_source

LONGEST = 40  # lines of an excerpt


def lesson_page(made: MadeLesson, course: Sequence[Lesson] = (), walk: str = "") -> str:
    """The page of a lesson.

    Args:
        made: what came out.
        course: the lessons of a site, for links to the one before and after; none for a page that stands alone.
        walk: the file beside it that shows a run to walk through.
    """
    lesson = made.lesson
    place = f"Lesson {lesson.number} · " if lesson.numbered else ""
    sections = "\n".join(_experiment(made, i) for i in range(len(made.experiments)))
    body = f"""{_ways(lesson, course)}
<main>
<p class="quiet">{place}tinynet</p>
<h1>{escape(lesson.title)}</h1>
<p class="question">{inline(lesson.question)}</p>
{paragraphs(made.idea)}
{sections}
<section aria-labelledby="change"><h2 id="change">Change it</h2>
<ul>{"".join(f"<li>{inline(change)}</li>" for change in made.change)}</ul>
{_copy(lesson)}</section>
{_walk(walk)}
{_engine(lesson)}
{_words(made)}
<section aria-labelledby="sources"><h2 id="sources">Where this comes from</h2>
<ul>{"".join(f"<li>{source_link(source)}</li>" for source in lesson.sources)}</ul></section>
<p class="quiet">Every number on this page was computed by tinynet, with seed {made.seed}:
<code>tinynet learn {escape(lesson.command)}{f" --seed {made.seed}" if made.seed else ""}</code>. Wherever chance
plays a part, tests hold the checked numbers to their bounds with seeds {", ".join(map(str, lesson.seeds))}.</p>
</main>
{_ways(lesson, course, "foot")}
<noscript><p>Without JavaScript, predictions are not marked and sliders do not move; all else is here.</p></noscript>"""
    return _document(lesson.title, body, {"experiments": [_data(m) for m in made.experiments]})


def course_page(course: Sequence[Lesson]) -> str:
    """The first page of a site: every lesson with its question."""
    rows = "\n".join(
        f'<li><span class="place">{lesson.number if lesson.numbered else "·"}</span><div>'
        f'<a href="{lesson.name}.html">{escape(lesson.title)}</a><p>{inline(lesson.question)}</p></div></li>'
        for lesson in course
    )
    body = f"""<main><h1>Neural networks, tried out</h1>
<p class="question">{len(course)} lessons, each an experiment on an engine that you can read.</p>
<p>Every lesson asks something, lets you predict the answer, runs the experiment and shows what came out. Its code is
short and on the page. The numbers are measured, not remembered: <code>tinynet learn NAME</code> measures them again,
and <code>--set</code> changes what you like.</p>
<ol class="course">
{rows}
</ol></main>"""
    return _document("Neural networks, tried out", body, {})


def _document(title: str, body: str, data: dict[str, Any]) -> str:
    script = _asset("lesson.js")
    return Template(_asset("page.html")).substitute(
        policy=policy(script),
        title=escape(title),
        style=_asset("style.css"),
        body=body,
        data=in_script(json.dumps(data, ensure_ascii=False, allow_nan=False)),
        script=script,
    )


def _asset(name: str) -> str:
    return files("tinynet.teaching").joinpath(name).read_text(encoding="utf-8")


def _ways(lesson: Lesson, course: Sequence[Lesson], kind: str = "") -> str:
    """Links to the lesson before, the course, and the lesson after."""
    if lesson not in course:
        return ""
    at = list(course).index(lesson)
    before, after = (course[i] if 0 <= i < len(course) else None for i in (at - 1, at + 1))
    links = [
        f'<a rel="prev" href="{before.name}.html">← {escape(before.title)}</a>' if before else "<span></span>",
        '<a href="index.html">All lessons</a>',
        f'<a rel="next" href="{after.name}.html">{escape(after.title)} →</a>' if after else "<span></span>",
    ]
    label = "Lessons, again" if kind else "Lessons"
    return f'<nav class="{kind or "head"}" aria-label="{label}">{"".join(links)}</nav>'


def _walk(walk: str) -> str:
    if not walk:
        return ""
    return (
        '<section aria-labelledby="walk"><h2 id="walk">Walk through it</h2>'
        f'<p><a href="{escape(walk)}">Every number of one run, forward and back, a step at a time</a>.</p></section>'
    )


def _copy(lesson: Lesson) -> str:
    """How to change what cannot be set."""
    if lesson.command != lesson.name:
        return ""
    copied, run = (f"<code>tinynet learn {words}</code>" for words in (f"{lesson.name} --copy mine.py", "mine.py"))
    return f'<p class="quiet">To change the code itself: {copied}, edit the file, and {run}.</p>'


def _words(made: MadeLesson) -> str:
    """The words that the lesson uses, each in a sentence."""
    lesson = made.lesson
    text = " ".join([lesson.question, made.idea, *made.says, *made.because])
    text += " ".join(experiment_source(experiment.run) for experiment in lesson.experiments)
    rows = "".join(f"<dt>{escape(word)}</dt><dd>{escape(told)}</dd>" for word, told in used(text).items())
    return f'<details class="glossary"><summary>Words used here</summary><dl>{rows}</dl></details>' if rows else ""


def _engine(lesson: Lesson) -> str:
    """The lines of the engine that did it."""
    rows = []
    for place in lesson.engine:
        found = engine_lines(place)
        lines = found.text.splitlines()
        more = f"\n# … {len(lines) - LONGEST} lines more" if len(lines) > LONGEST else ""
        rows.append(
            f"<details><summary><code>{escape(found.path)}</code>, line {found.line}: "
            f"<code>{escape(found.what)}</code></summary>{python(chr(10).join(lines[:LONGEST]) + more)}</details>"
        )
    return f'<section aria-labelledby="engine"><h2 id="engine">The lines that did it</h2>{"".join(rows)}</section>'


# --- one experiment ---------------------------------------------------------------------------------------------------


def _experiment(made_lesson: MadeLesson, index: int) -> str:
    made, experiment = made_lesson.experiments[index], made_lesson.experiments[index].experiment
    title = experiment.title or "The experiment"
    above = [earlier.experiment.run for earlier in made_lesson.experiments[:index]]
    knobs = "".join(_knob(slider, place, index) for slider, place in zip(made.sliders, made.places))
    return f"""<section class="experiment" id="experiment-{index}" aria-labelledby="heading-{index}">
<h2 id="heading-{index}">{escape(title)}</h2>
{paragraphs(made_lesson.says[index])}
{_prediction(made, index)}
<details class="code" open><summary>{"The code" if index else "The code, all of it"}</summary>
{python(experiment_source(experiment.run, above))}
</details>
<button type="button" class="skip" hidden>Show what came out without predicting</button>
<div class="shown">
<h3>What came out</h3>
{f'<div class="knobs">{knobs}</div>' if knobs else ""}
<figure><div class="picture">{made.first.svg}</div>
<figcaption aria-live="polite">{escape(made.first.says)}</figcaption></figure>
{paragraphs(made_lesson.because[index])}
{_checks(made)}
</div>
</section>"""


def _prediction(made: Made, index: int) -> str:
    asked = made.experiment.predict
    if isinstance(asked, Choice):
        options = "".join(f'<button type="button" disabled>{inline(option)}</button>' for option in asked.options)
        field = f'<div class="options">{options}</div>'
    else:
        field = (
            f'<form class="guess"><label for="guess-{index}">Your number</label>'
            f'<input id="guess-{index}" type="text" inputmode="decimal" autocomplete="off" disabled>'
            '<button type="submit" disabled>Mark it</button></form>'
        )
    return (
        f'<fieldset class="predict"><legend>Predict</legend><p>{inline(asked.question)}</p>{field}'
        '<p class="mark" aria-live="polite"></p></fieldset>'
    )


def _knob(slider: Slider, place: int, index: int) -> str:
    name = f"knob-{index}-{slider.name}"
    if slider.is_range:
        words = escape(shown(slider.values[place]))
        return (
            f'<div class="knob"><label for="{name}">{inline(slider.label)}: '
            f'<output for="{name}">{words}</output></label><input type="range" id="{name}" min="0" '
            f'max="{len(slider.values) - 1}" value="{place}" aria-valuetext="{words}"></div>'
        )
    buttons = "".join(
        f'<button type="button" aria-pressed="{str(i == place).lower()}">{escape(shown(value))}</button>'
        for i, value in enumerate(slider.values)
    )
    return (
        f'<div class="knob" role="group" aria-labelledby="{name}"><span id="{name}">{inline(slider.label)}</span>'
        f'<div class="words">{buttons}</div></div>'
    )


def _checks(made: Made) -> str:
    """The checked numbers as a table."""
    rows = []
    for check in made.experiment.checks:
        number = made.numbers[check.name]
        published = f'<br><span class="quiet">published: {inline(check.published)}</span>' if check.published else ""
        holds = "holds" if check.holds(number) else "fails"
        rows.append(
            f"<tr><td>{inline(check.says)}{published}</td>"
            f'<td class="measured {holds}">{escape(check.written(number))}</td><td>{escape(check.bounds)}</td></tr>'
        )
    return (
        '<table><thead><tr><th scope="col">Checked</th><th scope="col">measured</th><th scope="col">must be</th></tr>'
        f"</thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _data(made: Made) -> dict[str, Any]:
    """What the script needs."""
    asked = made.experiment.predict
    prediction: dict[str, Any] = {"right": made.answer}
    if isinstance(asked, Number):
        prediction |= {"margin": asked.margin, "written": asked.written(made.answer)}
    else:
        prediction |= {"right": int(made.answer), "options": list(asked.options)}
    sliders = [
        {"name": slider.name, "values": [shown(value) for value in slider.values], "start": place}
        for slider, place in zip(made.sliders, made.places)
    ]
    frames = [{"svg": frame.svg, "says": frame.says} for frame in made.frames] if sliders else []
    return {"prediction": prediction, "sliders": sliders, "frames": frames}


def shown(value: Any) -> str:
    """A slider's value as a reader sees it."""
    return written(value, ",.6g") if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
