"""Which system made a recording: enrolled systems, scores against them, likelihood ratios, and pages that show them."""
