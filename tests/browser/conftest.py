"""One browser for all tests of pages, a context of its own for each, and nothing that a reader could complain of."""

import pytest
import support  # noqa: F401  # for its settings of hypothesis
from browser.chromium import ARGUMENTS, chromium
from browser.shown import Shown

LOCAL = ("data:", "blob:", "about:")


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """Open an explanation, saved to a file, in a fresh context. At the end of the test there must be no complaints."""
    opened = []

    def open_one(explained=None, *, path=None, fragment="", width=1280, height=800, **context):
        path = path or explained.save(tmp_path / f"page{len(opened)}.html")
        home = browser.new_context(viewport={"width": width, "height": height}, **context)
        page, complaints = home.new_page(), []
        opened.append((home, complaints))
        listen(page, complaints, path.as_uri())
        page.goto(path.as_uri() + fragment)
        page.wait_for_selector("#graph g.item")
        return Shown(page, complaints)

    yield open_one
    for home, complaints in opened:
        home.close()
        assert complaints == []


@pytest.fixture
def blank(browser):
    """A page with nothing on it, to try a piece of the script alone or to put a page into a frame."""
    home = browser.new_context(viewport={"width": 1280, "height": 800})
    page, complaints = home.new_page(), []
    listen(page, complaints, "about:blank")
    yield Shown(page, complaints)
    home.close()
    assert complaints == []


def listen(page, complaints, address, also=()):
    """Note errors, warnings, dialogs, and requests for anything but the page itself, and what begins with ``also``."""

    def asked(request):
        if request.url.split("#")[0] != address and not request.url.startswith((*LOCAL, *also)):
            complaints.append(f"request: {request.url}")

    def spoke(dialog):
        complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def said(message):
        if message.type in ("error", "warning", "assert"):
            complaints.append(f"console: {message.text}")

    page.set_default_timeout(10_000)
    page.on("console", said)
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("dialog", spoke)
    page.on("request", asked)


@pytest.fixture(scope="session")
def convolution():
    """A small network on an image of 8 by 8, explained."""
    import numpy as np

    import tinynet as tn
    from tinynet import nn

    tn.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2 * 3 * 3, 3))
    image = np.random.default_rng(0).normal(size=(1, 1, 8, 8))
    return tn.explain(model, image, np.array([1]), nn.CrossEntropyLoss())


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """The page of a small network and three training steps, in a file."""
    import numpy as np

    import tinynet as tn
    from tinynet import nn, optim

    tn.manual_seed(1)
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    x, y = np.array([[1.0, -1.0]]), np.array([[1.0]])
    explained = tn.explain(model, x, y, nn.MSELoss(), optimizer=optim.SGD(lr=0.1), steps=3)
    return explained.save(tmp_path_factory.mktemp("saved") / "page.html")
