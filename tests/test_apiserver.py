"""Is the proxy of the environment used for the API server, and left out where it says so?"""

from __future__ import annotations

import pytest

from tocsin.apiserver import proxy_for

PROXY = "http://proxy.internal:3128"


@pytest.mark.parametrize(
    ("environment", "server", "proxy"),
    [
        pytest.param({}, "https://10.0.0.1:6443", None, id="none is named"),
        pytest.param({"https_proxy": PROXY}, "https://10.0.0.1:6443", PROXY, id="one is named"),
        pytest.param({"http_proxy": PROXY}, "https://10.0.0.1:6443", None, id="one for another scheme"),
        pytest.param({"https_proxy": PROXY, "no_proxy": "10.0.0.1"}, "https://10.0.0.1:6443", None, id="not for this"),
    ],
)
def test_the_proxy_of_a_server(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], server: str, proxy: str | None
) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert proxy_for(server) == proxy
