"""From what is written of a service to what a backend is asked for; hashes, labels and differences of that."""
