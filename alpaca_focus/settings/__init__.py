"""What the user may set: models, and loading them from one YAML file."""
