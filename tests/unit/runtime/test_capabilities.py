"""Docker's rules for cap_add, cap_drop and privileged."""

from __future__ import annotations

import pytest

from composer.errors import Unsupported
from composer.runtime.base import capabilities

EVERYTHING = capabilities.bounding()


@pytest.mark.parametrize(
    ("add", "drop", "privileged", "want"),
    [
        ([], [], False, capabilities.DEFAULT),
        (["NET_ADMIN"], [], False, capabilities.DEFAULT | {"NET_ADMIN"}),
        (["cap_net_admin"], ["CAP_chown"], False, (capabilities.DEFAULT | {"NET_ADMIN"}) - {"CHOWN"}),
        ([], ["ALL"], False, frozenset()),
        (["NET_BIND_SERVICE"], ["all"], False, frozenset({"NET_BIND_SERVICE"})),
        (["ALL"], [], False, EVERYTHING),
        (["ALL"], ["SYS_ADMIN", "MKNOD"], False, EVERYTHING - {"SYS_ADMIN", "MKNOD"}),
        (["CHOWN"], ["CHOWN"], False, capabilities.DEFAULT - {"CHOWN"}),
        ([], ["ALL"], True, EVERYTHING),
    ],
)
def test_docker_s_rules(add, drop, privileged, want):
    assert capabilities.resolve(add, drop, privileged=privileged) == want


def test_a_name_that_is_none_is_refused_with_the_one_that_was_meant():
    with pytest.raises(Unsupported, match="invalid capability: NET_ADMN") as caught:
        capabilities.resolve(["NET_ADMN"])
    assert caught.value.feature == "cap_add" and caught.value.hint == "did you mean NET_ADMIN?"


def test_masks_are_those_of_proc():
    assert capabilities.mask(capabilities.DEFAULT) == 0xA80425FB  # what docker run shows as CapBnd
    assert capabilities.names(0xA80425FB) == capabilities.DEFAULT
    assert capabilities.mask(["CHECKPOINT_RESTORE", "CHOWN"]) == 1 << 40 | 1


def test_the_kernel_knows_the_default_ones():
    assert capabilities.known() >= capabilities.DEFAULT
