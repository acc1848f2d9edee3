"""How a status is written: the smallest merge patch, guarded by the resourceVersion that the decision rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.api.objects import API_VERSION, Metadata
from tocsin.apiserver import ApiServer, path


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch (RFC 7386) from one value to the other; fields that neither knows are left alone."""
    patch: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            inner = difference(before, value)
            if inner:
                patch[name] = inner
        elif value != before or name not in old:
            patch[name] = value
    return patch


def compact(value: Any) -> Any:
    """The value without what is empty: an absent field reads as its default, and a status is read by people."""
    if isinstance(value, Mapping):
        kept = {name: compact(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner not in (None, "", [], {})}
    if isinstance(value, list):
        return [compact(inner) for inner in value]
    return value


async def write_status(
    api: ApiServer, plural: str, metadata: Metadata, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Any:
    """Write a status; returns the object as it is then, or None when there was nothing to write.

    Raises ApiError 409 when somebody else wrote in between, and NoAnswer when it is not known whether it was written.
    """
    patch = difference(compact(old), compact(new))
    if not patch:
        return None
    body = {"metadata": {"uid": metadata.uid, "resourceVersion": metadata.resource_version}, "status": patch}
    return await api.merge(path(API_VERSION, plural, metadata.namespace, metadata.name, "status"), body)
