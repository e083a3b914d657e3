"""How runs come about, seen from the parent process."""
