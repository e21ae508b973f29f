"""Every key of the Compose specification, and ours (`x-swarmlet`), with how swarmlet takes it.

Source of the key names: https://github.com/compose-spec/compose-spec/blob/main/schema/compose-spec.json, which a test
holds this table against. The texts stand in messages and in docs/compose.md.
"""

from swarmlet.model.compose.key_row import KeyRow
from swarmlet.model.compose.key_rows_deploy import DEPLOY, HEALTH
from swarmlet.model.compose.key_rows_extension import EXTENSION
from swarmlet.model.compose.key_rows_placement import PLACEMENT
from swarmlet.model.compose.key_rows_project import NETWORKS, STORED, TOP, VOLUMES
from swarmlet.model.compose.key_rows_service import MOUNTS, NETWORK, RIGHTS, TASK

KEYS: tuple[KeyRow, ...] = (
    *TOP,
    *TASK,
    *NETWORK,
    *MOUNTS,
    *RIGHTS,
    *HEALTH,
    *EXTENSION,
    *DEPLOY,
    *PLACEMENT,
    *VOLUMES,
    *STORED,
    *NETWORKS,
)
