"""The report: nights on paper, from their stored runs to a document, from that to HTML and PDF."""
