"""Stacks in others' formats, so that whoever outgrows this is not locked in: Kubernetes' manifests.

Pure: from the model's stack to documents, and to what these can't say. Nothing is dropped silently: each key that the
other side has no word for is a note that names it. Decision record 0061.
"""

from swarmlet.export.document import Exported, Note, as_yaml
from swarmlet.export.kubernetes import to_kubernetes

__all__ = ["Exported", "Note", "as_yaml", "to_kubernetes"]
