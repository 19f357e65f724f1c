from pathlib import Path

import pytest

from leadline.io.remote import RemoteFolder


def test_other_machines_are_told_whole_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert RemoteFolder("photos").url == f"file://{tmp_path}/photos"
    for url in ("memory://bucket/photos", "simplecache::memory://bucket/photos"):
        assert RemoteFolder(url).url == url
