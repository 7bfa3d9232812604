"""Where images come from, what is done to them on the host and the device, and the loader."""
