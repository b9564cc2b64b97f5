"""Recording from live sensors: the radio, one sensor kept streaming, the evening before and the night."""
