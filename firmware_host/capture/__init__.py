"""Recording from live sensors: the radio, one sensor kept streaming, the evening before and the night."""

import logging

logging.getLogger(__name__).addHandler(logging.NullHandler())  # for developers; users are told in sentences
