"""What a container writes and reads: FIFOs, terminals, the log and where it is sent. Carried by the keeper."""
