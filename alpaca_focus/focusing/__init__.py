"""One focus run, put together: settings, devices, what is known before, and the plan that is carried out."""
