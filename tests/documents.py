"""Holds what a command wrote to its model and to its published schema: on the memory backend and on real ones."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
from pydantic import TypeAdapter

from composer import documents


def check(name: str, text: str) -> list[Any]:
    """Return each document that was written. Raises ValidationError, AssertionError."""
    lines = documents.DOCUMENTS[name].form == documents.LINES
    found = [json.loads(line) for line in text.splitlines()] if lines else [json.loads(text)]
    assert found and all(found), "nothing was written"
    validator = jsonschema.Draft202012Validator(documents.schema(name))
    adapter: TypeAdapter[Any] = documents.adapter(name)
    for each in found:
        validator.validate(each)
        model = adapter.validate_json(json.dumps(each))
        assert adapter.dump_python(model, mode="json", by_alias=True, exclude_unset=True) == each
    return found
