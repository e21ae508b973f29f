"""Jobs over HTTP: what there is, running one now (once, however often it is sent), cancelling, and what is refused."""

from pathlib import Path

from aiohttp.test_utils import TestClient
from api_builders import a_peer, an_api

from swarmlet.api.jobs_schema import JobDetailView, JobView, RunDetailView, RunReply
from swarmlet.api.peer import Peer
from swarmlet.api.schema import Listing, StackView
from swarmlet.controllers import reconcile
from swarmlet.model.job import RunState
from swarmlet.model.observed import ObservedState
from swarmlet.model.transaction import Transaction, put

ONCE = "services: {work: {image: 'work:1', x-swarmlet: {job: {completions: 3, retries: 0}}}}"
NIGHTLY = "services: {work: {image: 'work:1', x-swarmlet: {job: {schedule: '30 2 * * *', time_zone: Europe/Berlin}}}}"
YAML = {"Content-Type": "application/yaml"}


async def deploy(client: TestClient, peer: Peer, text: str) -> None:  # type: ignore[type-arg]
    assert (await client.put("/v1/stacks/shop", data=text, headers=YAML)).status == 200
    await the_leader_looks(peer)


async def the_leader_looks(peer: Peer) -> None:
    outcome = reconcile(peer.consensus.replica.state, ObservedState(), 1_000.0, gone=())
    for transaction in outcome.transactions:
        assert (await peer.consensus.submit(transaction)).succeeded


async def end_runs(peer: Peer) -> None:
    """As if all that is under way had succeeded."""
    for run in [each.value for each in peer.consensus.replica.state.job_runs.values() if each.value.state.is_active]:
        over = run.model_copy(update={"state": RunState.SUCCEEDED})
        assert (await peer.consensus.submit(Transaction((), (put(over.key, over),)))).succeeded


async def the_job(client: TestClient) -> JobDetailView:  # type: ignore[type-arg]
    return JobDetailView.model_validate(await (await client.get("/v1/jobs/shop.work")).json())


async def the_stack(client: TestClient) -> StackView:  # type: ignore[type-arg]
    return StackView.model_validate(await (await client.get("/v1/stacks/shop")).json())


async def test_a_job_is_shown_with_its_rules_and_runs(tmp_path: Path) -> None:
    async with a_peer(tmp_path) as peer, an_api(peer) as client:
        await deploy(client, peer, ONCE)
        listing = Listing[JobView].model_validate(await (await client.get("/v1/jobs?stack=shop")).json())
        other = await client.get("/v1/jobs?stack=other")
        job = await the_job(client)
        run = RunDetailView.model_validate(await (await client.get(f"/v1/runs/{job.runs[0].id}")).json())
        stack = await the_stack(client)

    assert [each.id for each in listing.items] == ["shop.work"] and other.status == 404
    assert (job.mode, job.completions, job.retries, job.schedule, job.active) == ("replicated-job", 3, 0, "", 1)
    assert (run.state, run.cause, run.completions, run.tasks) == ("pending", "deploy", 3, [])
    assert [(each.state, each.wanted, each.ready) for each in stack.services] == [("progressing", 3, 0)]


async def test_one_with_a_schedule_is_as_declared_at_once_and_says_when_it_is_due(tmp_path: Path) -> None:
    async with a_peer(tmp_path) as peer, an_api(peer) as client:
        await deploy(client, peer, NIGHTLY)
        job = await the_job(client)
        stack = await the_stack(client)

    assert job.runs == [] and job.next_at is not None
    assert stack.state == "converged"


async def test_an_earlier_revision_deployed_again_is_as_declared_when_it_has_run_again(tmp_path: Path) -> None:
    async with a_peer(tmp_path) as peer, an_api(peer) as client:
        for text in (ONCE, ONCE.replace("work:1", "work:2")):
            await deploy(client, peer, text)
            await end_runs(peer)
        assert (await the_stack(client)).state == "converged"
        assert (await client.put("/v1/stacks/shop", data=ONCE, headers=YAML)).status == 200
        before = await the_stack(client)
        await the_leader_looks(peer)
        meanwhile = await the_stack(client)
        await end_runs(peer)
        after = await the_stack(client)

    assert [each.state for each in (before, meanwhile, after)] == ["progressing", "progressing", "converged"]


async def test_a_run_is_begun_once_for_a_token_and_can_be_cancelled(tmp_path: Path) -> None:
    async with a_peer(tmp_path) as peer, an_api(peer) as client:
        await deploy(client, peer, NIGHTLY)
        replies = [
            RunReply.model_validate(await (await client.post("/v1/jobs/shop.work/runs", json={"token": "t"})).json())
            for _ in range(2)
        ]
        another = await client.post("/v1/jobs/shop.work/runs")
        refusal = await another.json()
        cancelled = await client.post(f"/v1/runs/{replies[0].run}/cancel")
        too_late = await client.post(f"/v1/runs/{replies[0].run}/cancel")
        late_detail = (await too_late.json())["detail"]
        job = await the_job(client)

    assert replies[0].run == replies[1].run
    assert another.status == 409 and "its policy forbids another one beside it" in refusal["detail"]
    assert cancelled.status == 200
    assert too_late.status == 409 and late_detail.endswith("is over: it was cancelled")
    assert [(run.id, run.state, run.cause) for run in job.runs] == [(replies[0].run, "cancelled", "request")]


async def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    async with a_peer(tmp_path) as peer, an_api(peer) as client:
        await deploy(client, peer, ONCE)
        answers = [
            await client.get("/v1/jobs/shop.ghost"),
            await client.get("/v1/runs/nothing"),
            await client.post("/v1/jobs/shop.ghost/runs"),
            await client.post("/v1/runs/nothing/cancel"),
        ]
        details = [(await each.json())["detail"] for each in answers]

    assert [each.status for each in answers] == [404] * 4
    assert details[0] == "there is no job 'shop.ghost'; there is shop.work"
    assert details[1].startswith("no run has the id 'nothing'")
