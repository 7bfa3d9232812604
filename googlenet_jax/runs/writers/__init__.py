"""Where measured values go: one file a writer."""
