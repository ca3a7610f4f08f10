"""The simulated focuser, a motor with a speed and a tube with slack (IFocuserV4), and filter wheel (IFilterWheelV3)."""

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.simulator.simulated_device import SimulatedDevice
from alpaca_focus.simulator.world import World

SLOW_START_S = 0.5
WHEEL_TURNING = -1


class SimulatedFocuser(SimulatedDevice):
    """An absolute focuser with true backlash and a temperature sensor that lags."""

    device_type = DeviceType.FOCUSER

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._settings = world.settings.focuser
        self._frozen_c: float | None = None
        self._has_moved = False
        self._stalled = False
        self._held_by: int | None = None
        self.state_members = ("IsMoving", "Position", *(("Temperature",) if self._settings.has_temperature else ()))
        self.values = {
            "absolute": True,
            "maxstep": self._settings.max_step,
            "maxincrement": self._settings.max_step,
            "stepsize": self._settings.step_size_um,
            "tempcompavailable": self._settings.has_temperature,
            "tempcomp": lambda: world.follows_temperature,
        }

    def get_position(self) -> int:
        """Return the motor's position."""
        now_s = self._now_s
        self.world.follow_temperature(now_s)
        return self.world.mechanism.position(now_s)

    def get_ismoving(self) -> bool:
        """Return whether the focuser reports motion."""
        if "is-moving-never" in self.world.quirks:
            return False
        held = self._held_by is not None and self.world.faults.is_on(self._held_by)
        stuck = held or ("is-moving-stuck" in self.world.quirks and self._has_moved)
        return stuck or self._stalled or self.world.mechanism.is_moving(self._now_s)

    def put_move(self, position: int) -> None:
        """Start a move to a position, or to the end of the travel before it, as IFocuserV4 has it."""
        within = min(max(position, 0), self._settings.max_step)
        if position != within and "beyond-limits-refused" in self.world.quirks:
            raise AlpacaError(
                ErrorNumber.INVALID_VALUE,
                f"{self.name} cannot move to {position}: its range is 0 to {self._settings.max_step}.",
            )
        if "beyond-limits-accepted" not in self.world.quirks:
            position = within
        now_s, mechanism = self._now_s, self.world.mechanism
        distance = position - mechanism.position(now_s)
        direction = (distance > 0) - (distance < 0)
        destination = float(position)
        stalled = self.world.faults.take("focuser-stall") if distance else None
        short = self.world.faults.take("focuser-short") if distance else None
        if stalled is not None:
            destination = round(mechanism.position(now_s) + distance * stalled.value)
        elif short is not None:
            destination = position - direction * min(short.value, abs(distance))
        elif "stops-short" in self.world.quirks:
            destination = position - direction * min(3, abs(distance))
        held = self.world.faults.take("is-moving-stuck")
        self._held_by = None if held is None else held.number
        self._stalled, self._has_moved = stalled is not None, True
        delay_s = SLOW_START_S if "focuser-slow-start" in self.world.quirks else 0.0
        mechanism.start(destination, now_s, delay_s=delay_s)

    def put_halt(self) -> None:
        """Stop the motor where it is."""
        self._stalled = False
        self.world.mechanism.stop(self._now_s)

    def put_tempcomp(self, enabled: bool) -> None:  # noqa: FBT001 - the standard's signature
        """Switch temperature compensation on or off."""
        if not self._settings.has_temperature:
            raise AlpacaError(ErrorNumber.NOT_IMPLEMENTED, f"{self.name} has no temperature compensation.")
        self.world.compensate(self._now_s, enabled=enabled)

    def get_temperature(self) -> float:
        """Return the reading of the sensor, degrees Celsius."""
        if not self._settings.has_temperature:
            raise AlpacaError(ErrorNumber.NOT_IMPLEMENTED, f"{self.name} has no temperature sensor.")
        now_c = round(self.world.sensor_c(self._now_s), 2)
        if self.world.faults.take("temperature-frozen") is None:
            self._frozen_c = None
            return now_c
        self._frozen_c = now_c if self._frozen_c is None else self._frozen_c
        return self._frozen_c


class SimulatedFilterWheel(SimulatedDevice):
    """A filter wheel."""

    device_type = DeviceType.FILTERWHEEL
    state_members = ("Position",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._filters = world.settings.filters
        self.values = {
            "names": [each.name for each in self._filters],
            "focusoffsets": [
                each.offset_steps if each.reported_offset_steps is None else each.reported_offset_steps
                for each in self._filters
            ],
        }

    def get_position(self) -> int:
        """Return the current slot, -1 while turning."""
        wheel = self.world.wheel
        hidden = "wheel-position-never-minus-one" in self.world.quirks
        return WHEEL_TURNING if wheel.is_turning(self._now_s) and not hidden else wheel.target

    def put_position(self, slot: int) -> None:
        """Turn to a slot."""
        if not 0 <= slot < len(self._filters):
            raise AlpacaError(
                ErrorNumber.INVALID_VALUE,
                f"{self.name} has no slot {slot}: its slots are 0 to {len(self._filters) - 1}.",
            )
        self.world.wheel.turn(slot, self._now_s)
