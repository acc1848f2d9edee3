"""Where does a kind live? What `kubectl get` accepts as a kind, found by discovery and remembered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Resources:
    """The kinds of one API server, by every word that names them."""

    get: Callable[[str], Any]
    """One GET: a path to a decoded answer."""
    _known: dict[str, tuple[str, str, bool]] = field(default_factory=dict)

    def path(self, kind: str, namespace: str | None = None) -> str:
        """The path of a kind's list; a kind is a plural, a singular, a short name or plural.group."""
        word = kind.lower()
        if word not in self._known:
            self._discover()
        root, plural, namespaced = self._known[word]
        return f"{root}/namespaces/{namespace}/{plural}" if namespaced and namespace else f"{root}/{plural}"

    def _discover(self) -> None:
        served = self.get("/apis")["groups"]
        further = [(group["name"], f"/apis/{group['preferredVersion']['groupVersion']}") for group in served]
        for group, root in [("", "/api/v1"), *further]:
            for one in self.get(root)["resources"]:
                if "/" in one["name"]:
                    continue
                where = (root, one["name"], one["namespaced"])
                names = [one["name"], one.get("singularName", ""), one["kind"].lower(), *one.get("shortNames", [])]
                for name in filter(None, names):
                    self._known.setdefault(name, where)
                    self._known[f"{name}.{group}"] = where
