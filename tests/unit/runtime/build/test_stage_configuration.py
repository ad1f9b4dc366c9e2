"""ENV, LABEL, EXPOSE, VOLUME and ONBUILD over what a stage has already, and what other stages see of it."""

from __future__ import annotations

from typing import Any

from composer.runtime.build.dockerfile.reading import parse
from composer.runtime.build.steps.stage import Stage, configure


def stage(text: str, config: dict[str, Any]) -> Stage:
    dockerfile = parse(f"FROM x\n{text}".encode(), "Dockerfile")
    made = Stage("0", dockerfile, image={"config": config}, files=None, given={}, globals={})  # type: ignore[arg-type]
    for instruction in dockerfile.stages[0].instructions:
        configure(made, instruction)
    return made


def test_a_variable_keeps_its_place() -> None:
    made = stage("ENV B=2 D=4\nENV A=$B C=3\n", {"Env": ["A=1", "B=1", "A=0"]})
    assert made.config["Env"] == ["A=2", "B=2", "D=4", "C=3"]
    assert made.variables() == {"A": "2", "B": "2", "D": "4", "C": "3"}


def test_the_base_is_not_changed() -> None:
    base = {
        "Env": ["A=1"],
        "Labels": {"a": "1"},
        "Volumes": {"/a": {}},
        "ExposedPorts": {"1/tcp": {}},
        "OnBuild": ["RUN a"],
    }
    before = {key: value.copy() for key, value in base.items()}  # type: ignore[attr-defined]
    made = stage("ENV A=2\nLABEL a=2 b=3\nVOLUME /b\nEXPOSE 2\nONBUILD RUN b\n", base)
    assert base == before
    assert made.config["Labels"] == {"a": "2", "b": "3"}
    assert made.config["Volumes"] == {"/a": {}, "/b": {}}
    assert made.config["ExposedPorts"] == {"1/tcp": {}, "2/tcp": {}}
    assert made.config["OnBuild"] == ["RUN a", "RUN b"]


def test_a_configuration_with_nulls() -> None:
    made = stage("ENV A=1\nLABEL a=1\n", {"Env": None, "Labels": None})
    assert (made.config["Env"], made.config["Labels"]) == (["A=1"], {"a": "1"})
