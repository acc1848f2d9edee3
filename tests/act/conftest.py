"""What do the tests of actions share? A proxy that loses, delays and counts what an action sends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.act import deployments as d
from tests.cluster.access import Access
from tests.cluster.proxy import ApiProxy


@pytest.fixture
def proxy(cluster: Access) -> Iterator[ApiProxy]:
    with d.proxied(cluster) as proxy:
        yield proxy
