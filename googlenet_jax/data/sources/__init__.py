"""Where labelled pictures come from: one module a kind of dataset."""
