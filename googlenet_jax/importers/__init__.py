"""Named arrays of other systems -> variables of the one network."""
