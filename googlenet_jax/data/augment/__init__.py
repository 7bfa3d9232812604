"""Random changes of images, as array maths on the device."""
