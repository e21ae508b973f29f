"""The run that stands for a job as it is deployed: what a deploy, and the services that depend on the job, wait for.

Rules: it is the latest run, whoever began it, once the present revision was run since it was deployed. What an earlier
deployment of the same revision came to says nothing of this one. A job that goes by a clock has none.
"""

from swarmlet.model.job import JobRun
from swarmlet.model.objects import Service
from swarmlet.model.state import ClusterState


def deployed_run(state: ClusterState, service: Service) -> JobRun | None:
    """None while there is none of the present deployment yet."""
    job = state.jobs.get(service.id)
    if job is None or job.value.deployed != service.revision:
        return None
    runs = state.runs_of(service.id)
    return runs[-1].value if runs and runs[-1].value.revision == service.revision else None
