"""The machine: devices and processes, files, buckets, the terminal."""
