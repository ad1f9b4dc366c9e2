"""``--composer-report DIR``: one HTML file of a session that failed: tests, plans, the start in time, states, logs.

Everything is in the file: it loads nothing from elsewhere.
"""

from __future__ import annotations

import html
import os
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from composer.engine.operations.row import Resource
    from composer.engine.progress import Progress
    from composer.schema.model import Project
    from composer.stacks.stack import Stack

_MOST_LINES = 20_000
"""As many lines of a stack's logs as are kept: the last ones."""
_READY = ("healthy", "started", "exited", "running")


class Phase(NamedTuple):
    """A resource entered a phase, so many seconds after the start of the stack."""

    kind: str
    name: str
    text: str
    at_s: float


class Recorder:
    """The progress of an `up`, as the engine tells it."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self.phases: list[Phase] = []

    def begin(self, resources: Sequence[Resource]) -> None:
        """Nothing has happened yet."""

    def progress(self, event: Progress) -> None:
        with self._lock:
            last = next((one for one in reversed(self.phases) if one.name == event.resource.name), None)
            if last is None or last.text != event.text:
                at_s = time.monotonic() - self._began
                self.phases.append(Phase(event.resource.kind, event.resource.name, event.text, at_s))

    def warn(self, sentence: str) -> None:
        """Warnings are in the output of the run."""


class Failure(NamedTuple):
    """A test that failed, and what pytest says of it."""

    test: str
    text: str


class Picture(NamedTuple):
    """A stack as it was before it was taken down."""

    name: str
    plan: str
    phases: tuple[Phase, ...]
    path: tuple[tuple[str, float], ...]
    states: tuple[tuple[str, str], ...]
    lines: tuple[tuple[float, str, str, str], ...]


def picture_of(stack: Stack, plan: str, recorder: Recorder) -> Picture:
    """Look at a stack: its states and its logs. Raises ComposerError."""
    containers = stack.ps(all=True)
    lines = [(line.time_ns / 1e9, line.service, line.stream, line.text) for line in stack.logs()]
    states = [
        (
            one.name,
            one.state.value if one.health.value == "none" else f"{one.state.value} ({one.health.value})",
        )
        for one in containers
    ]
    return Picture(
        stack.name,
        plan,
        tuple(recorder.phases),
        tuple(critical_path(stack.project, _ready_times(stack.project, recorder.phases))),
        tuple(states),
        tuple(lines[-_MOST_LINES:]),
    )


def _ready_times(project: Project, phases: Iterable[Phase]) -> dict[str, float]:
    """Return when each service was ready: its last container's last phase of those that others wait for."""
    found: dict[str, float] = {}
    services = sorted(project.tree.get("services") or (), key=len, reverse=True)
    for phase in phases:
        if phase.kind.lower() != "container" or phase.text.lower() not in _READY:
            continue
        named = project.separator
        service = next(
            (
                one
                for one in services
                if f"{named}{one}{named}" in f"{phase.name}{named}" or phase.name == one
            ),
            None,
        )
        if service is not None:
            found[service] = max(found.get(service, 0.0), phase.at_s)
    return found


def critical_path(project: Project, ready: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return what the last service waited for: each with when it was ready, the first one first."""
    services = project.tree.get("services") or {}
    if not ready:
        return []
    current: str | None = max(ready, key=lambda name: ready[name])
    found: list[tuple[str, float]] = []
    while current is not None:
        found.append((current, ready[current]))
        needed = [one for one in services.get(current, {}).get("depends_on") or () if one in ready]
        current = max(needed, key=lambda name: ready[name], default=None)
    return found[::-1]


def write(directory: str, worker: str, failures: Sequence[Failure], pictures: Sequence[Picture]) -> str:
    """Write the report and return its path."""
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, f"composer-{worker}.html" if worker else "composer.html")
    temporary = f"{path}.part"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(page(failures, pictures))
    os.replace(temporary, path)
    return path


# ------------------------------------------------------------------ HTML

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Stacks of a failed test run</title>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<style>
:root { color-scheme: light dark; --line: #8884; --dim: #888; --bad: #c33; --bar: #48c; --path: #e80; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.4rem } h2 { font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid var(--line) }
h3 { font-size: 1rem; margin-bottom: .3rem }
pre, .log { font: 12.5px/1.4 ui-monospace, monospace; overflow-x: auto; }
pre { padding: .6rem; border: 1px solid var(--line); border-radius: 4px }
table { border-collapse: collapse } td { padding: .1rem .8rem .1rem 0; vertical-align: top }
.chart { display: grid; grid-template-columns: minmax(8rem, auto) 1fr; gap: .15rem .8rem; align-items: center }
.track { position: relative; height: 1.1rem; background: var(--line); border-radius: 3px }
.bar { position: absolute; top: 0; bottom: 0; background: var(--bar); border-radius: 3px; min-width: 2px }
.on-path .bar { background: var(--path) } .name { overflow-wrap: anywhere }
.log div { white-space: pre-wrap; overflow-wrap: anywhere } .log span { color: var(--dim) }
.log .stderr { color: var(--bad) } .hidden { display: none }
input { font: inherit; padding: .3rem .5rem; width: 20rem; max-width: 100% }
</style></head><body>
"""
_SCRIPT = """<script>
for (const input of document.querySelectorAll("input[type=search]")) {
  const lines = input.closest("section").querySelectorAll(".log div");
  const count = input.nextElementSibling;
  const find = () => {
    const text = input.value.toLowerCase();
    let found = 0;
    for (const line of lines) {
      const fits = line.textContent.toLowerCase().includes(text);
      line.classList.toggle("hidden", !fits);
      found += fits;
    }
    count.textContent = text ? `${found} of ${lines.length} lines` : `${lines.length} lines`;
  };
  input.addEventListener("input", find);
  find();
}
</script></body></html>
"""


def page(failures: Sequence[Failure], pictures: Sequence[Picture]) -> str:
    """Return the report."""
    what = "1 test failed" if len(failures) == 1 else f"{len(failures)} tests failed"
    parts = [_HEAD, f"<h1>{what}</h1>\n"]
    parts += [
        f"<details><summary>{_text(failure.test)}</summary><pre>{_text(failure.text)}</pre></details>\n"
        for failure in failures
    ]
    parts += [_section(one) for one in pictures]
    return "".join([*parts, _SCRIPT])


def _text(text: str) -> str:
    return html.escape(text, quote=True)


def _section(one: Picture) -> str:
    states = "".join(f"<tr><td>{_text(name)}</td><td>{_text(state)}</td></tr>" for name, state in one.states)
    path = " → ".join(f"{_text(name)} ({at_s:.2f} s)" for name, at_s in one.path) or "none"
    lines = "".join(_line(*line) for line in one.lines)
    return f"""<section><h2>Stack {_text(one.name)}</h2>
<h3>States at the end</h3><table>{states}</table>
<h3>Start</h3>
<p>Critical path: {path}</p>
{_chart(one)}
<details><summary>Plan</summary><pre>{_text(one.plan)}</pre></details>
<h3>Logs</h3>
<p><input type="search" placeholder="Search the logs" aria-label="Search the logs"> <span></span></p>
<div class="log">{lines}</div></section>
"""


def _chart(one: Picture) -> str:
    """Draw when each resource was worked on, as a bar from its first phase to its last."""
    if not one.phases:
        return "<p>It was not started by this run.</p>"
    total = max(phase.at_s for phase in one.phases) or 1.0
    on_path = {name for name, _ in one.path}
    rows = []
    for name in dict.fromkeys(phase.name for phase in one.phases):
        mine = [phase for phase in one.phases if phase.name == name]
        start, end = mine[0].at_s, mine[-1].at_s
        title = ", ".join(f"{phase.text} {phase.at_s:.2f} s" for phase in mine)
        marked = " on-path" if any(f"-{service}-" in f"{name}-" for service in on_path) else ""
        left, width = 100 * start / total, 100 * (end - start) / total
        rows.append(
            f'<div class="name">{_text(name)}</div><div class="track{marked}" title="{_text(title)}">'
            f'<div class="bar" style="left:{left:.2f}%;width:{width:.2f}%"></div></div>'
        )
    return f'<div class="chart">{"".join(rows)}</div>'


def _line(at_s: float, service: str, stream: str, text: str) -> str:
    moment = time.strftime("%H:%M:%S", time.gmtime(at_s)) + f".{int(at_s % 1 * 1000):03d}"
    return f'<div class="{_text(stream)}"><span>{moment} {_text(service)} |</span> {_text(text)}</div>'
