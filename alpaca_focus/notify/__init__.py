"""Messages to people and to an MQTT broker."""
