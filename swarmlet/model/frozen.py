"""The base of every stored or transmitted value: immutable, closed to unknown fields, encoded by msgpack.

`encode` writes only what differs from a field's default, so that objects stay small in the log and a newer
agent can add fields with defaults.
"""

from typing import Any, Self, TypeVar

import msgpack
from pydantic import BaseModel, ConfigDict

ModelT = TypeVar("ModelT", bound="Frozen")


class Frozen(BaseModel):
    # Errors do not show their input: it may be a secret.
    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_inf_nan="constants", hide_input_in_errors=True, defer_build=True
    )

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """What nobody changes needs no copy. Pydantic would copy each default that holds a mapping at each decoding."""
        return self


def encode(value: Frozen) -> bytes:
    plain: Any = value.model_dump(mode="json", exclude_defaults=True)
    packed: bytes = msgpack.packb(plain, use_bin_type=True)
    return packed


def decode(kind: type[ModelT], data: bytes) -> ModelT:
    """The inverse of `encode`. Raises `pydantic.ValidationError` or `msgpack` errors on foreign bytes."""
    return kind.model_validate(msgpack.unpackb(data))
