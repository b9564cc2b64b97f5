"""What programs and pages ask the server: one file a resource, found by its name (see `review.endpoints`)."""
