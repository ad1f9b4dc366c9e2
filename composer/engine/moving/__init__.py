"""Contents of volumes as archives, and whole projects from one backend to another."""
