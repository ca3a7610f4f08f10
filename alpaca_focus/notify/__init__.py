"""Messages to people, and to MQTT."""
