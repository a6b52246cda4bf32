"""How private an address is."""

from __future__ import annotations

import pytest

from rbee_widgets.hive.engine.addresses import Reach, reach_of


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("8.8.8.8", Reach.PUBLIC),
        ("2606:4700::1", Reach.PUBLIC),
        ("10.1.2.3", Reach.PRIVATE),
        ("192.168.0.1", Reach.PRIVATE),
        ("100.64.0.1", Reach.PRIVATE),
        ("fd12::1", Reach.PRIVATE),
        ("127.9.9.9", Reach.LOOPBACK),
        ("::1", Reach.LOOPBACK),
        ("::ffff:127.0.0.1", Reach.LOOPBACK),
        ("64:ff9b::7f00:1", Reach.LOOPBACK),
        ("2002:a00:1::", Reach.PRIVATE),
        ("fe80::1%eth0", None),
        ("64:ff9b::a9fe:a9fe", None),
        ("0.1.2.3", None),
        ("ff02::1", None),
    ],
)
def test_an_address_is_as_private_as_where_it_leads(address: str, reach: Reach | None) -> None:
    assert reach_of(address) is reach
