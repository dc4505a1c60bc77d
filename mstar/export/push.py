"""An exported folder on a hub: the model, and beside it the data set"""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import HfApi

KEPT = "kept"


def dataset_repo(repo: str) -> str:
    """Where the training set of a model goes."""
    return f"{repo}-{KEPT}"


def push(folder: Path, repo: str, public: bool) -> list[str]:
    """Upload a folder of ``export``; what is there already is not sent again, so a broken upload is simply repeated.

    Args:
        folder: With ``kept/`` in it if there is a training set.
        repo: Hub id of the model, ``OWNER/NAME``.
        public: Whether a repository that does not exist yet is made public; others stay as they are.

    Returns:
        Addresses of what was written.
    """
    hub = HfApi()
    hub.create_repo(repo, repo_type="model", private=not public, exist_ok=True)
    sent = [hub.upload_folder(repo_id=repo, repo_type="model", folder_path=folder, ignore_patterns=[f"{KEPT}/**"])]
    if (folder / KEPT).is_dir():
        data = dataset_repo(repo)
        hub.create_repo(data, repo_type="dataset", private=not public, exist_ok=True)
        sent.append(hub.upload_folder(repo_id=data, repo_type="dataset", folder_path=folder / KEPT))
    return [str(each) for each in sent]
