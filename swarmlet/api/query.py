"""What stands in a request's query and headers, read in one way everywhere. Raises 400 with what to write instead."""

from collections.abc import Mapping

from aiohttp import web

NUMBER_MAX = 2**63 - 1
FLAGS = {"1": True, "true": True, "0": False, "false": False}


def flag(query: Mapping[str, str], name: str) -> bool:
    """False where it is not given."""
    text = query.get(name, "0")
    if text not in FLAGS:
        raise web.HTTPBadRequest(text=f"{name} is {text!r}; write 1 or true, 0 or false")
    return FLAGS[text]


def whole_number(text: str, what: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= len(str(NUMBER_MAX)) and int(text) <= NUMBER_MAX:
        return int(text)
    raise web.HTTPBadRequest(text=f"{what} is {text!r}; write a whole number from 0 to {NUMBER_MAX}")
