"""Which kernel settings a container may have: a table of names, and what each way in says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer import sysctls
from composer.backends.docker import translate as docker
from composer.backends.namespace import translate as namespace
from composer.runtime.container import rootfs
from composer.schema.lint import lint
from composer.schema.options import LoadOptions

ALLOWED = (
    "kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni "
    "kernel.shm_rmid_forced kernel.domainname fs.mqueue.msg_max net.core.somaxconn net.ipv4.ip_forward "
    "net.ipv4.conf.eth0.rp_filter net.ipv6.conf.all.disable_ipv6"
).split()
REFUSED = (
    "kernel.core_pattern kernel.printk_ratelimit kernel.hostname kernel.modprobe kernel.shm vm.swappiness fs.file-max "
    "fs.mqueue user.max_user_namespaces net net. .net net..core net/core/somaxconn net/../../../x net.core/../x "
    "../../../etc/passwd .. . / net.ipv4.. kernel net.core dev.raid.speed_limit_max"
).split()


@pytest.mark.parametrize("name", ALLOWED)
def test_settings_of_a_namespace_are_allowed(name: str) -> None:
    assert sysctls.find_fault(name) is None


@pytest.mark.parametrize("name", [*REFUSED, "", "net.core.somax\nconn", "net.core.somaxconn\n", "net.ipv4.é"])
def test_settings_of_the_machine_and_other_files_are_refused(name: str) -> None:
    assert sysctls.find_fault(name) is not None
    with pytest.raises(rootfs.MountFailed):
        rootfs.set_sysctls({name: "0"}, {})


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("net.core.somaxconn", {"network_mode": "host"}),
        ("net.core.somaxconn", {"network_mode": "service:db"}),
        ("net.core.somaxconn", {"network_mode": "container:abc"}),
        ("kernel.shmmax", {"ipc": "host"}),
        ("fs.mqueue.msg_max", {"ipc": "service:db"}),
        ("kernel.domainname", {"uts": "host"}),
    ],
)
def test_settings_of_a_namespace_that_is_shared_are_refused(name: str, attributes: dict[str, str]) -> None:
    ((key, reason, _),) = sysctls.find_faults({**attributes, "sysctls": {name: "1"}})
    assert key == name and next(iter(attributes.values())) in reason
    assert sysctls.find_faults({"sysctls": {name: "1"}}) == []


@pytest.mark.parametrize("written", [{"kernel.core_pattern": "|/x"}, ["kernel.core_pattern=|/x"]])
def test_both_backends_say_it_before_anything_is_made(written: object) -> None:
    for found in (
        namespace.limitations({"sysctls": written}),
        docker.limitations({"sysctls": written}, (1, 47)),
    ):
        (limitation,) = found
        assert limitation.fatal
        assert limitation.path[0] == "sysctls" and limitation.path[1] in (0, "kernel.core_pattern")


def test_lint_reports_it_at_its_line_and_the_loader_accepts_it(tmp_path: Path) -> None:
    text = (
        "services:\n  a:\n    image: x:1\n    sysctls:\n      net.core.somaxconn: 1\n      vm.swappiness: 1\n"
    )
    (tmp_path / "compose.yaml").write_text(text)
    report = lint(LoadOptions(working_dir=str(tmp_path), environment={}))
    (finding,) = report.findings
    assert (finding.rule, finding.at and finding.at.line) == ("machine-sysctl", 6)


def test_what_a_row_would_stumble_over_is_a_limitation() -> None:
    """Values that the loader lets pass and a container cannot have: said before, not when half is made."""
    for attributes in ({"stop_signal": "SIGNOTHING"}, {"umask": 0o7777}):
        (limitation,) = namespace.limitations(attributes)
        assert limitation.fatal and limitation.path == tuple(attributes)
