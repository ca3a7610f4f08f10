"""The shell: carries out plans on devices, keeps time, writes what happened."""
