"""A deployed stack in others' formats. Contents of secrets are not given away."""

import asyncio

from aiohttp import web

from swarmlet.api.export_schema import ExportView, NoteView
from swarmlet.api.routes import answer, read
from swarmlet.controllers.known import known_stack
from swarmlet.controllers.stacks import services_of
from swarmlet.model.ids import StackName
from swarmlet.model.spec import StackSpec

routes = web.RouteTableDef()


@routes.get("/v1/stacks/{stack}/export/kubernetes")
async def export_kubernetes(request: web.Request) -> web.Response:
    moment = await read(request)
    name = StackName(request.match_info["stack"])
    known_stack(moment.state, name)
    services = (each.value.spec for each in services_of(moment.state, name).values())
    spec = StackSpec(name=name, services={each.name: each for each in services})
    return answer(await asyncio.to_thread(_exported, spec), moment.state.revision)


def _exported(spec: StackSpec) -> ExportView:
    # Hardly ever asked for: an agent at rest does without it.
    from swarmlet.export import as_yaml, to_kubernetes

    exported = to_kubernetes(spec, reveal=False)
    notes = [NoteView(service=note.service, key=note.key, message=note.message) for note in exported.notes]
    return ExportView(stack=spec.name, text=as_yaml(exported), documents=list(exported.documents), notes=notes)
