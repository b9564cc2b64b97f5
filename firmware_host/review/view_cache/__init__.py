"""`view.cache`: what the signal view draws of a whole night, made once; it can be deleted at any time."""
