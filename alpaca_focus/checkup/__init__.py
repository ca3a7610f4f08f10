"""What the facts of an observatory and its computer mean: judged, without touching anything. Pure."""
