"""One focus run: devices and settings put together, the plan carried out, the camera leased, the focuser restored."""
