"""Predictions from the optics alone: focal ratio, critical focus zone, plate scale, slope of the V-curve."""

import math
from dataclasses import dataclass

ARCSEC_PER_RADIAN = 648000 / math.pi
WAVELENGTH_UM = 0.55
"""Middle of the visible band, for the critical focus zone."""
ARRIVAL_TOLERANCE_CFZ = 1 / 20
"""Share of the critical focus zone within which a move ends: a standard error of focus is larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpticalTrain:
    """A telescope, its focuser and its camera, as far as focus is concerned.

    Attributes:
        central_obstruction: Diameter of the obstruction as a fraction of the aperture, 0 for a refractor.
        pixel_size_um: Side of a pixel as measured, binning included.
        step_size_um: Travel of one focuser step along the optical axis.
    """

    focal_length_mm: float
    aperture_mm: float
    central_obstruction: float
    pixel_size_um: float
    step_size_um: float

    @property
    def name(self) -> str:
        """The key under which learned curves of this train are stored."""
        return (
            f"{self.focal_length_mm:g} mm f/{self.focal_ratio:.2f}, obstruction {self.central_obstruction:.2f}, "
            f"pixels of {self.pixel_size_um:.3g} um, steps of {self.step_size_um:.4g} um"
        )

    @property
    def focal_ratio(self) -> float:
        """Focal length over aperture."""
        return self.focal_length_mm / self.aperture_mm

    @property
    def critical_focus_zone_um(self) -> float:
        """Full width of the critical focus zone, classic formula 4.88 x wavelength x N^2."""
        return 4.88 * WAVELENGTH_UM * self.focal_ratio**2

    @property
    def critical_focus_zone_steps(self) -> float:
        """Full width of the critical focus zone in focuser steps."""
        return self.critical_focus_zone_um / self.step_size_um

    @property
    def arrival_tolerance_steps(self) -> int:
        """Distance from its target at which a focuser has arrived, unless the settings give another one."""
        return max(1, round(ARRIVAL_TOLERANCE_CFZ * self.critical_focus_zone_steps))

    def seeing_focus_zone_um(self, *, seeing_fwhm_arcsec: float, tolerance_percent: float) -> float:
        """Return the full width of the focus zone in a given seeing, in micrometres.

        The formula is 0.00225 x seeing x sqrt(tolerance) x A x N^2 with the aperture A in millimetres (Goldman and
        Megdal, "In Perfect Focus", Sky & Telescope, August 2010). It is more realistic than the classic formula
        wherever the seeing, not diffraction, limits the size of a star.

        Args:
            seeing_fwhm_arcsec: FWHM of a star in perfect focus, in arcseconds.
            tolerance_percent: By how much defocus may widen the star, in per cent of that FWHM.
        """
        return 0.00225 * seeing_fwhm_arcsec * math.sqrt(tolerance_percent) * self.aperture_mm * self.focal_ratio**2

    @property
    def plate_scale_arcsec_per_px(self) -> float:
        """Angle on the sky of one pixel."""
        return ARCSEC_PER_RADIAN * self.pixel_size_um / (self.focal_length_mm * 1000)

    @property
    def hfd_slope_px_per_step(self) -> float:
        """Rise of the HFD with each step far from focus, in pixels.

        Defocus d spreads a point over an annulus of outer diameter d / N. Half of its light lies within the
        radius whose square is the mean of the squares of the inner and the outer radius, so
        HFD = (d / N) sqrt((1 + obstruction^2) / 2).
        """
        half_flux_share = math.sqrt((1 + self.central_obstruction**2) / 2)
        return self.step_size_um / (self.focal_ratio * self.pixel_size_um) * half_flux_share

    def hfd_px(self, *, seeing_fwhm_arcsec: float) -> float:
        """Estimate the HFD in focus: the FWHM, as for a Gaussian star, widened by the pixels where it is small."""
        return math.hypot(seeing_fwhm_arcsec / self.plate_scale_arcsec_per_px, 1.0)
