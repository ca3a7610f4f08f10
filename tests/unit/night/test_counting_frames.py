"""What the daemon makes of new frames in the folder of the imaging program."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from alpaca_focus.core.night.state import NO_LIGHTS, Plan
from alpaca_focus.daemon.light_frames import count_frames
from alpaca_focus.files.incoming import IncomingFrame
from tests.night_scene import Scene, night_settings, played

COUNTED = IncomingFrame(path=Path("light.fits"), ended_at=None, is_named_light=True)
MEASURED = replace(COUNTED, hfd_px=2.5)


def test_stars_on_a_frame_from_before_the_last_refocus_do_not_count() -> None:
    scene = Scene(night_settings())

    async def night() -> None:
        before = scene.clock.wall()
        count_frames(scene.scheduler, [COUNTED, replace(MEASURED, ended_at=before)])
        assert scene.scheduler.state.history.hfds_px == (2.5,)
        scene.scheduler.requests.refocus()
        await scene.poll()
        count_frames(scene.scheduler, [COUNTED, replace(MEASURED, ended_at=before)])
        assert (scene.scheduler.state.history.images, scene.scheduler.state.history.hfds_px) == (1, ())
        after = scene.clock.wall() + timedelta(seconds=60)
        count_frames(scene.scheduler, [COUNTED, replace(MEASURED, ended_at=after), COUNTED, MEASURED])
        assert (scene.scheduler.state.history.images, scene.scheduler.state.history.hfds_px) == (3, (2.5, 2.5))

    played(night)


@pytest.mark.parametrize("plan", Plan)
@pytest.mark.parametrize("is_named_light", [True, False])
def test_a_frame_of_unknown_kind_counts_by_the_plan(plan: Plan, is_named_light: bool) -> None:
    scene = Scene(night_settings())

    async def night() -> None:
        scene.scheduler.requests.report_plan(plan)
        frames = [replace(each, is_named_light=is_named_light) for each in (COUNTED, MEASURED)]
        count_frames(scene.scheduler, frames)
        expected = int(is_named_light or plan not in NO_LIGHTS)
        history = scene.scheduler.state.history
        assert (history.images, len(history.hfds_px)) == (expected, expected)

    played(night)
