"""Pictures of a night: drawn once as a scene of simple shapes, written as SVG by us or as PNG through matplotlib."""
