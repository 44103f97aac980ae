"""The Hugging Face Hub, or a mirror of it: files of a pinned commit as a local folder."""

from codefit.hub.client import Hub
from codefit.hub.names import is_hub_name, split_name
from codefit.hub.repo import File, Snapshot, fetch, look

__all__ = ["File", "Hub", "Snapshot", "fetch", "is_hub_name", "look", "split_name"]
