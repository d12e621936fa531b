"""Validation messages of one line: the file, the key, the value, what is allowed and the nearest guess."""

import datetime
import difflib
import math
from collections.abc import Iterable
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match, relevance

from brainmet.errors import BrainmetError


def validate(document: Any, schema: dict[str, Any], *, name: str) -> None:
    """Check a document against a JSON schema.

    Args:
        document: parsed YAML.
        schema: JSON schema, draft 2020-12.
        name: file name for the message.

    Raises:
        BrainmetError: with the most telling violation, in one line.
    """
    if key := _not_finite(document):
        raise BrainmetError(f"{name}: {key}: not a finite number")
    errors = list(Draft202012Validator(schema).iter_errors(document))
    unknown = next((error for error in errors if error.validator == "additionalProperties"), None)
    if error := unknown or best_match(errors, key=_relevance):
        raise BrainmetError(f"{name}: {' '.join(message(error, document).split())}")


def _relevance(error: ValidationError) -> tuple[Any, ...]:
    """The library's order, by keys as text: those of YAML may be numbers beside words, which do not compare."""
    depth, path, *rest = relevance(error)
    return depth, [str(part) for part in path], *rest


def _not_finite(value: Any, key: str = "") -> str:
    """Key of the first number that is not finite; no limit of a schema holds for these."""
    if isinstance(value, float) and not math.isfinite(value):
        return key or "document"
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next((found for name, child in inner if (found := _not_finite(child, f"{key}.{name}".strip(".")))), "")


def message(error: ValidationError, document: Any) -> str:
    """One line for one violation."""
    key = _place(error, document)
    if error.validator == "additionalProperties":
        return _unknown_key(error, key)
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{key + ': ' if key else ''}required key missing: {', '.join(missing)}"
    if error.validator == "enum":
        allowed, near = (
            ", ".join(dict.fromkeys(map(str, error.validator_value))),
            guess(error.instance, error.validator_value),
        )
        return f"{key}: {error.instance!r} is not allowed{near}; allowed: {allowed}"
    if error.validator in ("oneOf", "anyOf") and error.context:
        options = "; or ".join(dict.fromkeys(_plain(option) for option in error.context))
        return f"{key}: {error.instance!r} fits none of the allowed forms: {options}"
    return f"{key}: {_plain(error)}" if key else _plain(error)


def _place(error: ValidationError, document: Any) -> str:
    """Dotted key of a violation; an entry of a list goes by its id where it has one, by its position else."""
    parts = []
    for part in error.absolute_path:
        document = document[part]
        named = isinstance(part, int) and isinstance(document, dict) and isinstance(document.get("id"), str)
        parts.append(document["id"] if named else str(part))
    return ".".join(parts)


def _plain(error: ValidationError) -> str:
    value, limit = error.instance, error.validator_value
    if isinstance(value, datetime.date):
        return f"{value.isoformat()} is read as a date; put it in quotes"
    if isinstance(value, int | float) and limit in ("string", ["string", "null"]):
        if isinstance(value, bool):
            return f"{value!r} is read as a truth value; put it in quotes as it is written"
        return f"{value!r} is read as a number; put it in quotes as it is written"
    texts = {
        "type": f"{value!r} must be {_kinds(limit)}",
        "minimum": f"{value!r} must be at least {limit}",
        "maximum": f"{value!r} must be at most {limit}",
        "exclusiveMinimum": f"{value!r} must be greater than {limit}",
        "exclusiveMaximum": f"{value!r} must be less than {limit}",
        "pattern": f"{value!r} must match {limit}",
        "minItems": f"{value!r} must have at least {limit} entries",
        "uniqueItems": f"{value!r} must not repeat an entry",
        "const": f"{value!r} must be {limit!r}",
    }
    return texts.get(str(error.validator), " ".join(error.message.split()))


def _kinds(limit: Any) -> str:
    """Types as YAML has them."""
    names = limit if isinstance(limit, list) else [limit]
    words = {"object": "a mapping (name: value)", "array": "a list ([one, two])"}
    return " or ".join(words.get(name, str(name)) for name in names)


def _unknown_key(error: ValidationError, key: str) -> str:
    allowed = list(error.schema.get("properties", {}))
    unknown = next(name for name in error.instance if name not in allowed)
    path = f"{key}.{unknown}" if key else str(unknown)
    return f"{path}: unknown key{guess(unknown, allowed)}; allowed: {', '.join(allowed)}"


def guess(value: Any, allowed: Iterable[Any], *, cutoff: float = 0.6) -> str:
    """`; did you mean …?` with the nearest of what is allowed, or empty; `cutoff` as of `difflib.get_close_matches`."""
    close = difflib.get_close_matches(str(value), [str(option) for option in allowed], n=1, cutoff=cutoff)
    return f"; did you mean {close[0]}?" if close else ""
