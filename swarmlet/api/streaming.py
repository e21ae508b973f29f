"""Answers that are written piece by piece.

Once one has begun, an error can't be told in it any more: the connection ends without the body's end then, so that
nobody takes a part for the whole.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from swarmlet.errors import SwarmletError

log = structlog.get_logger()


@asynccontextmanager
async def streamed(request: web.Request, headers: Mapping[str, str]) -> AsyncIterator[web.StreamResponse]:
    """A response that has begun. What is raised within ends it, and is logged."""
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    try:
        yield response
    except ConnectionError:
        raise  # the client is gone: nobody is left to be told
    except Exception as error:
        expected = isinstance(error, SwarmletError)
        log.warning("answer_broke_off", path=request.path, error=str(error), exc_info=not expected)
        if request.transport is not None:
            request.transport.abort()
