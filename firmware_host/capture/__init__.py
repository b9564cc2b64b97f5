"""From the radio to the night on disk: sensors kept streaming, and the night that is made of what they send."""
