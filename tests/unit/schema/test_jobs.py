"""Jobs: the attributes that they share with services are treated alike, and triggers have a long form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from composer.errors import ProjectInvalid
from composer.schema import shape
from composer.schema.load import LoadOptions, load
from composer.schema.model import Project
from composer.schema.tree import plain
from tests.unit.schema.project import write

SPEC = Path(shape.__file__).with_name("compose-spec.json")
BODY = """
    image: i
    command: run it
    environment: [K=1, BARE]
    env_file: web.env
    ports: ["8080:80"]
    expose: [1, 1]
    volumes: ["./d:/d", "data:/x/"]
    secrets: [s]
    build: {dockerfile_inline: FROM x}
    tty: ${YES}
    depends_on: [other]
    volumes_from: [other:ro]
    gpus: all
    init: false
"""
REST = """
volumes: {data: {}, spare: {}}
secrets: {s: {environment: BARE}}
networks: {default: {}, spare: {}}
"""


def project(directory: Path, text: str, *more: str, **options: Any) -> Project:
    names = [f"{index}.yaml" for index in range(len(more) + 1)]
    write(directory, {**dict(zip(names, (text, *more), strict=True)), "web.env": "FROM_FILE=2\n"})
    environment = {"YES": "true", "BARE": "b"}
    return load(
        LoadOptions(files=tuple(names), working_dir=str(directory), environment=environment, **options)
    )


def test_the_shared_attributes_are_those_of_a_service(tmp_path: Path) -> None:
    text = f"services:\n  other: {{image: i}}\n  one:{BODY}jobs:\n  one:{BODY}    triggers: {{manual: true}}\n{REST}"
    tree = plain(project(tmp_path, text).tree)
    job = tree["jobs"]["one"]
    assert job.pop("triggers") == {"manual": True}
    assert job == tree["services"]["one"]
    assert job["environment"] == {"BARE": "b", "FROM_FILE": "2", "K": "1"}
    assert job["volumes"][0]["source"] == str(tmp_path / "d")


def test_every_attribute_of_the_schema_has_a_place() -> None:
    properties = json.loads(SPEC.read_text())["$defs"]["job"]["properties"]
    assert set(shape.JOB.fields) == set(properties)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("{}", {}),
        ("{manual: '${YES}'}", {"manual": True}),
        ("{manual: false}", {"manual": False}),
        ("{schedule: ['@daily']}", {"schedule": [{"cron": "@daily"}]}),
        (
            "{schedule: [{cron: 0 3 * * *, timezone: UTC, concurrency: forbid, missed_fires: one}]}",
            {
                "schedule": [
                    {"cron": "0 3 * * *", "timezone": "UTC", "concurrency": "forbid", "missed_fires": "one"}
                ]
            },
        ),
    ],
)
def test_triggers(tmp_path: Path, written: str, canonical: object) -> None:
    text = f"services: {{}}\njobs: {{a: {{image: i, triggers: {written}}}}}\n"
    assert plain(project(tmp_path, text).tree["jobs"]["a"]["triggers"]) == canonical


def test_typed_view(tmp_path: Path) -> None:
    text = f"services: {{other: {{image: i}}}}\njobs:\n  one:{BODY}    triggers: {{schedule: ['@daily']}}\n{REST}"
    job = project(tmp_path, text).jobs["one"]
    assert job.command == ("run", "it") and job.ports[0].target == 80
    assert job.triggers.manual is None and job.triggers.schedule[0].cron == "@daily"
    assert not hasattr(job, "scale")


def test_files_are_merged_as_services_are(tmp_path: Path) -> None:
    one = "services: {}\njobs: {a: {image: i, command: x y, dns: [d], ports: ['80:80'], triggers: {schedule: ['1']}}}\n"
    two = "jobs: {a: {command: [z], dns: [d, e], ports: ['80:80'], triggers: {schedule: ['2']}}}\n"
    job = project(tmp_path, one, "services: {}\n" + two).tree["jobs"]["a"]
    assert plain(job["command"]) == ["z"] and plain(job["dns"]) == ["d", "e"] and len(job["ports"]) == 1
    assert [one["cron"] for one in job["triggers"]["schedule"]] == ["1", "2"]


def test_profiles_and_what_jobs_use(tmp_path: Path) -> None:
    text = (
        "services: {a: {image: i}}\nvolumes: {kept: {}, other: {}}\njobs:\n"
        "  on: {image: i, volumes: ['kept:/v'], triggers: {}}\n"
        "  off: {image: i, profiles: [p], volumes: ['other:/v'], triggers: {}}\n"
    )
    found = project(tmp_path, text)
    assert list(found.tree["jobs"]) == ["on"] and list(found.tree["volumes"]) == ["kept"]
    assert list(project(tmp_path, text, profiles=("p",)).tree["jobs"]) == ["off", "on"]
    alone = found.select(["a"]).tree
    assert "jobs" not in alone and "volumes" not in alone


def test_a_job_extends_a_job_or_a_service(tmp_path: Path) -> None:
    text = (
        "services: {web: {image: i, restart: always, environment: {A: '1'}, deploy: {replicas: 2}}}\n"
        "jobs:\n"
        "  one: {extends: web, environment: {B: '2'}, triggers: {manual: true}}\n"
        "  two: {extends: {service: one}, command: x}\n"
        "  three: {extends: {service: far, file: sub/other.yaml}, triggers: {}}\n"
    )
    other = "jobs: {far: {image: f, env_file: [f.env], triggers: {manual: true}}}\nservices: {far: {image: wrong}}\n"
    write(tmp_path, {"sub/other.yaml": other, "sub/f.env": "F=1\n"})
    jobs = plain(project(tmp_path, text).tree["jobs"])
    assert jobs["one"]["environment"] == {"A": "1", "B": "2"} and "restart" not in jobs["one"]
    assert (jobs["two"]["image"], jobs["two"]["command"], jobs["two"]["triggers"]) == (
        "i",
        ["x"],
        {"manual": True},
    )
    assert (jobs["three"]["image"], jobs["three"]["environment"]) == ("f", {"F": "1"})
    assert not any("extends" in job for job in jobs.values())


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ("{triggers: {}}", "2:8: job 'j' has neither an image nor a build context specified"),
        (
            "{image: i, triggers: {}, volumes: ['vol:/v', 'other:/w']}",
            "job 'j' refers to undefined volume 'other'",
        ),
        ("{image: i, triggers: {}, depends_on: [a, b]}", "job 'j' depends on undefined service 'b'"),
        (
            "{image: i, triggers: {}, networks: [n], network_mode: host}",
            "'network_mode' and 'networks' are mutually exclusive",
        ),
        (
            "{image: i, triggers: {}, healthcheck: {test: [x]}}",
            "healthcheck.test must start with NONE, CMD or CMD-SHELL, not 'x'",
        ),
        (
            "{image: i, extends: nobody, triggers: {}}",
            "cannot extend service 'j': service 'nobody' not found",
        ),
        ("{extends: j, triggers: {}}", "circular extends: j → j"),
        ("{image: i, triggers: {}, restart: always}", "unknown attribute 'restart' of job 'j'"),
        ("{image: i}", "'triggers' is required in 'jobs.j'"),
    ],
)
def test_what_is_wrong_with_a_job(tmp_path: Path, job: str, message: str) -> None:
    text = (
        f"services: {{a: {{image: i}}}}\njobs: {{j: {job}}}\nvolumes: {{vol: {{}}}}\nnetworks: {{n: {{}}}}\n"
    )
    with pytest.raises(ProjectInvalid) as caught:
        project(tmp_path, text)
    assert message in str(caught.value.errors[0]), [str(error) for error in caught.value.errors]


def test_every_attribute_of_a_service_has_a_place_or_a_reason() -> None:
    properties = json.loads(SPEC.read_text())["$defs"]["service"]["properties"]
    assert set(properties) - set(shape.SERVICE.fields) == set(), "a row in shape.SERVICE is missing"
