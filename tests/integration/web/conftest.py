from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web_night import Page


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with Page(tmp_path).served() as served:
        yield served
