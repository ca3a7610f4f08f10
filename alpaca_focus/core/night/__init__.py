"""The decisions of a night: its state and transitions, triggers, compensation, the focus model, notices. Pure."""
