"""A focus run of the night in the log."""

import structlog

from alpaca_focus.core.events import CameraHandover, CurveFitted, Event, FrameMeasured, Moved, RestoreStarted, Resumed

_log = structlog.get_logger(__name__)


def log_event(event: Event) -> None:
    """Write what happens during a run into the log, as far as it says something to a reader."""
    match event:
        case Moved(position=position):
            _log.info("The focuser has moved", position=position)
        case FrameMeasured(sample=sample):
            measured = sample.measurement
            _log.info(
                "A frame was measured",
                position=sample.position,
                purpose=sample.purpose,
                metric=measured.metric,
                value=round(measured.value, 3),
                stars=measured.star_count,
                trouble=measured.reason,
            )
        case CurveFitted(fit=fit):
            _log.info(
                "A curve was fitted",
                model=fit.model,
                best_position=round(fit.best_position, 1),
                stderr_steps=round(fit.best_position_stderr, 1),
            )
        case CameraHandover(number=number, restore_position=position, left_s=left_s, needed_s=needed_s):
            _log.info(
                "The focus run is interrupted for the imaging program",
                number=number,
                position=position,
                left_s=round(left_s, 1),
                needed_s=round(needed_s, 1),
            )
        case Resumed(number=number, position=position, lasted_s=lasted_s):
            _log.info("The focus run goes on", number=number, position=position, lasted_s=round(lasted_s, 1))
        case RestoreStarted(position=position, reason=reason):
            _log.warning("The focuser goes back", position=position, why=reason)
        case _:
            pass
