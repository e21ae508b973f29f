"""Jobs and their runs: what there is, running one now, cancelling one. Logs are those of a run's tasks."""

import secrets
import time

from aiohttp import web

from swarmlet.api import views
from swarmlet.api.job_views import job_detail, job_view, run_detail, run_view
from swarmlet.api.jobs_schema import JobView, RunReply, RunRequest, RunView
from swarmlet.api.routes import PEER, answer, body, commit, read, stack_asked_for
from swarmlet.api.schema import Listing, WriteReply
from swarmlet.controllers import job_commands
from swarmlet.controllers.job_errors import UnknownRun
from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.job import JobRun, RunId
from swarmlet.model.state import ClusterState
from swarmlet.model.transaction import Transaction

routes = web.RouteTableDef()


@routes.get("/v1/jobs")
async def list_jobs(request: web.Request) -> web.Response:
    moment = await read(request)
    stack = stack_asked_for(request, moment.state)
    declared = (each.value for _, each in sorted(moment.state.services.items()) if each.value.spec.job is not None)
    items = [job_view(moment, job) for job in declared if stack in (None, job.stack)]
    return answer(Listing[JobView](revision=moment.state.revision, items=items), moment.state.revision)


@routes.get("/v1/jobs/{job}")
async def get_job(request: web.Request) -> web.Response:
    moment = await read(request)
    declared = job_commands.job_service(moment.state, ServiceId(request.match_info["job"]))
    return answer(job_detail(moment, declared.value), moment.state.revision)


@routes.get("/v1/jobs/{job}/runs")
async def list_runs(request: web.Request) -> web.Response:
    """The oldest first."""
    moment = await read(request)
    declared = job_commands.job_service(moment.state, ServiceId(request.match_info["job"]))
    items = [run_view(moment, run.value) for run in moment.state.runs_of(declared.value.id)]
    return answer(Listing[RunView](revision=moment.state.revision, items=items), moment.state.revision)


@routes.post("/v1/jobs/{job}/runs")
async def run_job(request: web.Request) -> web.Response:
    """Begin a run now. With a `token` it may be sent again."""
    job, wanted = ServiceId(request.match_info["job"]), await body(request, RunRequest)
    token = wanted.token or secrets.token_hex(16)
    peer = request.app[PEER]

    def make(state: ClusterState) -> Transaction:
        declared = job_commands.job_service(state, job)
        hosts = [NodeId(node) for node in views.hosts_of(peer.moment(), declared.value)]
        return job_commands.run_now(state, job, token, hosts, time.time())

    revision, _ = await commit(request, make)
    return answer(RunReply(revision=revision, run=job_commands.run_id(job, token)), revision)


@routes.get("/v1/runs/{run}")
async def get_run(request: web.Request) -> web.Response:
    moment = await read(request)
    return answer(run_detail(moment, _run(moment, request)), moment.state.revision)


@routes.post("/v1/runs/{run}/cancel")
async def cancel_run(request: web.Request) -> web.Response:
    run = RunId(request.match_info["run"])
    revision, _ = await commit(request, lambda state: job_commands.cancel(state, run, time.time()))
    return answer(WriteReply(revision=revision), revision)


def _run(moment: views.Moment, request: web.Request) -> JobRun:
    found = moment.state.job_runs.get(RunId(request.match_info["run"]))
    if found is None:
        raise UnknownRun(RunId(request.match_info["run"]))
    return found.value
