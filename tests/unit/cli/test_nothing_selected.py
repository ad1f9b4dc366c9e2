"""Nothing to start is not a success; a crash loop is not waited for for ever."""

from __future__ import annotations

from composer.backends.memory import Behaviour
from tests.unit.cli.console import Console, states

BEHIND = "services: {web: {image: i, profiles: [b, a]}, db: {image: i, profiles: [a]}}"


def test_up_with_nothing_selected(console: Console) -> None:
    console.write(BEHIND)
    for words in (("up",), ("up", "-d"), ("up", "--wait"), ("--dry-run", "up")):
        result = console(*words)
        assert (result.code, result.out) == (1, "")
        assert result.err == (
            "error: no service selected\n"
            "  hint: enable a profile with composer --profile NAME; available profiles: a, b\n"
        )
    assert console("--profile", "a", "up", "-d").code == 0
    assert console("up", "-d", "web").code == 0


def test_a_project_without_services(console: Console) -> None:
    console.write("services: {}")
    assert console("up", "-d").err == "error: no service selected\n"


def test_create_and_plan_say_it_and_go_on(console: Console) -> None:
    """As docker compose create does, which says nothing."""
    console.write(BEHIND)
    for verb in ("create", "plan"):
        result = console(verb)
        assert (result.code, "warning: no service selected" in result.err) == (0, True)


def test_wait_gives_up_on_a_crash_loop(console: Console) -> None:
    console.write("services: {web: {image: web, restart: always}}")
    console.backend.behave("web", Behaviour(exits=(7,) * 5, output=("no database here",)))
    result = console("up", "--wait", "--wait-restarts", "5")
    assert result.code == 1
    assert "was restarted 5 times" in result.err
    assert "no database here" in result.err
    assert states(console) == {"app-web-1": "restarting"}
    console("stop")
    assert "was restarted" in console("start", "--wait", "--wait-restarts", "1").err
