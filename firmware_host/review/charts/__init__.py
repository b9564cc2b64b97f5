"""Pictures of a night: a scene of simple shapes, written as SVG by us or as PNG through matplotlib."""
