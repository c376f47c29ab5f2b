"""A whole grid on all devices."""
